"""How often in a row a member failed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, func, or_, select

from cdp_exports.ledger.tables import deliveries, skips


def in_a_row(connection: Connection, environment: str, exports: Sequence[str]) -> dict[tuple[str, str], int]:
    """By export and member, at how many export times it failed since its last delivery; those that did not are not in it."""
    by_member = deliveries.c.export, deliveries.c.member
    here = deliveries.c.environment == environment, deliveries.c.export.in_(exports)
    last = select(*by_member, func.max(deliveries.c.committed_at).label("at")).where(*here).group_by(*by_member).subquery()
    rows = connection.execute(
        select(skips.c.export, skips.c.member, func.count(skips.c.export_time.distinct()).label("times"))
        .select_from(skips.outerjoin(last, and_(skips.c.export == last.c.export, skips.c.member == last.c.member)))
        .where(skips.c.environment == environment, skips.c.export.in_(exports), skips.c.outcome == "failed")
        .where(or_(last.c.at.is_(None), skips.c.at > last.c.at))
        .group_by(skips.c.export, skips.c.member)
    )
    return {(row.export, row.member): row.times for row in rows}
