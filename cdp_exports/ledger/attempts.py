"""Attempts at a delivery."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, and_, func, or_, select, update

from cdp_exports.ledger import clock, files
from cdp_exports.ledger.leases import fence
from cdp_exports.ledger.records import Attempt, Lease
from cdp_exports.ledger.tables import attempts, deliveries, last_attempts
from cdp_exports.ledger.upsert import insert

FROM_MANIFEST = 0
"""The token of an attempt that this ledger did not see: a manifest tells of it. Leases count from 1."""


def start(connection: Connection, lease: Lease, delivery_id: str, run_id: str) -> Attempt:
    fence(connection, lease)
    _abandon_others(connection, lease, delivery_id)
    attempt = Attempt(
        id=str(uuid4()),
        delivery_id=delivery_id,
        number=_next_number(connection, delivery_id),
        run_id=run_id,
        status="running",
        started_at=clock.now(connection),
    )
    _insert(connection, attempt, token=lease.token)
    return attempt


def end(connection: Connection, attempt_id: str, status: str, *, error_code: str | None, error: str | None, next_step: str | None) -> None:
    """How it ended, by its own account; what another run has decided of it meanwhile stands, save that it is no longer in the dark."""
    connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.status.in_(("running", "abandoned")))
        .values(status=status, ended_at=clock.now(connection), error_code=error_code, error=error, next_step=next_step)
    )


def supersede(connection: Connection, attempt_id: str, *, at: datetime) -> None:
    """It was the delivery, and another attempt is now."""
    connection.execute(update(attempts).where(attempts.c.id == attempt_id).values(status="superseded", ended_at=at))


def abandon(connection: Connection, delivery_id: str) -> None:
    """The delivery is decided: whoever is still at it is too late."""
    connection.execute(
        update(attempts)
        .where(attempts.c.delivery_id == delivery_id, attempts.c.status == "running")
        .values(status="abandoned", ended_at=clock.now(connection))
    )


def became_the_delivery(connection: Connection, delivery_id: str, attempt_id: str, *, run_id: str, at: datetime) -> None:
    """Status committed, also for an attempt that only a manifest tells of."""
    changed = connection.execute(
        update(attempts)
        .where(attempts.c.id == attempt_id, attempts.c.delivery_id == delivery_id)
        .values(status="committed", ended_at=at, error_code=None, error=None, next_step=None)
    )
    if changed.rowcount:
        return
    attempt = Attempt(
        id=attempt_id,
        delivery_id=delivery_id,
        number=_next_number(connection, delivery_id),
        run_id=run_id,
        status="committed",
        started_at=at,
        ended_at=at,
    )
    _insert(connection, attempt, token=FROM_MANIFEST)


def of(connection: Connection, delivery_id: str) -> list[Attempt]:
    rows = connection.execute(select(*_COLUMNS).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number)).mappings().all()
    by_attempt = files.of(connection, [row["id"] for row in rows])
    return [Attempt.model_validate({**row, "files": by_attempt.get(row["id"], ())}) for row in rows]


def last(connection: Connection, environment: str) -> dict[tuple[str, str], Attempt]:
    rows = connection.execute(
        select(last_attempts.c.export, last_attempts.c.member, *_COLUMNS)
        .join_from(last_attempts, attempts, last_attempts.c.attempt_id == attempts.c.id)
        .where(last_attempts.c.environment == environment)
    )
    found: dict[tuple[str, str], Attempt] = {}
    for row in rows.mappings():
        values = dict(row)
        member = values.pop("export"), values.pop("member")
        found[member] = Attempt.model_validate(values)
    return found


_COLUMNS = [attempts.c[name] for name in Attempt.model_fields if name != "files"]


def _next_number(connection: Connection, delivery_id: str) -> int:
    highest = connection.execute(select(func.max(attempts.c.number)).where(attempts.c.delivery_id == delivery_id)).scalar_one()
    return (highest or 0) + 1


def _abandon_others(connection: Connection, lease: Lease, delivery_id: str) -> None:
    """Under a lease, whatever runs for the same export under another token has lost it."""
    of_export = select(deliveries.c.id).where(deliveries.c.environment == lease.environment, deliveries.c.export == lease.export)
    lost = and_(attempts.c.token != lease.token, attempts.c.delivery_id.in_(of_export))
    connection.execute(
        update(attempts)
        .where(attempts.c.status == "running", or_(lost, attempts.c.delivery_id == delivery_id))
        .values(status="abandoned", ended_at=clock.now(connection))
    )


def _insert(connection: Connection, attempt: Attempt, *, token: int) -> None:
    connection.execute(insert(connection, attempts).values(token=token, **attempt.model_dump(exclude={"files"})))
    of = (
        connection.execute(
            select(deliveries.c.environment, deliveries.c.export, deliveries.c.member).where(deliveries.c.id == attempt.delivery_id)
        )
        .mappings()
        .one()
    )
    connection.execute(
        insert(connection, last_attempts)
        .values(attempt_id=attempt.id, **of)
        .on_conflict_do_update(index_elements=["environment", "export", "member"], set_={"attempt_id": attempt.id})
    )
