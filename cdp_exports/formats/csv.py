"""CSV: UTF-8, `\\n`, RFC 4180 by default; null and the empty string told apart."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cdp_exports.entities.file_format import CsvFormat
from cdp_exports.errors import CannotHold
from cdp_exports.formats import text
from cdp_exports.formats.values import as_text, not_finite

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType


def encode(batches: Iterator[pl.DataFrame], schema: pl.Schema, format: CsvFormat, emit: Callable[[bytes], None]) -> int:
    """Encode one file. Returns the number of rows without the header. Raises CannotHold for values the dialect has no way to write."""
    import polars as pl

    cells = [_cell(pl.col(name), dtype, format) for name, dtype in schema.items()]
    nested = [name for name, dtype in schema.items() if dtype.is_nested()]
    native = _is_polars_own(format)

    def to_text(batch: pl.DataFrame) -> bytes:
        _refuse_not_finite(batch, nested)
        rendered = batch.select(cells)
        _refuse_blank_lines(rendered, format)
        if not native:
            _refuse_ambiguous(rendered, format)
            rendered = rendered.with_columns(_quoted(pl.col(pl.String), format))
        lines = io.BytesIO()
        rendered.write_csv(
            lines,
            include_header=False,
            separator=format.delimiter,
            null_value=format.null,
            quote_style="necessary" if native else "never",
            batch_size=batch.height,
        )
        return lines.getvalue()

    header = header_line(list(schema), format) if format.header else b""
    return text.encode(batches, to_text, format.compression, emit, header=header)


def header_line(names: list[str], format: CsvFormat) -> bytes:
    r"""The first line.

    >>> header_line(["id", "last, first"], CsvFormat(type="csv"))
    b'id,"last, first"\n'
    """
    special = re.compile(_special(format))
    escaped = [f'"{_escape(name, format)}"' if format.quote and (not name or special.search(name)) else name for name in names]
    return (format.delimiter.join(escaped) + "\n").encode()


def needs_quotes(name: str, format: CsvFormat) -> bool:
    """Whether a column's name can stand in the header only between quotes."""
    return not name or re.search(_special(format), name) is not None


def _is_polars_own(format: CsvFormat) -> bool:
    # What Polars writes by itself, faster: quotes where needed, doubled inside, `""` for empty, nothing for null.
    return (format.quote, format.escape, format.null, format.empty) == ('"', '"', "", '""')


def _special(format: CsvFormat) -> str:
    # A quote needs no quoting where there are no quotes; a backslash only where it escapes.
    escape = "\\\\" if format.escape == "\\" and format.quote else ""
    return f"[{re.escape(format.delimiter)}{format.quote}{escape}\r\n]"


def _escape(value: str, format: CsvFormat) -> str:
    if format.escape == "\\":
        return value.replace("\\", "\\\\").replace('"', '\\"')
    return value.replace('"', '""')


def _cell(value: pl.Expr, dtype: PolarsDataType, format: CsvFormat) -> pl.Expr:
    import polars as pl

    readable = as_text(value, dtype, format.binary)
    if dtype.is_nested():
        # Only structs have a JSON encoder, so the value goes through a struct of one field.
        encoded = pl.struct(readable.alias("v")).struct.json_encode().str.strip_prefix('{"v":').str.strip_suffix("}")
        return pl.when(value.is_not_null()).then(encoded).alias(value.meta.output_name())
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return readable.cast(pl.String)
    return readable


def _quoted(value: pl.Expr, format: CsvFormat) -> pl.Expr:
    import polars as pl

    if not format.quote:
        return pl.when(value == "").then(pl.lit(format.empty)).otherwise(value).name.keep()
    needed = value.str.contains(_special(format)) | value.is_in([format.null, format.empty])
    if format.escape == "\\":
        escaped = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    else:
        escaped = value.str.replace_all('"', '""', literal=True)
    quoted = pl.lit('"') + escaped + pl.lit('"')
    return pl.when(value == "").then(pl.lit(format.empty)).when(needed).then(quoted).otherwise(value).name.keep()


def _refuse_not_finite(batch: pl.DataFrame, nested: list[str]) -> None:
    if nested and (names := not_finite(batch.select(nested))):
        raise CannotHold(
            f"JSON has no word for NaN and the infinities found in {', '.join(names)}.",
            next_step="Replace them in the source, or export to Parquet.",
        )


def _refuse_blank_lines(rendered: pl.DataFrame, format: CsvFormat) -> None:
    if rendered.width != 1:
        return
    column = rendered.to_series()
    if (format.null == "" and column.has_nulls()) or (format.empty == "" and column.dtype.is_(_string()) and (column == "").any()):
        raise CannotHold(
            f"{column.name} is the only column and a value of it would be an empty line, which readers skip.",
            next_step="Declare `null:` (and `empty:`) with a text in the export's format, or export a second column.",
        )


def _refuse_ambiguous(rendered: pl.DataFrame, format: CsvFormat) -> None:
    import polars as pl

    if format.quote:
        return
    value = pl.col(pl.String)
    words = [word for word in (format.null, format.empty) if word]
    found = rendered.select((value.str.contains(_special(format)) | value.is_in(words)).any())
    if found.width and (names := [name for name, wrong in found.row(0, named=True).items() if wrong]):
        raise CannotHold(
            f"Values in {', '.join(names)} hold the delimiter or a line break, or read like null or empty, and `quote` is empty.",
            next_step="Declare another `delimiter`, `null` or `empty`, or quotes, in the export's format.",
        )


def _string() -> PolarsDataType:
    import polars as pl

    return pl.String()
