"""One holder an export, by the database's clock; a holder who lost it writes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cdp_exports.errors import Skip, TransientError
from cdp_exports.ledger import database, leases
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Attempt, Delivery, Lease
from cdp_exports_tests.ledger.building import COUNTS, ENVIRONMENT, EXPORT, OF_EXPORT, OF_MEMBER, delivery, expire, lease, minute


def acquire(ledger: Ledger, run_id: str) -> Lease | None:
    return ledger.acquire(ENVIRONMENT, EXPORT, run_id=run_id, export_time=minute(2), seconds=600)


def test_one_holder(ledger: Ledger) -> None:
    assert ledger.holder(ENVIRONMENT, EXPORT) is None
    first = acquire(ledger, "first")
    assert first is not None
    assert first == ledger.holder(ENVIRONMENT, EXPORT)
    assert first.expires_at > ledger.now()
    assert acquire(ledger, "second") is None
    assert ledger.acquire(ENVIRONMENT, "other", run_id="second", export_time=minute(2), seconds=600) is not None


def test_the_same_run_takes_it_again_with_a_new_token(ledger: Ledger) -> None:
    first, again = acquire(ledger, "first"), acquire(ledger, "first")
    assert first is not None
    assert again is not None
    assert again.token > first.token
    assert not ledger.renew(first, seconds=600)
    assert ledger.renew(again, seconds=600)


def test_released_is_free_and_the_token_grows(ledger: Ledger) -> None:
    first = lease(ledger)
    ledger.release(first)
    assert ledger.holder(ENVIRONMENT, EXPORT) is None
    assert not ledger.renew(first, seconds=600)
    second = acquire(ledger, "second")
    assert second is not None
    assert second.token > first.token
    ledger.release(first)  # late, and no longer its own
    assert ledger.holder(ENVIRONMENT, EXPORT) == second


def test_expired_is_free_for_others(ledger: Ledger) -> None:
    first = lease(ledger)
    expire(ledger, first)
    assert ledger.holder(ENVIRONMENT, EXPORT) is None
    second = acquire(ledger, "second")
    assert second is not None
    assert not ledger.renew(first, seconds=600)
    assert ledger.holder(ENVIRONMENT, EXPORT) == second


def test_expired_and_taken_by_nobody_revives(ledger: Ledger) -> None:
    first = lease(ledger)
    expire(ledger, first)
    with pytest.raises(Skip, match="lease expired"):
        ledger.pin(first, delivery(minute(2)))
    assert ledger.renew(first, seconds=600)
    ledger.pin(first, delivery(minute(2)))


Fenced = Callable[[Ledger, Lease, Delivery, Attempt], object]
FENCED: dict[str, Fenced] = {
    "pin": lambda ledger, held, pinned, attempt: ledger.pin(held, delivery(minute(3), member="other")),
    "start_attempt": lambda ledger, held, pinned, attempt: ledger.start_attempt(held, pinned.id, "late"),
    "begin_file": lambda ledger, held, pinned, attempt: ledger.begin_file(held, attempt.id, "late"),
    "publishing": lambda ledger, held, pinned, attempt: ledger.publishing(held, attempt.id, COUNTS),
    "reopen": lambda ledger, held, pinned, attempt: ledger.reopen(held, pinned.id),
}


@pytest.mark.parametrize("lost", ["expired", "released", "taken over"])
@pytest.mark.parametrize("step", FENCED)
def test_who_lost_the_lease_writes_nothing(ledger: Ledger, step: str, lost: str) -> None:
    held = lease(ledger)
    pinned = delivery(minute(2))
    ledger.pin(held, pinned)
    attempt = ledger.start_attempt(held, pinned.id, held.run_id)
    if step == "reopen":
        ledger.publishing(held, attempt.id, COUNTS)
    before = ledger.history(ENVIRONMENT), ledger.attempts(pinned.id)

    if lost == "released":
        ledger.release(held)
    else:
        expire(ledger, held)
    if lost == "taken over":
        assert acquire(ledger, "second") is not None
    with pytest.raises(Skip) as raised:
        FENCED[step](ledger, held, pinned, attempt)

    assert raised.value.reason == "superseded"
    assert (ledger.history(ENVIRONMENT), ledger.attempts(pinned.id)) == before


def test_nobody_takes_over_inside_a_fenced_write(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    ledger = Ledger.open(ledger_url)
    held = lease(ledger)
    with ledger._database.write() as connection:
        leases.fence(connection, held)
        with pytest.raises(TransientError):
            acquire(ledger, "second")
    ledger.close()


def test_who_takes_over_abandons_what_ran_before(ledger: Ledger) -> None:
    stalled = lease(ledger)
    orders, customers = delivery(minute(2)), delivery(minute(2), member="customers")
    for pinned in (orders, customers):
        ledger.pin(stalled, pinned)
        ledger.start_attempt(stalled, pinned.id, stalled.run_id)
    elsewhere = lease(ledger, export="other")
    other = delivery(minute(2), export="other")
    ledger.pin(elsewhere, other)
    ledger.start_attempt(elsewhere, other.id, elsewhere.run_id)

    ledger.start_attempt(lease(ledger, run_id="second"), orders.id, "second")

    assert [(attempt.number, attempt.status) for attempt in ledger.attempts(orders.id)] == [(1, "abandoned"), (2, "running")]
    assert [attempt.status for attempt in ledger.attempts(customers.id)] == ["abandoned"]
    assert [attempt.status for attempt in ledger.attempts(other.id)] == ["running"]
    assert ledger.open_deliveries(ENVIRONMENT, OF_EXPORT, OF_MEMBER)[0].id == orders.id
