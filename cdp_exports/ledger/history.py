"""What happened, newest first: deliveries and skips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, insert, select

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import deliveries, due
from cdp_exports.ledger.records import Delivery, SkipRecord
from cdp_exports.ledger.tables import deliveries as delivery_rows
from cdp_exports.ledger.tables import skips

PASSING_BY = ("already_running", "superseded")
"""Reasons of skips that say nothing of the export time: another run is at it."""

_COLUMNS = [skips.c[name] for name in SkipRecord.model_fields]


def skip(connection: Connection, record: SkipRecord) -> None:
    connection.execute(insert(skips).values({name: getattr(record, name) for name in SkipRecord.model_fields}))


def skipped(connection: Connection, environment: str, exports: Sequence[str], member: str, export_time: ExportTime) -> SkipRecord | None:
    """The newest reason why, by rule, nothing was delivered at an export time; that another run was at it is none."""
    here = skips.c.environment == environment, skips.c.export.in_(exports), skips.c.member == member, skips.c.export_time == export_time
    by_rule = skips.c.outcome == "skipped", skips.c.reason.not_in(PASSING_BY)
    newest_first = skips.c.at.desc(), skips.c.id.desc()
    row = connection.execute(select(*_COLUMNS).where(*here, *by_rule).order_by(*newest_first).limit(1)).mappings().one_or_none()
    return SkipRecord.model_validate(row) if row else None


def newest(connection: Connection, environment: str, export: str | None, limit: int) -> list[Delivery | SkipRecord]:
    """By export time, then by when it was committed, pinned or skipped."""

    def of(query: Select[*tuple[Any, ...]], table: Table, moment: str) -> Select[*tuple[Any, ...]]:
        query = query.where(table.c.environment == environment)
        if export is not None:
            query = query.where(table.c.export == export)
        return query.order_by(table.c.export_time.desc(), table.c[moment].desc()).limit(limit)

    delivered = deliveries.read(connection, of(select(delivery_rows), delivery_rows, "pinned_at"))
    skipped = [SkipRecord.model_validate(row) for row in connection.execute(of(select(*_COLUMNS), skips, "at")).mappings()]
    waiting = [record for one in due.all_open(connection, environment, export) for record in _waiting(one)]
    return sorted([*delivered, *skipped, *waiting], key=_order, reverse=True)[:limit]


def _waiting(one: due.Due) -> list[SkipRecord]:
    """An export time that waits for a refresh, of each member."""
    if one.state != "waiting_for_refresh":
        return []
    runs = ", ".join(one.upstream_runs)
    return [
        SkipRecord(
            environment=one.environment,
            export=one.export,
            member=member,
            export_time=one.export_time,
            outcome="waiting",
            reason=one.state,
            message=f"It fell due while what it reads was being refreshed (run {runs}), and runs when that has ended.",
            next_step=f"Nothing to do. To deliver without waiting: `cdp-exports run {one.export}`.",
            run_id=runs,
            at=one.since,
        )
        for member in one.members
    ]


def _order(event: Delivery | SkipRecord) -> tuple[ExportTime, Any]:
    """A delivery that was committed in the end stands before the failures on the way there."""
    return event.export_time, event.committed_at or event.pinned_at if isinstance(event, Delivery) else event.at
