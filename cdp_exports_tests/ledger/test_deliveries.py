"""From pinned to committed or covered, and what is refused on the way."""

from __future__ import annotations

from typing import Any

import pytest

from cdp_exports.errors import Skip
from cdp_exports.ledger import files
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Counts, FileRecord, State
from cdp_exports_tests.ledger.building import (
    COUNTS,
    ENVIRONMENT,
    OF_EXPORT,
    OF_MEMBER,
    deliver,
    delivery,
    file,
    lease,
    minute,
    write,
)


def test_a_pin_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    found = ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2))
    assert found == pinned
    assert found is not None
    assert list(found.pin.definition) == ["z", "a"]  # also the order of its keys
    assert ledger.open_deliveries(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == [pinned]
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(3)) is None


def test_one_open_delivery_a_member(ledger: Ledger) -> None:
    held = lease(ledger)
    ledger.pin(held, delivery(minute(2)))
    with pytest.raises(Skip, match="another open delivery"):
        ledger.pin(held, delivery(minute(3)))
    ledger.pin(held, delivery(minute(3), member="customers"))


def test_one_delivery_an_export_time(ledger: Ledger) -> None:
    held = lease(ledger)
    committed, _ = deliver(ledger, held, delivery(minute(2)))
    with pytest.raises(Skip, match="at this export time"):
        ledger.pin(held, delivery(minute(2)))
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == committed


def test_a_commit_closes_the_list_of_files(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    attempt = ledger.start_attempt(held, pinned.id, "run-1")
    write(ledger, held, attempt, "b", "a")
    ledger.begin_file(held, attempt.id, "unfinished")
    ledger.publishing(held, attempt.id, COUNTS)
    publishing = ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2))
    assert publishing is not None
    assert (publishing.state, publishing.attempt_id, publishing.counts, publishing.files) == (State.PUBLISHING, attempt.id, COUNTS, ())

    committed = ledger.commit(pinned.id, attempt.id, counts=COUNTS, files=[file("b"), file("a"), file("never recorded", 5)], run_id="run-2")

    assert committed.committed_at is not None
    assert committed == pinned.model_copy(
        update={
            "state": State.COMMITTED,
            "attempt_id": attempt.id,
            "counts": COUNTS,
            "bytes": 90,
            "files": (file("a"), file("b"), file("never recorded", 5)),
            "run_id": "run-2",
            "committed_at": committed.committed_at,
        }
    )
    assert ledger.last_committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == committed
    assert ledger.open_deliveries(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == []
    assert [attempt.status for attempt in ledger.attempts(pinned.id)] == ["committed"]


def test_a_commit_repeats_for_its_attempt_alone(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    stalled = ledger.start_attempt(held, pinned.id, "run-1")
    winner = ledger.start_attempt(held, pinned.id, "run-1")
    committed = ledger.commit(pinned.id, winner.id, counts=COUNTS, files=[file("a")], run_id="run-1")
    assert ledger.commit(pinned.id, winner.id, counts=Counts(), files=[], run_id="run-9") == committed
    with pytest.raises(Skip, match="committed by another attempt"):
        ledger.commit(pinned.id, stalled.id, counts=COUNTS, files=[file("b")], run_id="run-1")
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == committed


def test_whose_manifest_was_first_is_committed_whoever_meant_to_publish(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    first = ledger.start_attempt(held, pinned.id, "run-1")
    second = ledger.start_attempt(held, pinned.id, "run-1")
    ledger.publishing(held, second.id, COUNTS)
    assert ledger.commit(pinned.id, first.id, counts=COUNTS, files=[], run_id="run-1").attempt_id == first.id
    assert [attempt.status for attempt in ledger.attempts(pinned.id)] == ["committed", "abandoned"]


def test_publishing_belongs_to_one_attempt(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    first = ledger.start_attempt(held, pinned.id, "run-1")
    second = ledger.start_attempt(held, pinned.id, "run-1")
    ledger.publishing(held, first.id, COUNTS)
    ledger.publishing(held, first.id, COUNTS)
    with pytest.raises(Skip, match="publishing by another attempt"):
        ledger.publishing(held, second.id, COUNTS)
    ledger.reopen(held, pinned.id)
    reopened = ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2))
    assert reopened == pinned
    ledger.publishing(held, second.id, COUNTS)


def test_covered_makes_way_for_the_next(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    attempt = ledger.start_attempt(held, pinned.id, "run-1")
    ledger.publishing(held, attempt.id, COUNTS)
    ledger.cover(pinned.id, minute(3))
    ledger.cover(pinned.id, minute(3))
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == pinned.model_copy(
        update={"state": State.COVERED, "covered_by": minute(3)}
    )
    ledger.pin(held, delivery(minute(3)))
    for late in (
        lambda: ledger.commit(pinned.id, attempt.id, counts=COUNTS, files=[], run_id="run-1"),
        lambda: ledger.publishing(held, attempt.id, COUNTS),
        lambda: ledger.reopen(held, pinned.id),
    ):
        with pytest.raises(Skip, match=f"covered by the one of {minute(3)}"):
            late()


def test_committed_is_final(ledger: Ledger) -> None:
    held = lease(ledger)
    committed, attempt = deliver(ledger, held, delivery(minute(2)), "a")
    for late in (
        lambda: ledger.cover(committed.id, minute(3)),
        lambda: ledger.publishing(held, attempt.id, COUNTS),
        lambda: ledger.reopen(held, committed.id),
    ):
        with pytest.raises(Skip, match="committed"):
            late()
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == committed


def test_a_renamed_export_or_member_finds_what_it_delivered_before(ledger: Ledger) -> None:
    old, _ = deliver(ledger, lease(ledger, export="old"), delivery(minute(2), export="old", member="was"))
    new, _ = deliver(ledger, lease(ledger), delivery(minute(4)))
    names = (*OF_EXPORT, "old"), (*OF_MEMBER, "was")
    assert ledger.committed(ENVIRONMENT, *names) == [old, new]
    assert ledger.last_committed(ENVIRONMENT, *names) == new
    assert ledger.delivery(ENVIRONMENT, *names, minute(2)) == old
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) is None
    both, _ = deliver(ledger, lease(ledger), delivery(minute(2)))
    assert ledger.delivery(ENVIRONMENT, *names, minute(2)) == both


def test_an_attempt_ends_with_its_reason(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    attempt = ledger.start_attempt(held, pinned.id, "run-1")
    ledger.end_attempt(attempt.id, "failed", error_code="occupied", error="It is.", next_step="Ask.")
    (ended,) = ledger.attempts(pinned.id)
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.started_at
    assert (ended.status, ended.error_code, ended.error, ended.next_step) == ("failed", "occupied", "It is.", "Ask.")


def test_a_reader_sees_one_state(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery is read, then its files; a replay that replaces it in between is not seen by halves."""
    held = lease(ledger)
    before, _ = deliver(ledger, held, delivery(minute(2)), "a")
    read_files = files.of

    def replaced_in_between(*args: Any, **named: Any) -> dict[str, tuple[FileRecord, ...]]:
        monkeypatch.setattr(files, "of", read_files)
        replay = ledger.start_attempt(held, before.id, "run-2")
        ledger.replace(held, before.id, replay.id, counts=Counts(received=1, delivered=1, inserted=1), files=[file("b")], run_id="run-2")
        return read_files(*args, **named)

    monkeypatch.setattr(files, "of", replaced_in_between)
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == before
    after = ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2))
    assert after is not None
    assert after.files == (file("b"),)
