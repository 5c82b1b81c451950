"""Rows whose relative date may have come due between two times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cdp_exports.segments.audience import TimeBound, at

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.evaluation.session import Session


def may_be_due(session: Session, bounds: Sequence[TimeBound], since: datetime, now: datetime, schema: pl.Schema) -> pl.Expr:
    """A predicate that holds for every row that a bound judges differently at the two times.

    It may hold for more (they are judged exactly afterwards), and files whose statistics exclude it are not read.
    """
    import polars as pl

    values = session.run(f"SELECT {', '.join(at(bound.sql, moment) for bound in bounds for moment in (since, now))}")[0]
    pairs = zip(values[::2], values[1::2], strict=True)
    return pl.any_horizontal(_between(bound.column, schema[bound.column], pair) for bound, pair in zip(bounds, pairs, strict=True))


def _between(column: str, kind: pl.DataType, values: tuple[Any, Any]) -> pl.Expr:
    import polars as pl

    if any(value is None for value in values):
        return pl.col(column).is_not_null()
    low, high = sorted(values)
    if isinstance(low, date) and isinstance(high, date):  # a datetime is a date
        if kind == pl.Date:
            return pl.col(column).is_between(_moment(low).date() - timedelta(days=1), _moment(high).date() + timedelta(days=1))
        if isinstance(kind, pl.Datetime):
            margin = timedelta(seconds=1)  # for columns of coarser units
            ends = [_moment(value) + step for value, step in ((low, -margin), (high, margin))]
            ends = [end if kind.time_zone else end.replace(tzinfo=None) for end in ends]
            return pl.col(column).is_between(*(pl.lit(end, dtype=pl.Datetime("us", kind.time_zone)) for end in ends))
    if (isinstance(low, (int, float, Decimal)) and kind.is_numeric()) or (isinstance(low, str) and kind == pl.String):
        return pl.col(column).is_between(pl.lit(low), pl.lit(high))
    return pl.col(column).is_not_null()


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
