"""What schedules and sensors remember, and how far each member was delivered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Held, SkipRecord, SourcePin
from cdp_exports.ledger.signals import Signal
from cdp_exports_tests.ledger.building import COUNTS, ENVIRONMENT, EXPORT, MEMBER, OF_EXPORT, OF_MEMBER, deliver, delivery, lease, minute

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def signal(version: int, *, event: int | None = None, reported: bool = False) -> Signal:
    return Signal(
        environment=ENVIRONMENT,
        dataset="orders",
        table_id="t",
        version=version,
        commit_hash=f"c{version}",
        committed_at=LONG_AGO,
        changed_version=version,
        event=event,
        noticed_at=LONG_AGO,
        reported=reported,
    )


def test_a_refresh_is_recorded_once_by_whoever_is_first(ledger: Ledger) -> None:
    first = ledger.note_signal(signal(1), None)
    assert first is not None
    assert abs(first.noticed_at - ledger.now()) < timedelta(minutes=1), "by the ledger's clock"
    assert ledger.note_signal(signal(1), None) is None
    second = ledger.note_signal(signal(2, event=7), first)
    assert second is not None
    assert ledger.note_signal(signal(3), first) is None, "another sensor recorded version 2 meanwhile"
    assert ledger.signals(ENVIRONMENT) == {"orders": second}
    ledger.reported(second)
    assert ledger.signals(ENVIRONMENT)["orders"].reported
    assert ledger.signals("other") == {}


def test_a_tick_waits_once(ledger: Ledger) -> None:
    assert ledger.wait(ENVIRONMENT, EXPORT, minute(5), members=["orders"], upstream_runs=["r1"])
    assert not ledger.wait(ENVIRONMENT, EXPORT, minute(5), members=["orders"], upstream_runs=["r2"])
    (waiting,) = ledger.due(ENVIRONMENT)
    assert (waiting.state, waiting.export_time, waiting.upstream_runs) == ("waiting_for_refresh", minute(5), ("r1",))
    assert ledger.newest_time(ENVIRONMENT, EXPORT) == minute(5), "what is minted later has a later name"
    ledger.wait_for(waiting, ["r1", "r2"])
    assert ledger.due(ENVIRONMENT, EXPORT)[0].upstream_runs == ("r1", "r2")
    assert ledger.move_due(waiting, "launched")
    assert not ledger.move_due(waiting, "dropped"), "somebody else moved it before"
    assert ledger.due(ENVIRONMENT) == []
    assert not ledger.wait(ENVIRONMENT, EXPORT, minute(5), members=["orders"], upstream_runs=["r3"])
    with pytest.raises(DeclarationError, match="in the future"):
        ledger.wait(ENVIRONMENT, EXPORT, ExportTime(ledger.now() + timedelta(hours=1)), members=["orders"], upstream_runs=[])


def test_a_request_is_minted_and_remembered_together(ledger: Ledger) -> None:
    first = ledger.request(ENVIRONMENT, EXPORT, cause="refresh", members=["orders"], seen={"orders": "t:5"})
    second = ledger.request(ENVIRONMENT, EXPORT, cause="refresh", state="dropped", members=["orders"], seen={"orders": "t:6"})
    assert ledger.request(ENVIRONMENT, EXPORT, cause="refresh", members=["orders"], seen={"orders": "t:5"}) == first, "by another daemon"
    ledger.request(ENVIRONMENT, "another", cause="schedule", members=["orders"], seen={})
    assert second.export_time > first.export_time
    assert [one.export for one in ledger.due(ENVIRONMENT)] == [EXPORT, "another"]
    assert ledger.last_due_of_refreshes(ENVIRONMENT) == {EXPORT: second}


def test_what_was_missed_is_covered_by_the_members_next_commit(ledger: Ledger) -> None:
    deliver(ledger, lease(ledger), delivery(minute(1)))
    times = [minute(2), minute(3), minute(9)]
    for _ in range(2):  # a tick that is evaluated once more
        ledger.missed(ENVIRONMENT, EXPORT, ["orders", "events"], times, why="Nobody was there.", noticed_by="acme_schedule")
    deliver(ledger, lease(ledger), delivery(minute(5)))

    def of(member: str) -> dict[ExportTime, tuple[str, str]]:
        found = [entry for entry in ledger.history(ENVIRONMENT) if isinstance(entry, SkipRecord) and entry.member == member]
        assert len(found) == len(times)
        return {entry.export_time: (entry.reason, entry.message) for entry in found}

    covered = ("covered_by", f"Nobody was there. Its rows went with the delivery of {minute(5)}.")
    assert of("orders") == {minute(2): covered, minute(3): covered, minute(9): ("missed", "Nobody was there.")}
    assert {reason for reason, _ in of("events").values()} == {"missed"}, "it was not delivered yet"
    ledger.missed(ENVIRONMENT, EXPORT, ["orders"], times, why="Again.", noticed_by="acme_schedule")
    assert of("orders")[minute(2)] == covered


def test_a_cadence_holds_since_it_was_declared(ledger: Ledger) -> None:
    first = ledger.cadences_since(ENVIRONMENT, {"a": "every 3h", "b": "every 6h"})
    assert ledger.cadences_since(ENVIRONMENT, {"a": "every 3h", "b": "every 6h"}) == first
    changed = ledger.cadences_since(ENVIRONMENT, {"a": "every 8h", "b": "every 6h"})
    assert changed["b"] == first["b"]
    assert changed["a"] > first["a"]


def test_how_far_each_member_was_delivered(ledger: Ledger) -> None:
    assert ledger.last_delivered(ENVIRONMENT, [EXPORT]) == {}
    guard = SourcePin(
        dataset="blocked", table_id="b", after_version=None, after_commit=None, upto_version=3, upto_commit="x", change_source=None
    )
    held = COUNTS.model_copy(update={"held": Held(file="f", whole=True, rows=1, sha256="s", guards=(guard,))})
    deliver(ledger, lease(ledger), delivery(minute(1)))
    made = delivery(minute(2), member="events")
    held_by = lease(ledger)
    ledger.pin(held_by, made)
    attempt = ledger.start_attempt(held_by, made.id, held_by.run_id)
    ledger.publishing(held_by, attempt.id, held)
    ledger.commit(made.id, attempt.id, counts=held, files=[], run_id="r")
    ledger.pin(lease(ledger), delivery(minute(3)))
    found = ledger.last_delivered(ENVIRONMENT, [EXPORT, "none"])
    assert {member: one.versions for (_, member), one in found.items()} == {
        "orders": {"orders": ("t", 5)},
        "events": {"orders": ("t", 5), "blocked": ("b", 3)},
    }
    assert found[EXPORT, "orders"].export_time == minute(1), "the open one does not count"
    last = ledger.last_committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER)
    assert last is not None
    assert found[EXPORT, MEMBER].pinned_at == last.pinned_at
