"""Count the rows of a delivered file."""

from __future__ import annotations

import re
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from cdp_exports.entities.file_format import CsvFormat, Format, JsonFormat, ParquetFormat
from cdp_exports.formats.parquet import footer_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20


def count_rows(file: str | PathLike[str] | BinaryIO, format: Format) -> int:
    """The number of rows in a file: by the footer (Parquet; needs a file that can seek), else by reading it through."""
    if isinstance(format, ParquetFormat):
        return footer_rows(file)
    with ExitStack() as opened:
        stream = opened.enter_context(Path(file).open("rb")) if isinstance(file, (str, PathLike)) else file
        chunks = _chunks(stream, format.compression)
        return sum(chunk.count(b"\n") for chunk in chunks) if isinstance(format, JsonFormat) else _csv_rows(chunks, format)


def _chunks(stream: BinaryIO, compression: Literal["gzip", "none"]) -> Iterator[bytes]:
    from isal import igzip

    text = cast("BinaryIO", igzip.GzipFile(fileobj=stream, mode="rb")) if compression == "gzip" else stream
    while chunk := text.read(_CHUNK):
        yield chunk


def _csv_rows(chunks: Iterator[bytes], format: CsvFormat) -> int:
    lines = 0
    quoted = False
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        rest = b""
        if format.escape == "\\":
            if (len(data) - len(data.rstrip(b"\\"))) % 2:
                data, rest = data[:-1], b"\\"
            data = re.sub(rb"\\.", b"", data, flags=re.DOTALL)
        if not format.quote:
            lines += data.count(b"\n")
            continue
        # Between quotes a line break belongs to the value; a doubled quote ends and begins at once.
        first, *others = data.split(b'"')
        lines += 0 if quoted else first.count(b"\n")
        for part in others:
            quoted = not quoted
            lines += 0 if quoted else part.count(b"\n")
    return lines - format.header
