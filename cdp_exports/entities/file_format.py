"""File formats and their options."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from cdp_exports.entities.model import Declared

_READS_AS_VALUE = re.compile(r"[+-]?(\d[\d.e+-]*|\.\d+|inf|nan)|true|false", re.IGNORECASE)

MaxRows = Annotated[int, Field(ge=1)]
MaxFiles = Annotated[int, Field(ge=1)]


class _Format(Declared):
    max_rows_per_file: MaxRows | None = None
    """Start a new file after this many rows; default: one file a delivery."""

    max_files: MaxFiles | None = None
    """At most this many files a delivery: the last one takes the rest. Without `max_rows_per_file` the rows are spread evenly, at least
    100,000 a file, where their number is known before they are read; else they are one file."""


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

    non_finite: Literal["null"] | None = None
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
    """How null is written. A string that reads the same is quoted, or fails the delivery where `quote` is empty."""

    empty: str = '""'
    """How an empty string is written; the same as `null` gives the difference up."""

    header: bool = True
    """Column names in the first line of every file."""

    nested: Literal["json"] | None = None
    """How structs, lists and maps are written; without it such a column is refused."""

    @model_validator(mode="after")
    def _words_stand_alone(self) -> Self:
        for name, word in (("null", self.null), ("empty", self.empty)):
            if self.delimiter in word or "\n" in word or "\r" in word:
                raise ValueError(f"`{name}` cannot hold the delimiter or a line break")
            if '"' in word and not (name == "empty" and word == '""' and self.quote):
                raise ValueError(f"`{name}` cannot hold a quote; for example `{name}: EMPTY` or `{name}: ''`")
            if self.escape == "\\" and word.endswith("\\"):
                raise ValueError(f"`{name}` cannot end with the character that escapes")
            if _READS_AS_VALUE.fullmatch(word):
                raise ValueError(f"`{name}` cannot be {word!r}, which reads as a number or a truth value")
        return self


Format = Annotated[ParquetFormat | JsonFormat | CsvFormat, Field(discriminator="type")]

FORMAT: TypeAdapter[Format] = TypeAdapter(Format)
"""Reads a format from plain data, as the ledger keeps it."""
