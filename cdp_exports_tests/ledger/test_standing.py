"""Which files of a place are ours, and which will not stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Delivery
from cdp_exports_tests.ledger.building import (
    COUNTS,
    ENVIRONMENT,
    OF_EXPORT,
    OF_MEMBER,
    PIN,
    deliver,
    delivery,
    file,
    lease,
    left,
    minute,
    write,
)

OURS = ENVIRONMENT, OF_EXPORT, OF_MEMBER


def pinned(export_time: ExportTime, **pin: Any) -> Delivery:
    return delivery(export_time).model_copy(update={"pin": PIN.model_copy(update=pin)})


def standing(ledger: Ledger) -> list[str]:
    return [found.id for found in ledger.standing(*OURS)]


def test_files_that_will_not_stay_stand_until_they_are_removed(ledger: Ledger) -> None:
    held = lease(ledger)
    plain, _ = deliver(ledger, held, pinned(minute(2)), "a")
    fixed, _ = deliver(ledger, held, pinned(minute(3), overwrite=True), "x", "y")
    kept, attempt = deliver(ledger, held, pinned(minute(4), keep_for=timedelta(days=7)), "b")
    deliver(ledger, held, pinned(minute(5), overwrite=True))
    assert standing(ledger) == [fixed.id, kept.id], "neither what stays, nor what has no files"
    assert plain.pin.keep_for is None and kept.pin.keep_for == timedelta(days=7)
    [written] = [one.written for one in ledger.standing(*OURS) if one.id == kept.id]
    assert written == next(one.ended_at for one in ledger.attempts(kept.id) if one.id == attempt.id)
    assert fixed.attempt_id is not None
    ledger.removed(fixed.attempt_id, ["x"])
    assert standing(ledger) == [fixed.id, kept.id]
    ledger.removed(fixed.attempt_id, ["y"])
    assert standing(ledger) == [kept.id]
    assert [found.id for found in ledger.standing(ENVIRONMENT)] == [kept.id]
    assert ledger.standing("another") == [] and ledger.standing(ENVIRONMENT, ("another",), OF_MEMBER) == []


def test_a_replay_is_written_anew(ledger: Ledger) -> None:
    held = lease(ledger)
    kept, _ = deliver(ledger, held, pinned(minute(2), keep_for=timedelta(days=7)), "a")
    assert kept.attempt_id is not None
    ledger.removed(kept.attempt_id, ["a"])
    again = ledger.start_attempt(held, kept.id, "run-2")
    write(ledger, held, again, "b")
    ledger.replace(held, kept.id, again.id, counts=COUNTS, files=[file("b")], run_id="run-2")
    [found] = ledger.standing(*OURS)
    assert (found.id, found.keep_for) == (kept.id, timedelta(days=7))
    assert kept.committed_at is not None and found.written >= kept.committed_at


def test_the_newest_under_fixed_names_is_one_of_the_same_folder(ledger: Ledger) -> None:
    held = lease(ledger)
    here = {"overwrite": True, "folder": "drop"}
    deliver(ledger, held, pinned(minute(2), **here), "drop/a")
    deliver(ledger, held, pinned(minute(3), **here))
    deliver(ledger, held, pinned(minute(4), overwrite=True, folder="elsewhere"), "elsewhere/a")
    deliver(ledger, held, pinned(minute(5), folder="drop"), "drop/b")
    deliver(ledger, held, pinned(minute(6), **here, target="file:///other"), "drop/a")
    ledger.pin(held, pinned(minute(7), **here))
    assert ledger.newest_under_fixed_names(*OURS, PIN.target, "drop") == minute(3), "also one without files; none that is open"
    assert ledger.newest_under_fixed_names(*OURS, PIN.target, "nowhere") is None


def test_what_this_member_wrote_is_ours_until_it_is_removed(ledger: Ledger) -> None:
    held, made = lease(ledger), pinned(minute(2))
    ledger.pin(held, made)
    attempt = ledger.start_attempt(held, made.id, "run-1")
    assert not ledger.is_ours(*OURS, PIN.target, "drop/a")
    ledger.begin_file(held, attempt.id, "drop/a")
    assert ledger.is_ours(*OURS, PIN.target, "drop/a"), "from before its first byte on"
    assert not ledger.is_ours(*OURS, "file:///other", "drop/a")
    assert not ledger.is_ours(ENVIRONMENT, ("another",), OF_MEMBER, PIN.target, "drop/a")
    ledger.removed(attempt.id, ["drop/a"])
    assert not ledger.is_ours(*OURS, PIN.target, "drop/a")


def test_a_name_that_was_given_up_is_swept_where_an_attempt_left_it(ledger: Ledger) -> None:
    held = lease(ledger)
    before, _ = deliver(ledger, held, pinned(minute(2), overwrite=True), "x", "y")
    made = pinned(minute(3), overwrite=True)
    ledger.pin(held, made)
    lost = ledger.start_attempt(held, made.id, "run-1")
    write(ledger, held, lost, "x", "y")
    won = ledger.start_attempt(held, made.id, "run-1")
    write(ledger, held, won, "x")
    ledger.commit(made.id, won.id, counts=COUNTS, files=[file("x")], run_id="run-1")
    assert left(ledger) == {}, "under both names stands, for all that is known, what was delivered"
    assert before.attempt_id is not None
    ledger.removed(before.attempt_id, ["x", "y"])
    assert left(ledger) == {lost.id: ["y"]}
