"""Up to which versions each member was delivered, read without the rest of its pin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, and_, func, select, type_coerce

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import State
from cdp_exports.ledger.tables import deliveries


@dataclass(frozen=True)
class Delivered:
    """The last committed delivery of a member. `versions`: by dataset, the table's id and the version it went up to; of consent and
    lists only where they were written down. `bytes`: its size at the destination."""

    export_time: ExportTime
    pinned_at: datetime
    versions: Mapping[str, tuple[str, int]]
    bytes: int


def last(connection: Connection, environment: str, exports: Sequence[str]) -> dict[tuple[str, str], Delivered]:
    """By export and member."""
    of = deliveries.c.environment == environment, deliveries.c.export.in_(exports), deliveries.c.state == State.COMMITTED
    by_member = deliveries.c.export, deliveries.c.member
    newest = select(*by_member, func.max(deliveries.c.export_time).label("newest")).where(*of).group_by(*by_member).subquery()
    same = [deliveries.c[name] == newest.c[name] for name in ("export", "member")]
    rows = connection.execute(
        select(
            *by_member,
            deliveries.c.export_time,
            deliveries.c.pinned_at,
            deliveries.c.bytes,
            type_coerce(deliveries.c.pin, JSON)["sources"].label("sources"),
            type_coerce(deliveries.c.counts, JSON)[("held", "guards")].label("guards"),
        )
        .select_from(deliveries.join(newest, and_(*same, deliveries.c.export_time == newest.c.newest)))
        .where(*of)
    )
    return {(row.export, row.member): Delivered(row.export_time, row.pinned_at, _versions(row), row.bytes or 0) for row in rows}


def _versions(row: Any) -> dict[str, tuple[str, int]]:
    pins = [*(row.sources or ()), *(row.guards or ())]
    return {pin["dataset"]: (pin["table_id"], pin["upto_version"]) for pin in pins}
