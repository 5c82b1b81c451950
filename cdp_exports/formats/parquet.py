"""Parquet, by Polars' own writer."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from cdp_exports.entities.file_format import ParquetFormat
from cdp_exports.errors import NotIntact

if TYPE_CHECKING:
    import polars as pl

_CHUNK = 1 << 20
_FOOTER_WINDOW = 64 << 20
"""The last bytes of a file that are kept to read the footer from: enough for 5,000 columns x 60 row groups."""

_COMPRESSION: dict[str, Literal["zstd", "gzip", "snappy", "uncompressed"]] = {
    "zstd": "zstd",
    "gzip": "gzip",
    "snappy": "snappy",
    "none": "uncompressed",
}


def encode(frame: pl.LazyFrame, format: ParquetFormat, emit: Callable[[bytes], None], *, begun: Callable[[], bool] = lambda: True) -> int:
    """Encode one file. Returns the number of rows its footer says it has; a file without rows is not emitted.

    `begun`: whether rows were read already; before that, all that Polars writes may be the frame of an empty file.
    """
    output = _Output(emit, begun)
    try:
        frame.sink_parquet(output, compression=_COMPRESSION[format.compression])  # pyright: ignore[reportArgumentType]
        return output.finish()
    except BaseException:
        if output.failed is not None:  # Polars raises an error of its own for it
            raise output.failed from None
        raise


def frame_of(batches: Iterator[pl.DataFrame], schema: pl.Schema) -> pl.LazyFrame:
    """A stream of batches as a frame that can be read once."""
    from polars.io.plugins import register_io_source

    def rows(_columns: object, _predicate: object, _n_rows: object, _batch_size: object) -> Iterator[pl.DataFrame]:
        return batches

    return register_io_source(rows, schema=schema)


class _Output:
    """The file object that Polars writes to: gathers its small writes into chunks and keeps the footer."""

    def __init__(self, emit: Callable[[bytes], None], begun: Callable[[], bool]) -> None:
        self._emit = emit
        self._begun = begun
        self._parts: list[bytes] = []
        self._size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.failed: BaseException | None = None

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _CHUNK and self._begun():
            self._send()
        return len(data)

    def flush(self) -> None:
        """Polars flushes after every file; chunks go out when they are full."""

    def finish(self) -> int:
        """Send what is left, unless there is no row. Returns the number of rows."""
        rows = footer_rows(io.BytesIO(b"".join([*self._tail, *self._parts])))
        if rows and self._parts:
            self._send()
        return rows

    def _send(self) -> None:
        chunk = b"".join(self._parts)
        self._parts, self._size = [], 0
        self._tail.append(chunk)
        self._tail_size += len(chunk)
        while self._tail_size - len(self._tail[0]) >= _FOOTER_WINDOW:
            self._tail_size -= len(self._tail.popleft())
        try:
            self._emit(chunk)
        except BaseException as error:
            self.failed = error
            raise


def footer_rows(file: str | PathLike[str] | BinaryIO) -> int:
    """The number of rows that a file's footer states; only the end of the file is needed.

    Raises:
        NotIntact: there is no footer that can be read.
    """
    # pyarrow has no types.
    from pyarrow.lib import ArrowException  # pyright: ignore[reportUnknownVariableType]
    from pyarrow.parquet import read_metadata  # pyright: ignore[reportUnknownVariableType]

    try:
        return int(cast("int", read_metadata(file).num_rows))
    except cast("type[Exception]", ArrowException) as error:
        raise NotIntact(
            f"The footer of a Parquet file cannot be read ({type(error).__name__}).",
            next_step="Replay the delivery; with thousands of columns split it with `max_rows_per_file`.",
        ) from error
