"""Parquet, by Polars' own writer."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from cdp_exports.entities.file_format import ParquetFormat
from cdp_exports.errors import CannotHold, NotIntact

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


def encode(batches: Iterator[pl.DataFrame], schema: pl.Schema, format: ParquetFormat, emit: Callable[[bytes], None]) -> int:
    """Encode one file. Returns the number of rows its footer says it has."""
    from polars.exceptions import PolarsError
    from polars.io.plugins import register_io_source

    output = _Output(emit)
    failed: list[BaseException] = []

    def rows(_columns: object, _predicate: object, _n_rows: object, _batch_size: object) -> Iterator[pl.DataFrame]:
        try:
            yield from batches
        except BaseException as error:
            failed.append(error)
            raise

    try:
        register_io_source(rows, schema=schema).sink_parquet(output, compression=_COMPRESSION[format.compression])  # pyright: ignore[reportArgumentType]
        output.finish()
    except BaseException as error:
        # Polars wraps what its input and output raise; the first of them is the reason.
        reason = next(iter(failed + output.failed), error)
        if reason is error and isinstance(error, PolarsError):
            raise CannotHold(
                f"A value could not be encoded as Parquet ({type(error).__name__}).",
                next_step="Cast the column to a type that Parquet has, or choose another format.",
            ) from error
        raise reason from None
    return output.rows()


class _Output:
    """The file object that Polars writes to: gathers its small writes into chunks and keeps the footer."""

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._parts: list[bytes] = []
        self._size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.failed: list[BaseException] = []

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= _CHUNK:
            self._send()
        return len(data)

    def flush(self) -> None:
        """Polars flushes after every file; chunks go out when they are full."""

    def finish(self) -> None:
        if self._parts:
            self._send()

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
            self.failed.append(error)
            raise

    def rows(self) -> int:
        return footer_rows(io.BytesIO(b"".join(self._tail)))


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
