"""The values of a list as the types that were declared for them, each the very value that stands in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdp_exports.errors import DeclarationError, SourceUnreadable

if TYPE_CHECKING:
    import polars as pl

_NAMES: Mapping[str, tuple[str, ...]] = {
    "String": ("varchar", "text", "string", "char", "bpchar", "nvarchar", "uuid"),
    "Int64": ("bigint", "int8", "int64", "long", "oid"),
    "Int32": ("integer", "int", "int4", "int32", "signed"),
    "Int16": ("smallint", "int2", "int16", "short"),
    "Int8": ("tinyint", "int1"),
    "UInt64": ("ubigint", "uint64"),
    "UInt32": ("uinteger", "uint32"),
    "UInt16": ("usmallint", "uint16"),
    "UInt8": ("utinyint", "uint8"),
    "Float64": ("double", "float8"),
    "Float32": ("real", "float", "float4"),
    "Boolean": ("boolean", "bool", "logical"),
    "Date": ("date",),
    "Datetime": ("timestamp", "datetime", "timestamp without time zone"),
    "DatetimeUTC": ("timestamptz", "timestamp with time zone"),
}
_POLARS = {name: kind for kind, names in _NAMES.items() for name in names}
_TEXT_LENGTH = re.compile(r"(n?varchar|char|bpchar|text|string)\s*\(\s*\d+\s*\)")
_DECIMAL = re.compile(r"(?:decimal|numeric|dec)(?:\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")
_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")


def polars_type(name: str) -> pl.DataType | None:
    """The Polars type of a type as DuckDB names it; None of one that a list cannot have (blob, interval, time, nested).

    >>> polars_type("DECIMAL(10, 2)"), polars_type("varchar[]")
    (Decimal(precision=10, scale=2), None)
    """
    import polars as pl

    name = " ".join(name.lower().split())
    if found := _DECIMAL.fullmatch(name):
        precision = int(found[1] or 18)
        return pl.Decimal(precision, int(found[2] or 0) if found[1] else 3)
    kind = "String" if _TEXT_LENGTH.fullmatch(name) else _POLARS.get(name)
    if kind is None:
        return None
    if kind.startswith("Datetime"):
        return pl.Datetime("us", "UTC" if kind == "DatetimeUTC" else None)
    return getattr(pl, kind)()


def typed(frame: pl.LazyFrame, types: Mapping[str, str], uri: str) -> pl.LazyFrame:
    """The frame's columns as these types. Every value is looked at now, so that what reads the frame later meets no bad one.

    Raises:
        DeclarationError: a type that a list cannot have.
        SourceUnreadable: values that are not of the type; says how many, never which.
    """
    import polars as pl

    schema = frame.collect_schema()
    cast: dict[str, pl.Expr] = {}
    wrong: dict[str, pl.Expr] = {}
    for name, type_name in types.items():
        wanted = polars_type(type_name)
        if wanted is None:
            raise DeclarationError(
                f"The list {uri} cannot have a column of the type {type_name} ({name}).",
                next_step="Its columns are text, numbers, booleans, dates or timestamps; declare it as varchar and cast it in SQL.",
            )
        column = pl.col(name)
        if schema[name] == pl.String and wanted != pl.String:
            cast[name] = _parsed(column, wanted)
            lossy = (column.str.strip_chars() != "") & cast[name].is_null()
        elif not _comparable(schema[name], wanted):
            raise SourceUnreadable(
                f"The column {name!r} in the list {uri} is not of the type {type_name}, but of Polars' {schema[name].base_type()}.",
                next_step="Declare the column's type as it is.",
            )
        else:
            cast[name] = column.cast(wanted, strict=False)
            lossy = column.is_not_null() & column.ne_missing(cast[name].cast(schema[name], strict=False))
        wrong[name] = lossy.sum()
    counted = frame.select(**wrong).collect(engine="streaming").row(0, named=True)
    for name, count in counted.items():
        if count:
            raise SourceUnreadable(
                f"{count} values of the column {name!r} in the list {uri} are not of the type {types[name]}.",
                next_step="Correct the file, or declare the column's type as it is.",
            )
    return frame.select(**cast)


def _comparable(stored: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a value of one type may be the same value of the other."""
    import polars as pl

    if stored.is_temporal():
        return wanted.is_temporal() or wanted == pl.String
    if stored.is_numeric() or stored == pl.Boolean:
        return not wanted.is_temporal()
    return stored in (wanted, pl.Null)


def _parsed(text: pl.Expr, wanted: pl.DataType) -> pl.Expr:
    """Null where the text is empty, or no such value."""
    import polars as pl

    text = text.str.strip_chars()
    if wanted == pl.Boolean:
        word = text.str.to_lowercase()
        return pl.when(word.is_in(_TRUE)).then(True).when(word.is_in(_FALSE)).then(False)
    if wanted == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    if isinstance(wanted, pl.Datetime):
        return _moment(text, wanted)
    if isinstance(wanted, pl.Decimal):
        exact = text.str.contains(rf"^[+-]?(\d+(\.\d{{0,{wanted.scale}}}0*)?|\.\d{{1,{max(wanted.scale, 1)}}}0*)$")
        return pl.when(exact).then(text).cast(wanted, strict=False)
    if wanted.is_integer():
        text = text.str.replace(r"\.0+$", "")  # as JSON may write a whole number
    return text.cast(wanted, strict=False)


def _moment(text: pl.Expr, wanted: pl.Datetime) -> pl.Expr:
    """`2026-12-01T02:00:00`, with a blank or a T, fractions, an offset where there is a time zone (else UTC), or a date alone."""
    import polars as pl

    text = text.str.replace(r"^(\d{4}-\d{2}-\d{2})[Tt]", "$1 ").str.replace(r"^(\d{4}-\d{2}-\d{2})$", "$1 00:00:00")
    if wanted.time_zone is None:
        return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    text = text.str.replace(r"\s*[Zz]$", "+00:00").str.replace(r"\s*([+-]\d{2})$", "$1:00").str.replace(r"([+-]\d{2})(\d{2})$", "$1:$2")
    text = pl.when(text.str.contains(r":\d{2}(\.\d+)?$") & ~text.str.contains(r"[+-]\d{2}:\d{2}$")).then(text + "+00:00").otherwise(text)
    return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%:z", time_unit="us", strict=False)
