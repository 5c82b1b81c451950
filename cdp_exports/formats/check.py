"""Whether a format can carry these columns, asked before a byte is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cdp_exports.entities.file_format import CsvFormat, Format, ParquetFormat
from cdp_exports.errors import CannotHold
from cdp_exports.formats.csv import needs_quotes
from cdp_exports.formats.values import leaf_types, within

if TYPE_CHECKING:
    from polars._typing import PolarsDataType


def check(columns: Mapping[str, PolarsDataType], format: Format) -> None:
    """Check every column's name and type.

    Raises:
        CannotHold: naming all columns the format cannot carry and the option that would convert them.
    """
    if not columns:
        raise CannotHold("There is no column to export.", next_step="Export at least one column.")
    problems = dict.fromkeys(problem for name, dtype in columns.items() for problem in _problems(name, dtype, format))
    if problems:
        steps = dict.fromkeys(step for _, step in problems)
        raise CannotHold(
            f"{format.type} cannot hold " + "; ".join(what for what, _ in problems) + ".",
            next_step=" ".join(steps),
        )


def _problems(name: str, dtype: PolarsDataType, format: Format) -> Iterator[tuple[str, str]]:
    """What is wrong with a column, and what to do."""
    import polars as pl

    leaves = tuple(leaf_types(dtype))
    if any(isinstance(leaf, (pl.Object, pl.Unknown, pl.Extension)) for leaf in leaves):
        yield f"{name} ({dtype})", "Cast the column in the source."
    if any(not part.fields for part in _structs(dtype)):
        yield f"{name} (a struct without fields)", "Leave the column out."
    if isinstance(format, ParquetFormat):
        if any(isinstance(leaf, (pl.Int128, pl.UInt128)) for leaf in leaves):
            yield f"{name} ({dtype}; few readers know 128-bit integers)", "Cast the column to decimal(38, 0)."
        return
    if format.binary is None and any(isinstance(leaf, pl.Binary) for leaf in leaves):
        yield f"{name} (binary)", "Declare `binary: base64` or `binary: hex` in the export's format."
    if any(not isinstance(key, (pl.String, pl.Categorical, pl.Enum)) for key in _map_keys(dtype)):
        yield f"{name} (a map whose keys are not strings)", "Cast the map's keys to strings in the source."
    if isinstance(format, CsvFormat):
        if dtype.is_nested() and format.nested is None:
            yield f"{name} ({_kind(dtype)})", "Declare `nested: json` in the export's format."
        if format.header and not format.quote and needs_quotes(name, format):
            yield f"the column name {name!r} without quotes", "Declare `quote`, or rename the column."


def _structs(dtype: PolarsDataType):
    import polars as pl

    return (part for part in within(dtype) if isinstance(part, pl.Struct))


def _map_keys(dtype: PolarsDataType) -> Iterator[PolarsDataType]:
    import polars as pl

    return (part.key for part in within(dtype) if isinstance(part, pl.Map))


def _kind(dtype: PolarsDataType) -> str:
    return type(dtype).__name__.lower()
