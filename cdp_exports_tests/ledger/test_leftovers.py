"""What lost attempts left behind, and nothing else, is swept."""

from __future__ import annotations

from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Counts, State
from cdp_exports_tests.ledger.building import (
    COUNTS,
    ENVIRONMENT,
    OF_EXPORT,
    OF_MEMBER,
    deliver,
    delivery,
    file,
    lease,
    left,
    minute,
    write,
)


def test_nothing_is_left_before_the_delivery_is_decided(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    lost = ledger.start_attempt(held, pinned.id, "run-1")
    write(ledger, held, lost, "lost")
    ledger.begin_file(held, lost.id, "unfinished")
    winner = ledger.start_attempt(held, pinned.id, "run-1")
    write(ledger, held, winner, "won")
    ledger.begin_file(held, winner.id, "aborted")
    assert left(ledger) == {}

    committed = ledger.commit(pinned.id, winner.id, counts=COUNTS, files=[file("won")], run_id="run-1")

    assert left(ledger) == {lost.id: ["lost", "unfinished"], winner.id: ["aborted"]}
    assert [found for found, _ in ledger.leftovers(ENVIRONMENT, OF_EXPORT, OF_MEMBER)] == [committed]
    ledger.removed(lost.id, ["lost", "unfinished"])
    ledger.removed(lost.id, [])
    assert left(ledger) == {winner.id: ["aborted"]}


def test_a_covered_delivery_leaves_all_its_files(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    attempt = ledger.start_attempt(held, pinned.id, "run-1")
    write(ledger, held, attempt, "a")
    ledger.cover(pinned.id, minute(3))
    assert left(ledger) == {attempt.id: ["a"]}


def test_a_swept_file_that_a_stalled_attempt_finishes_is_left_again(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    stalled = ledger.start_attempt(held, pinned.id, "run-1")
    ledger.begin_file(held, stalled.id, "late")
    winner = ledger.start_attempt(held, pinned.id, "run-1")
    ledger.commit(pinned.id, winner.id, counts=COUNTS, files=[], run_id="run-1")
    ledger.removed(stalled.id, ["late"])
    assert left(ledger) == {}
    ledger.end_file(stalled.id, file("late"))
    assert left(ledger) == {stalled.id: ["late"]}


def test_a_replay_leaves_what_it_replaced_except_what_it_wrote_over(ledger: Ledger) -> None:
    held = lease(ledger)
    committed, former = deliver(ledger, held, delivery(minute(2)), "data", "former")
    replay = ledger.start_attempt(held, committed.id, "run-2")
    write(ledger, held, replay, "data", "newer")
    assert left(ledger) == {}

    ledger.replace(held, committed.id, replay.id, counts=Counts(), files=[file("data"), file("newer", 7)], run_id="run-2")
    ledger.replace(held, committed.id, replay.id, counts=Counts(), files=[], run_id="run-2")

    replaced = ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2))
    assert replaced == committed.model_copy(
        update={"attempt_id": replay.id, "run_id": "run-2", "files": (file("data"), file("newer", 7)), "bytes": 90, "counts": Counts()}
    )
    assert [attempt.status for attempt in ledger.attempts(committed.id)] == ["superseded", "committed"]
    assert left(ledger) == {former.id: ["former"]}


def test_a_failed_replay_leaves_its_own_files_alone(ledger: Ledger) -> None:
    held = lease(ledger)
    committed, _ = deliver(ledger, held, delivery(minute(2)), "data")
    replay = ledger.start_attempt(held, committed.id, "run-2")
    write(ledger, held, replay, "data", "newer")
    ledger.end_attempt(replay.id, "failed")
    assert left(ledger) == {replay.id: ["newer"]}
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == committed


def test_a_copy_into_another_folder_is_nobodys_leftover(ledger: Ledger) -> None:
    held = lease(ledger)
    committed, _ = deliver(ledger, held, delivery(minute(2)), "data")
    copy = ledger.start_attempt(held, committed.id, "run-2")
    write(ledger, held, copy, "elsewhere/data")
    ledger.end_attempt(copy.id, "committed")
    assert left(ledger) == {}


def test_a_path_that_another_delivery_holds_now_is_not_left(ledger: Ledger) -> None:
    """An export that overwrites: one path for all its deliveries."""
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    lost = ledger.start_attempt(held, pinned.id, "run-1")
    write(ledger, held, lost, "data", "more")
    ledger.end_attempt(lost.id, "failed")
    ledger.cover(pinned.id, minute(3))
    ledger.pin(held, later := delivery(minute(3)))
    running = ledger.start_attempt(held, later.id, "run-1")
    ledger.begin_file(held, running.id, "data")
    assert left(ledger) == {lost.id: ["more"]}
    ledger.commit(later.id, running.id, counts=COUNTS, files=[file("data")], run_id="run-1")
    assert left(ledger) == {lost.id: ["more"]}


def test_other_exports_and_members_are_left_alone(ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    attempt = ledger.start_attempt(held, pinned.id, "run-1")
    write(ledger, held, attempt, "a")
    ledger.cover(pinned.id, minute(3))
    assert ledger.leftovers(ENVIRONMENT, ("other",), OF_MEMBER) == []
    assert ledger.leftovers(ENVIRONMENT, OF_EXPORT, ("other",)) == []
    assert ledger.leftovers("other", OF_EXPORT, OF_MEMBER) == []
    assert ledger.leftovers(ENVIRONMENT, ("other", *OF_EXPORT), OF_MEMBER)[0][0].state is State.COVERED
