"""Runs that are at work, those that fell silent, and how often in a row a member failed."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Delivery, SkipRecord
from cdp_exports_tests.ledger.building import ENVIRONMENT, EXPORT, MEMBER, deliver, delivery, lease, minute


def failed(export_time: ExportTime, ledger: Ledger, *, run_id: str = "run-1", reason: str = "transient") -> SkipRecord:
    return SkipRecord(
        environment=ENVIRONMENT,
        export=EXPORT,
        member=MEMBER,
        export_time=export_time,
        outcome="failed",
        reason=reason,
        message="no",
        next_step="wait",
        run_id=run_id,
        at=ledger.now(),
    )


def silence(ledger: Ledger, run_id: str, by: timedelta) -> None:
    """As if the run had last been seen that much earlier."""
    (one,) = (one for one in ledger.silent_runs(ENVIRONMENT, seconds=-10) if one.run_id == run_id)
    with ledger._database.write() as connection:
        moment = one.seen_at - by
        written = f"{moment:%Y-%m-%d %H:%M:%S.%f}" + ("+00" if connection.dialect.name == "postgresql" else "")
        connection.execute(text("UPDATE cdp_runs SET seen_at = :at WHERE run_id = :run"), {"at": written, "run": run_id})


def test_a_run_that_falls_silent_is_found_once(ledger: Ledger) -> None:
    for run_id in ("alive", "dead", "done"):
        ledger.run_begins(ENVIRONMENT, run_id, EXPORT, minute(5), [MEMBER])
    assert ledger.silent_runs(ENVIRONMENT, seconds=100) == []
    for run_id in ("alive", "dead", "done"):
        silence(ledger, run_id, timedelta(minutes=3))
    ledger.run_seen(ENVIRONMENT, "alive")
    ledger.run_seen(ENVIRONMENT, "done", ended=True)
    (dead,) = ledger.silent_runs(ENVIRONMENT, seconds=100)
    assert (dead.run_id, dead.export, dead.export_time, dead.members) == ("dead", EXPORT, minute(5), (MEMBER,))
    assert ledger.silent_runs("other", seconds=100) == []
    assert ledger.idle_runs(ENVIRONMENT, ["never", "dead", "done"], seconds=100) == ["never"], "done may be about to try again"
    assert ledger.idle_runs(ENVIRONMENT, ["never", "dead", "done"], seconds=-100) == ["never", "done"]

    ledger.run_seen(ENVIRONMENT, "dead")
    assert not ledger.run_died(dead, [failed(minute(5), ledger)]), "it was seen again"
    assert ledger.history(ENVIRONMENT) == []
    silence(ledger, "dead", timedelta(minutes=3))
    (dead,) = ledger.silent_runs(ENVIRONMENT, seconds=100)
    assert ledger.run_died(dead, [failed(minute(5), ledger, reason="crashed")])
    assert not ledger.run_died(dead, [failed(minute(5), ledger)]), "the other daemon's sensor"
    assert ledger.silent_runs(ENVIRONMENT, seconds=100) == []
    assert [entry.reason for entry in ledger.history(ENVIRONMENT) if isinstance(entry, SkipRecord)] == ["crashed"]

    ledger.run_begins(ENVIRONMENT, "dead", EXPORT, minute(5), [MEMBER])
    assert [one.run_id for one in ledger.silent_runs(ENVIRONMENT, seconds=-10)] == ["alive", "dead"], "it tries again"


def test_old_runs_are_forgotten(ledger: Ledger) -> None:
    ledger.run_begins(ENVIRONMENT, "old", EXPORT, minute(5), [MEMBER])
    silence(ledger, "old", timedelta(days=8))
    ledger.run_begins(ENVIRONMENT, "new", EXPORT, minute(6), [MEMBER])
    assert ledger.idle_runs(ENVIRONMENT, ["old", "new"], seconds=100) == ["old"]


def test_failures_are_counted_by_export_time_since_the_last_delivery(ledger: Ledger) -> None:
    ledger.skip(failed(minute(1), ledger))
    ledger.skip(failed(minute(2), ledger))
    ledger.skip(failed(minute(2), ledger, run_id="run-2"))
    assert ledger.failures_in_a_row(ENVIRONMENT, [EXPORT]) == {(EXPORT, MEMBER): 2}
    ledger.skip(failed(minute(3), ledger).model_copy(update={"outcome": "skipped"}))
    ledger.skip(failed(minute(4), ledger).model_copy(update={"member": "events"}))
    assert ledger.failures_in_a_row(ENVIRONMENT, [EXPORT]) == {(EXPORT, MEMBER): 2, (EXPORT, "events"): 1}
    assert ledger.failures_in_a_row(ENVIRONMENT, ["other"]) == {}

    deliver(ledger, lease(ledger), delivery(minute(5)), "a")
    assert ledger.failures_in_a_row(ENVIRONMENT, [EXPORT]) == {(EXPORT, "events"): 1}
    ledger.skip(failed(minute(6), ledger))
    assert ledger.failures_in_a_row(ENVIRONMENT, [EXPORT])[EXPORT, MEMBER] == 1


def test_a_delivery_stands_before_the_failures_on_its_way(ledger: Ledger) -> None:
    held, one = lease(ledger), delivery(minute(5))
    ledger.skip(failed(minute(5), ledger))
    deliver(ledger, held, one, "a")
    newest = ledger.history(ENVIRONMENT)[0]
    assert isinstance(newest, Delivery)
