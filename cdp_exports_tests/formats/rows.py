"""Hypothesis strategies for tables that are hard to write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

TEXT = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "007", "\\N", "NULL", '"', '""', "\\", '\\"', "a\nb", "\r", "\r\n", ",", "\t", "|", ";", ":", "'", "true", "1e5", "é€😀"]
    ),
    st.text(st.sampled_from('ab"\\,;|\t:\n\r Né0'), max_size=6),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)

_MOMENT = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001  the values without a zone

SCALARS: dict[str, tuple[pl.DataType, st.SearchStrategy[object]]] = {
    "integer": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pl.Int16(), st.integers(-(2**15), 2**15 - 1)),
    "text": (pl.String(), TEXT),
    "more_text": (pl.String(), TEXT),
    "amount": (pl.Decimal(18, 4), st.decimals(-(10**13), 10**13, places=4)),
    "ratio": (pl.Float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "flag": (pl.Boolean(), st.booleans()),
    "day": (pl.Date(), st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1))),
    "local": (pl.Datetime("us"), _MOMENT),
    "moment": (pl.Datetime("us", "UTC"), _MOMENT.map(lambda at: at.replace(tzinfo=dt.UTC))),
}

NESTED: dict[str, tuple[pl.DataType, st.SearchStrategy[object]]] = {
    "tags": (pl.List(pl.String()), st.lists(TEXT, max_size=3)),
    "visits": (
        pl.List(pl.Struct({"at": pl.Datetime("us", "UTC"), "page": pl.String()})),
        st.lists(st.fixed_dictionaries({"at": _MOMENT.map(lambda at: at.replace(tzinfo=dt.UTC)), "page": TEXT}), max_size=2),
    ),
    "address": (
        pl.Struct({"city": pl.String(), "since": pl.Date(), "price": pl.Decimal(9, 2)}),
        st.fixed_dictionaries(
            {"city": TEXT, "since": st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)), "price": st.just(Decimal("1.10"))}
        ),
    ),
    "scores": (
        pl.Map(pl.String(), pl.Datetime("us")),
        st.dictionaries(st.text("abc", min_size=1, max_size=3), _MOMENT, max_size=2),
    ),
}


@st.composite
def tables(draw: st.DrawFn, columns: Mapping[str, tuple[pl.DataType, st.SearchStrategy[object]]]) -> pl.DataFrame:
    """A frame of one to some rows with all these columns, nulls among them."""
    rows = draw(st.lists(st.tuples(*(st.none() | values for _, values in columns.values())), min_size=1, max_size=12))
    return pl.DataFrame(
        [
            pl.Series(name, [row[position] for row in rows], dtype=dtype, strict=True)
            for position, (name, (dtype, _)) in enumerate(columns.items())
        ]
    )


def as_json(value: Any) -> Any:
    """The same value as a JSON reader gives it."""
    match value:
        case dt.datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + ("Z" if value.tzinfo else "")
        case dt.date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case dict():
            return {key: as_json(part) for key, part in value.items()}
        case list():
            return [as_json(part) for part in value]
        case _:
            return value
