"""File formats and their options."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from cdp_exports.entities.model import Declared

MaxRows = Annotated[int, Field(ge=1)]


class _Format(Declared):
    max_rows_per_file: MaxRows | None = None
    """Start a new file after this many rows; default: one file a delivery."""


class ParquetFormat(_Format):
    """Apache Parquet: columns with their types."""

    type: Literal["parquet"] = "parquet"
    """The format."""

    compression: Literal["zstd", "gzip", "snappy", "none"] = "zstd"
    """Of the columns inside the file."""


class _TextFormat(_Format):
    compression: Literal["gzip", "none"] = "gzip"
    """Of the whole file: `gzip` adds .gz to its name."""

    binary: Literal["base64", "hex"] | None = None
    """How bytes are written; without it a binary column is refused."""


class JsonFormat(_TextFormat):
    """Newline-delimited JSON: one object a line."""

    type: Literal["json"]
    """The format."""

    non_finite: Literal["null", "string"] | None = None
    """How NaN and the infinities are written; without it such a value fails the delivery: JSON has no word for them."""


class CsvFormat(_TextFormat):
    """Delimited text, one row a line."""

    type: Literal["csv"]
    """The format."""

    delimiter: Literal[",", "\t", "|", ";", ":"] = ","
    """Between values."""

    quote: Literal['"', ""] = '"'
    """Around values that need it; empty: never, and a value that needs it fails the delivery."""

    escape: Literal['"', "\\"] = '"'
    """How a quote inside a quoted value is written: doubled, or behind a backslash."""

    null: str = ""
    """How null is written."""

    empty: str = '""'
    """How an empty string is written."""

    header: bool = True
    """Column names in the first line of every file."""

    nested: Literal["json"] | None = None
    """How structs, lists and maps are written; without it such a column is refused."""


Format = Annotated[ParquetFormat | JsonFormat | CsvFormat, Field(discriminator="type")]

FORMAT: TypeAdapter[Format] = TypeAdapter(Format)
"""Reads a format from plain data, as the ledger keeps it."""
