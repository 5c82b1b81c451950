"""A ledger that is lost, or older than the destination, is rebuilt from manifests."""

from __future__ import annotations

from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Delivery, State
from cdp_exports_tests.ledger.building import (
    COUNTS,
    ENVIRONMENT,
    EXPORT,
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


def from_manifest(number: int) -> Delivery:
    made = delivery(minute(number), state=State.COMMITTED)
    return made.model_copy(
        update={
            "attempt_id": f"attempt-{made.id}",
            "counts": COUNTS,
            "bytes": 20,
            "files": (file(f"{number}"),),
            "committed_at": made.pinned_at,
            "run_id": "adopted",
        }
    )


def test_a_lost_ledger_is_rebuilt(ledger: Ledger) -> None:
    found = [from_manifest(2), from_manifest(3)]
    assert ledger.adopt(found) == 2
    assert ledger.adopt(found) == 0
    assert ledger.committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == found
    (attempt,) = ledger.attempts(found[1].id)
    assert (attempt.id, attempt.status, attempt.files) == (found[1].attempt_id, "committed", (file("3"),))
    assert ledger.newest_time(ENVIRONMENT, EXPORT) == minute(3)
    assert left(ledger) == {}


def test_what_is_decided_here_stands(ledger: Ledger) -> None:
    held = lease(ledger)
    committed, _ = deliver(ledger, held, delivery(minute(2)), "a")
    ledger.pin(held, closed := delivery(minute(3)))
    ledger.cover(closed.id, minute(4))
    assert ledger.adopt([from_manifest(2), from_manifest(3), newer := from_manifest(4)]) == 1
    assert ledger.committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == [committed, newer]


def test_an_open_delivery_whose_manifest_is_there_is_committed(ledger: Ledger) -> None:
    held, found = lease(ledger), from_manifest(2)
    ledger.pin(held, found)
    lost = ledger.start_attempt(held, found.id, "run-1")
    write(ledger, held, lost, "lost")
    assert ledger.adopt([found]) == 1
    assert ledger.committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == [found]
    assert left(ledger) == {lost.id: ["lost"]}


def test_an_open_delivery_gives_way_to_the_one_whose_manifest_is_there(ledger: Ledger) -> None:
    """The ledger was lost and the export time pinned anew before anybody looked at the destination."""
    held, mistaken, found = lease(ledger), delivery(minute(2)), from_manifest(2)
    ledger.pin(held, mistaken)
    lost = ledger.start_attempt(held, mistaken.id, "run-1")
    write(ledger, held, lost, "lost")
    assert ledger.adopt([found]) == 1
    assert ledger.open_deliveries(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == []
    assert ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2)) == found
    assert [(attempt.number, attempt.status) for attempt in ledger.attempts(found.id)] == [(1, "abandoned"), (2, "committed")]
    assert left(ledger) == {lost.id: ["lost"]}
