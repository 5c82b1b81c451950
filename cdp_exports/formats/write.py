"""Write a lazy frame as files: streamed, split, counted and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING

from cdp_exports.entities.file_format import CsvFormat, Format, JsonFormat, ParquetFormat
from cdp_exports.formats import csv, json, parquet
from cdp_exports.formats.batches import FileBatches, RowsRead, batch_rows, rows_of_a_file
from cdp_exports.formats.check import check
from cdp_exports.formats.pipe import Abandoned, Pipe
from cdp_exports.formats.writing import ByteStream, FileDone, OpenFile, WrittenFile

if TYPE_CHECKING:
    from hashlib import _Hash as Hash  # pyright: ignore[reportPrivateUsage]

    import polars as pl

_PIPE_ITEMS = 8
"""Chunks of about 1 MiB between encoder and destination."""

_STOP_SECONDS = 2.0
"""How long a failed write waits for the query to stop: it ends at its next batch, a sort under way is left behind."""


@dataclass(frozen=True)
class _End:
    """All bytes of one file were encoded."""

    rows: int


@dataclass
class _File:
    """One file on its way."""

    index: int
    stream: ByteStream
    size: int = 0
    digest: Hash = field(default_factory=hashlib.sha256)

    def write(self, chunk: bytes) -> None:
        self.stream.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)

    def end(self, rows: int) -> WrittenFile:
        return WrittenFile(self.index, rows, self.size, self.digest.hexdigest())


def write(
    frame: pl.LazyFrame,
    format: Format,
    open_file: OpenFile,
    done: FileDone,
    *,
    expected: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[WrittenFile]:
    """Stream a frame into files of `format.max_rows_per_file` rows, at most `format.max_files`, in the frame's order; no rows, no file.

    `expected`: the number of rows where it is known, so that they are spread over the files.

    The query and the encoding run in a thread of their own. Everything the caller passed in (`open_file`, the
    streams, `done`, `progress` with the rows read so far) is called in the caller's thread, so that what it raises,
    and KeyboardInterrupt, arrives unchanged and at once; the query is then stopped. Streams are never closed here.

    Raises:
        CannotHold: the format cannot carry a column or a value. Values are checked as they are written: files may
            have been opened, and even completed, by then.
        Exception: what reading the frame raised, as it was raised.
    """
    schema = frame.collect_schema()
    check(schema, format)
    pipe: Pipe[bytes | _End] = Pipe(_PIPE_ITEMS)
    read = RowsRead(pipe.check)
    room = rows_of_a_file(format, expected)
    encoder = Thread(target=_encode, args=(frame, read, format, schema, pipe, room), name="cdp-exports-encoder", daemon=True)
    written: list[WrittenFile] = []
    current: _File | None = None
    try:
        encoder.start()
        for item in pipe:
            if current is None:
                current = _File(len(written), open_file(len(written)))
            if isinstance(item, _End):
                written.append(current.end(item.rows))
                current = None
                done(written[-1])
            else:
                current.write(item)
            if progress is not None:
                progress(read.rows)
    finally:
        pipe.abandon()
        if encoder.is_alive():
            encoder.join(_STOP_SECONDS)
    return written


def _encode(
    frame: pl.LazyFrame, read: RowsRead, format: Format, schema: pl.Schema, pipe: Pipe[bytes | _End], rows_per_file: int | None
) -> None:
    try:
        if isinstance(format, ParquetFormat) and rows_per_file is None:
            # Polars' reader and writer side by side: batches handed through Python would keep whole row groups in memory.
            if rows := parquet.encode(read.of(frame), format, pipe.put, begun=lambda: read.rows > 0):
                pipe.put(_End(rows))
        else:
            stream = read.of(frame).collect_batches(chunk_size=batch_rows(len(schema)), maintain_order=True, lazy=True)
            batches = FileBatches(stream, rows_per_file, format.max_files)
            while batches.more():
                pipe.put(_End(_encode_file(batches, format, schema, pipe.put)))
    except Abandoned:
        pass
    except BaseException as error:  # noqa: BLE001  whatever it is, the caller's thread raises it
        pipe.close(error)
    else:
        pipe.close()


def _encode_file(batches: FileBatches, format: Format, schema: pl.Schema, emit: Callable[[bytes], None]) -> int:
    match format:
        case ParquetFormat():
            return parquet.encode(parquet.frame_of(batches.next_file(), schema), format, emit)
        case JsonFormat():
            return json.encode(batches.next_file(), schema, format, emit)
        case CsvFormat():
            return csv.encode(batches.next_file(), schema, format, emit)
