"""Files of attempts: recorded before their first byte leaves, closed with the delivery, swept if they lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import JSON, Connection, and_, bindparam, delete, exists, false, func, insert, or_, select, type_coerce, update

from cdp_exports.ledger.leases import fence
from cdp_exports.ledger.records import FileRecord, Lease, Standing, State
from cdp_exports.ledger.tables import attempts, deliveries, files

_COLUMNS = [files.c[name] for name in FileRecord.model_fields]
_BATCH = 500  # SQLite and Postgres both limit how many values one statement names


def begin(connection: Connection, lease: Lease, attempt_id: str, path: str) -> None:
    fence(connection, lease)
    connection.execute(insert(files).values(attempt_id=attempt_id, path=path))


def end(connection: Connection, attempt_id: str, file: FileRecord) -> None:
    """A stalled attempt may finish a file that has been swept: then it is there again, and not `removed` any more."""
    connection.execute(update(files).where(files.c.attempt_id == attempt_id, files.c.path == file.path).values(**file.model_dump()))


def close(connection: Connection, delivery_id: str, attempt_id: str, delivered: Iterable[FileRecord]) -> None:
    """These files, all of them and no other, are the delivery's."""
    of_delivery = select(attempts.c.id).where(attempts.c.delivery_id == delivery_id)
    connection.execute(update(files).where(files.c.attempt_id.in_(of_delivery), files.c.delivered).values(delivered=False))
    rows = [{"attempt_id": attempt_id, "delivered": True, **file.model_dump()} for file in delivered]
    if not rows:
        return
    known = delete(files).where(files.c.attempt_id == bindparam("of_attempt"), files.c.path == bindparam("at_path"))
    connection.execute(known, [{"of_attempt": attempt_id, "at_path": row["path"]} for row in rows])
    connection.execute(insert(files), rows)


def removed(connection: Connection, attempt_id: str, paths: Iterable[str]) -> None:
    rows = [{"at_path": path} for path in paths]
    if rows:
        marked = update(files).where(files.c.attempt_id == attempt_id, files.c.path == bindparam("at_path")).values(removed=True)
        connection.execute(marked, rows)


def of(connection: Connection, attempt_ids: Iterable[str], *, delivered_only: bool = False) -> dict[str, tuple[FileRecord, ...]]:
    """The files of each attempt in order of their paths."""
    found: defaultdict[str, list[FileRecord]] = defaultdict(list)
    wanted = list(attempt_ids)
    for start in range(0, len(wanted), _BATCH):
        query = select(files.c.attempt_id, *_COLUMNS).where(files.c.attempt_id.in_(wanted[start : start + _BATCH]))
        if delivered_only:
            query = query.where(files.c.delivered)
        for row in connection.execute(query.order_by(files.c.path)).mappings():
            values = dict(row)
            found[values.pop("attempt_id")].append(FileRecord.model_validate(values))
    return {attempt_id: tuple(records) for attempt_id, records in found.items()}


def is_ours(connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str], target: str, path: str) -> bool:
    """Whether an attempt of this member wrote to this path of a place, or was about to, and it was not removed since."""
    query = (
        select(files.c.path)
        .join_from(files, attempts, files.c.attempt_id == attempts.c.id)
        .join(deliveries, attempts.c.delivery_id == deliveries.c.id)
        .where(
            files.c.path == path,
            ~files.c.removed,
            deliveries.c.environment == environment,
            deliveries.c.export.in_(exports),
            deliveries.c.member.in_(members),
            type_coerce(deliveries.c.pin, JSON)["target"].as_string() == target,
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def standing(
    connection: Connection, environment: str, exports: Sequence[str] | None = None, members: Sequence[str] | None = None
) -> list[Standing]:
    """Deliveries whose files do not stay for ever and were not removed yet, the oldest first. They have fixed names, or are kept for a
    time only."""
    pin = type_coerce(deliveries.c.pin, JSON)
    query = (
        select(
            *(deliveries.c[name] for name in ("id", "export", "member", "export_time")),
            *(pin[name].as_string().label(name) for name in ("connection_id", "target", "folder", "keep_for")),
            func.coalesce(pin["overwrite"].as_boolean(), false()).label("overwrite"),
            attempts.c.ended_at.label("written"),
        )
        .join_from(deliveries, attempts, attempts.c.id == deliveries.c.attempt_id)
        .where(
            deliveries.c.environment == environment,
            *([] if exports is None else [deliveries.c.export.in_(exports)]),
            *([] if members is None else [deliveries.c.member.in_(members)]),
            deliveries.c.state == State.COMMITTED,
            or_(pin["overwrite"].as_boolean(), pin["keep_for"].as_string().is_not(None)),
            exists().where(files.c.attempt_id == deliveries.c.attempt_id, files.c.delivered, ~files.c.removed),
        )
        .order_by(deliveries.c.export_time)
    )
    return [Standing.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def passed_on(connection: Connection, attempt_id: str, paths: Iterable[str]) -> set[str]:
    """Of the paths that an attempt wrote to, those whose name was given to others since: what stands there is another delivery's, or of
    another member, who found nothing there and wrote after it."""
    own, own_delivery = attempts.alias(), deliveries.alias()
    place, own_place = (type_coerce(table.c.pin, JSON)["target"].as_string() for table in (deliveries, own_delivery))
    query = (
        select(files.c.path)
        .join_from(files, attempts, files.c.attempt_id == attempts.c.id)
        .join(deliveries, attempts.c.delivery_id == deliveries.c.id)
        .join(own, own.c.id == attempt_id)
        .join(own_delivery, own.c.delivery_id == own_delivery.c.id)
        .where(
            ~files.c.removed,
            attempts.c.delivery_id != own.c.delivery_id,
            attempts.c.started_at > own.c.started_at,
            place == own_place,
            or_(files.c.delivered, deliveries.c.export != own_delivery.c.export, deliveries.c.member != own_delivery.c.member),
        )
    )
    found, wanted = set[str](), list(paths)
    for start in range(0, len(wanted), _BATCH):
        found.update(connection.execute(query.where(files.c.path.in_(wanted[start : start + _BATCH]))).scalars())
    return found


def leftovers(
    connection: Connection, environment: str, exports: Sequence[str], members: Sequence[str]
) -> dict[str, dict[str, tuple[FileRecord, ...]]]:
    """Delivery id → attempt id → files that may be removed: the delivery is decided, and they are none of it.

    Not those of an attempt that runs, of a copy that was delivered into another folder (committed without being the
    delivery's attempt), nor a path where a delivered file or a running attempt's stands now.
    """
    other_attempts, other_files = attempts.alias(), files.alias()
    taken = exists().where(
        other_files.c.path == files.c.path,
        other_files.c.attempt_id == other_attempts.c.id,
        or_(and_(other_files.c.delivered, ~other_files.c.removed), other_attempts.c.status == "running"),
    )
    query = (
        select(deliveries.c.id.label("delivery_id"), files.c.attempt_id, *_COLUMNS)
        .join_from(files, attempts, files.c.attempt_id == attempts.c.id)
        .join(deliveries, attempts.c.delivery_id == deliveries.c.id)
        .where(
            and_(~files.c.delivered, ~files.c.removed),
            deliveries.c.environment == environment,
            deliveries.c.export.in_(exports),
            deliveries.c.member.in_(members),
            deliveries.c.state.in_((State.COMMITTED, State.COVERED)),
            or_(attempts.c.status.not_in(("running", "committed")), attempts.c.id == deliveries.c.attempt_id),
            ~taken,
        )
        .order_by(deliveries.c.export_time, attempts.c.number, files.c.path)
    )
    found: dict[str, dict[str, tuple[FileRecord, ...]]] = {}
    for row in connection.execute(query).mappings():
        values = dict(row)
        of_delivery = found.setdefault(values.pop("delivery_id"), {})
        attempt_id = values.pop("attempt_id")
        of_delivery[attempt_id] = (*of_delivery.get(attempt_id, ()), FileRecord.model_validate(values))
    return found
