"""Files in memory, as a destination that never fails."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from cdp_exports.formats.write import write
from cdp_exports.formats.writing import WrittenFile

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.entities.file_format import Format


def written(frame: pl.LazyFrame | pl.DataFrame, format: Format, expected: int | None = None) -> list[tuple[WrittenFile, bytes]]:
    """The files of a frame, each checked against hashlib and its own length."""
    streams: list[io.BytesIO] = []
    finished: list[WrittenFile] = []

    def open_file(index: int) -> io.BytesIO:
        assert index == len(streams) == len(finished)  # one after the other, in order
        streams.append(io.BytesIO())
        return streams[-1]

    files = write(frame.lazy(), format, open_file, finished.append, expected=expected)
    assert files == finished
    assert len(files) == len(streams)
    contents = [stream.getvalue() for stream in streams]
    for file, content in zip(files, contents, strict=True):
        assert file.bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
    return list(zip(files, contents, strict=True))


def only(frame: pl.LazyFrame | pl.DataFrame, format: Format) -> bytes:
    """The content of the single file of a frame with rows."""
    [(_, content)] = written(frame, format)
    return content
