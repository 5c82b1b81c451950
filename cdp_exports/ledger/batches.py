"""The journal of what was sent to audience destinations: each batch is written down before it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, insert, select, update

from cdp_exports.ledger import clock
from cdp_exports.ledger.leases import fence
from cdp_exports.ledger.records import BatchState, Lease, SentBatch
from cdp_exports.ledger.tables import batches

_COLUMNS = [batches.c[name] for name in SentBatch.model_fields]


def begin(connection: Connection, lease: Lease, batch: SentBatch) -> None:
    fence(connection, lease)
    note(connection, batch)


def note(connection: Connection, batch: SentBatch) -> None:
    values = {name: getattr(batch, name) for name in SentBatch.model_fields}
    connection.execute(insert(batches).values(**values, sent_at=clock.now(connection)))


def end(connection: Connection, batch_id: str, state: BatchState, rejected: str | None) -> None:
    """What is known of it now; once the receiver answered, that stands."""
    connection.execute(
        update(batches)
        .where(batches.c.id == batch_id, batches.c.state != BatchState.DONE)
        .values(state=state, rejected=rejected, answered_at=clock.now(connection))
    )


def unsettled(connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str]) -> list[SentBatch]:
    """Those that no committed delivery's state tells of, in the order in which they were sent."""
    query = (
        select(*_COLUMNS)
        .where(
            batches.c.environment == environment,
            batches.c.export.in_(exports),
            batches.c.member.in_(members),
            batches.c.settled_by.is_(None),
        )
        .order_by(batches.c.number)
    )
    return [SentBatch.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def filled_by(connection: Connection, place: str, audience: str) -> tuple[str, str, str] | None:
    """Environment, export and member of the newest batch that went there."""
    query = select(batches.c.environment, batches.c.export, batches.c.member).where(
        batches.c.place == place, batches.c.audience == audience, batches.c.state != BatchState.VOID
    )
    found = connection.execute(query.order_by(batches.c.number.desc()).limit(1)).one_or_none()
    return None if found is None else (found.environment, found.export, found.member)


def settle(connection: Connection, delivery_id: str, batch_ids: Iterable[str]) -> None:
    for batch_id in batch_ids:
        connection.execute(update(batches).where(batches.c.id == batch_id).values(settled_by=delivery_id))
