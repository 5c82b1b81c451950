"""Deliveries: pinned → publishing → committed, or covered by a later one. At most one of a member is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Row, Select, and_, insert, select, type_coerce, update
from sqlalchemy.exc import IntegrityError

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip
from cdp_exports.ledger import attempts, clock, files, missed
from cdp_exports.ledger.leases import fence
from cdp_exports.ledger.records import Counts, Delivery, FileRecord, Lease, Link, State
from cdp_exports.ledger.tables import attempts as attempt_rows
from cdp_exports.ledger.tables import deliveries

OPEN = (State.PINNED, State.PUBLISHING)


# -- reading
def one(
    connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str], export_time: ExportTime
) -> Delivery | None:
    found = read(connection, select(deliveries).where(_of(environment, exports, members), deliveries.c.export_time == export_time))
    return min(found, key=lambda delivery: (exports.index(delivery.export), members.index(delivery.member)), default=None)


def by_ids(connection: Connection, ids: Iterable[str]) -> dict[str, Delivery]:
    wanted = list(ids)
    found = read(connection, select(deliveries).where(deliveries.c.id.in_(wanted))) if wanted else []
    return {delivery.id: delivery for delivery in found}


def known(connection: Connection, ids: Iterable[str]) -> set[str]:
    return set(connection.execute(select(deliveries.c.id).where(deliveries.c.id.in_(list(ids)))).scalars())


def in_state(
    connection: Connection,
    environment: str,
    exports: Sequence[str],
    members: Sequence[str],
    *states: State,
    after: ExportTime | None = None,
) -> list[Delivery]:
    """Oldest export time first."""
    wanted = [_of(environment, exports, members), deliveries.c.state.in_(states)]
    wanted += [deliveries.c.export_time > after] if after is not None else []
    return read(connection, select(deliveries).where(*wanted).order_by(deliveries.c.export_time))


def last_committed(connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str]) -> Delivery | None:
    wanted = _of(environment, exports, members), deliveries.c.state == State.COMMITTED
    found = read(connection, select(deliveries).where(*wanted).order_by(deliveries.c.export_time.desc()).limit(1))
    return found[0] if found else None


def newest_under_fixed_names(
    connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str], target: str, folder: str
) -> ExportTime | None:
    pin = type_coerce(deliveries.c.pin, JSON)
    place = pin["overwrite"].as_boolean(), pin["target"].as_string() == target, pin["folder"].as_string() == folder
    wanted = _of(environment, exports, members), deliveries.c.state == State.COMMITTED, *place
    newest = select(deliveries.c.export_time).where(*wanted).order_by(deliveries.c.export_time.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()


def links(connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str]) -> list[Link]:
    """The committed ones, oldest first."""
    columns = [deliveries.c[name] for name in Link.model_fields]
    wanted = _of(environment, exports, members), deliveries.c.state == State.COMMITTED
    rows = connection.execute(select(*columns).where(*wanted).order_by(deliveries.c.export_time)).mappings()
    return [Link.model_validate(dict(row)) for row in rows]


def read(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Delivery]:
    """Rows of deliveries as records, with the files of those that are committed."""
    rows = connection.execute(query).mappings().all()
    delivered = files.of(connection, (row["attempt_id"] for row in rows if row["state"] is State.COMMITTED), delivered_only=True)
    return [Delivery.model_validate({**row, "files": delivered.get(row["attempt_id"], ())}) for row in rows]


# -- writing
def pin(connection: Connection, lease: Lease, delivery: Delivery) -> None:
    fence(connection, lease)
    undecided = dict.fromkeys(("attempt_id", "counts", "bytes", "covered_by", "committed_at"))
    try:
        connection.execute(insert(deliveries).values({**_values(delivery), "state": State.PINNED, **undecided}))
    except IntegrityError:
        raise Skip(
            "This member has another open delivery, or one at this export time, that was recorded meanwhile.",
            next_step="Run again: it begins with the open one.",
            reason="superseded",
        ) from None


def publishing(connection: Connection, lease: Lease, attempt_id: str, counts: Counts) -> None:
    fence(connection, lease)
    delivery_id = connection.execute(select(attempt_rows.c.delivery_id).where(attempt_rows.c.id == attempt_id)).scalar_one()
    row = _locked(connection, delivery_id)
    if row.state is not State.PINNED and not (row.state is State.PUBLISHING and row.attempt_id == attempt_id):
        raise _decided(row)
    _set(connection, delivery_id, state=State.PUBLISHING, attempt_id=attempt_id, counts=counts)


def reopen(connection: Connection, lease: Lease, delivery_id: str) -> None:
    fence(connection, lease)
    row = _locked(connection, delivery_id)
    if row.state not in OPEN:
        raise _decided(row)
    _set(connection, delivery_id, state=State.PINNED, attempt_id=None, counts=None)


def commit(
    connection: Connection, delivery_id: str, attempt_id: str, *, counts: Counts, delivered: Sequence[FileRecord], run_id: str
) -> Delivery:
    row = _locked(connection, delivery_id)
    if row.state in OPEN:
        now = clock.now(connection)
        _set(
            connection,
            delivery_id,
            state=State.COMMITTED,
            attempt_id=attempt_id,
            counts=counts,
            bytes=sum(file.bytes or 0 for file in delivered),
            run_id=run_id,
            committed_at=now,
        )
        _decide_for(connection, delivery_id, attempt_id, delivered, run_id=run_id, at=now)
        missed.cover(connection, row.environment, row.export, row.member, row.export_time)
    elif row.state is not State.COMMITTED or row.attempt_id != attempt_id:
        raise _decided(row)
    return by_ids(connection, [delivery_id])[delivery_id]


def cover(connection: Connection, delivery_id: str, covered_by: ExportTime) -> None:
    row = _locked(connection, delivery_id)
    if row.state is State.COVERED:
        return
    if row.state not in OPEN:
        raise _decided(row)
    _set(connection, delivery_id, state=State.COVERED, covered_by=covered_by, attempt_id=None, counts=None)
    attempts.abandon(connection, delivery_id)


def replace(
    connection: Connection, lease: Lease, delivery_id: str, attempt_id: str, *, counts: Counts, delivered: Sequence[FileRecord], run_id: str
) -> None:
    fence(connection, lease)
    row = _locked(connection, delivery_id)
    if row.state is not State.COMMITTED:
        raise _decided(row)
    if row.attempt_id == attempt_id:
        return
    now = clock.now(connection)
    attempts.supersede(connection, row.attempt_id, at=now)
    _set(connection, delivery_id, attempt_id=attempt_id, counts=counts, bytes=sum(file.bytes or 0 for file in delivered), run_id=run_id)
    _decide_for(connection, delivery_id, attempt_id, delivered, run_id=run_id, at=now)


def adopt(connection: Connection, delivery: Delivery) -> bool:
    """Record a committed delivery that a manifest tells of. True if the ledger did not know it as committed.

    An open delivery at its place was pinned without knowing of the manifest: it becomes this one, attempts and files
    go with it, so that what they left behind is swept.
    """
    here = and_(_of(delivery.environment, [delivery.export], [delivery.member]), deliveries.c.export_time == delivery.export_time)
    row = connection.execute(select(deliveries).where(here).with_for_update()).one_or_none()
    if row is None:
        connection.execute(insert(deliveries).values(_values(delivery)))
    elif row.state in OPEN:
        connection.execute(update(deliveries).where(here).values(_values(delivery)))
    elif row.state is State.COMMITTED and row.id == delivery.id and row.attempt_id != delivery.attempt_id:
        attempts.supersede(connection, row.attempt_id, at=clock.now(connection))
        _set(connection, row.id, attempt_id=delivery.attempt_id, counts=delivery.counts, bytes=delivery.bytes)
    else:
        return False
    at = delivery.committed_at or delivery.pinned_at
    _decide_for(connection, delivery.id, delivery.attempt_id or delivery.id, delivery.files, run_id=delivery.run_id or "adopted", at=at)
    return True


def _decide_for(
    connection: Connection, delivery_id: str, attempt_id: str, delivered: Sequence[FileRecord], *, run_id: str, at: datetime
) -> None:
    attempts.became_the_delivery(connection, delivery_id, attempt_id, run_id=run_id, at=at)
    attempts.abandon(connection, delivery_id)
    files.close(connection, delivery_id, attempt_id, delivered)


def _values(delivery: Delivery) -> dict[str, Any]:
    return {column.name: getattr(delivery, column.name) for column in deliveries.columns}


def _of(environment: str, exports: Sequence[str], members: Sequence[str]) -> ColumnElement[bool]:
    return and_(deliveries.c.environment == environment, deliveries.c.export.in_(exports), deliveries.c.member.in_(members))


def _locked(connection: Connection, delivery_id: str) -> Row[Any]:
    return connection.execute(select(deliveries).where(deliveries.c.id == delivery_id).with_for_update()).one()


def _set(connection: Connection, delivery_id: str, **values: Any) -> None:
    connection.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(values))


def _decided(row: Row[Any]) -> Skip:
    how = f"covered by the one of {row.covered_by}" if row.state is State.COVERED else f"{row.state.value} by another attempt"
    return Skip(
        f"The delivery of {row.export_time} is {how}.", next_step="Nothing to do: see the history of this export.", reason="superseded"
    )
