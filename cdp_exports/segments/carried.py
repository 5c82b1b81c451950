"""Which types a file of each format can carry, told by their names: what `formats` would find only when rows are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cdp_exports.entities.file_format import CsvFormat, Format, ParquetFormat
from cdp_exports.segments.binding import parsed_type

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType

_NESTED = frozenset({"list", "array", "struct", "map"})
_NEVER = frozenset({"interval", "union", "time with time zone", "bit", "bignum", "variant", "geometry"})
"""On their way to a file they are refused, or lose something: the zone of a time of day, the length of bits."""
_TEXT = frozenset({"varchar", "enum", "uuid"})


def refusal(type_name: str, file_format: Format) -> str | None:
    """Why a format cannot carry a type of DuckDB's, and what to write; None where it can.

    >>> refusal("INTERVAL", ParquetFormat())
    'no file carries INTERVAL; write CAST(... AS VARCHAR)'
    >>> refusal("DOUBLE", ParquetFormat())
    """
    parts = [(str(part), part.id) for part in _within(parsed_type(type_name))]
    if found := next((name for name, kind in parts if kind in _NEVER), None):
        return f"no file carries {found}; write CAST(... AS VARCHAR)"
    kinds = {kind for _, kind in parts}
    if isinstance(file_format, ParquetFormat):
        wide = "few readers of Parquet know integers of 128 bits; write CAST(... AS BIGINT), or CAST(... AS DECIMAL(38, 0))"
        return wide if kinds & {"hugeint", "uhugeint"} else None
    if "blob" in kinds and file_format.binary is None:
        return f"{file_format.type} has several ways to write bytes; say `binary: base64` or `binary: hex` in `format`"
    if any(_key(part).id not in _TEXT for part in _within(parsed_type(type_name)) if part.id == "map"):
        return f"in {file_format.type} the keys of a map are text; CAST them to VARCHAR"
    if isinstance(file_format, CsvFormat) and file_format.nested is None and parts[0][1] in _NESTED:
        return "csv has no place for values within values; say `nested: json` in `format`"
    return None


def _key(map_: DuckDBPyType) -> DuckDBPyType:
    inside: Any = map_.children
    return dict(inside)["key"]


def _within(one: DuckDBPyType) -> Iterator[DuckDBPyType]:
    """A type and all inside of it, but the keys of maps, which are text or refused."""
    yield one
    if one.id in _NESTED:
        inside: Any = one.children
        skipped = {"array": "size", "map": "key"}.get(one.id)
        for name, part in inside:
            if name != skipped:
                yield from _within(part)
