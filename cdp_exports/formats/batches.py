"""The rows of a lazy frame: counted as they come, cut into files of an exact number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.entities.file_format import Format

_CELLS = 1_000_000
_ROWS = range(1_024, 65_537)

WORTH_A_FILE = 100_000
"""Rows from which on spreading over files gains a receiver something."""


def batch_rows(width: int) -> int:
    """Rows in a batch of this many columns: about a million values, so that wide tables do not need more memory.

    >>> batch_rows(10), batch_rows(100), batch_rows(5000)
    (65536, 10000, 1024)
    """
    return min(max(_CELLS // width, _ROWS.start), _ROWS.stop - 1)


def rows_of_a_file(format: Format, expected: int | None) -> int | None:
    """After how many rows a new file begins; None: never. `expected`: the rows of all files, where that is known.

    >>> from cdp_exports.entities.file_format import ParquetFormat
    >>> rows_of_a_file(ParquetFormat(max_files=4), 1_000_001), rows_of_a_file(ParquetFormat(max_files=4), 3)
    (250001, 100000)
    >>> rows_of_a_file(ParquetFormat(max_files=4, max_rows_per_file=10), 1_000_001)
    10
    """
    if format.max_rows_per_file is not None or format.max_files is None or format.max_files == 1 or expected is None:
        return format.max_rows_per_file
    return max(-(-expected // format.max_files), WORTH_A_FILE)


class RowsRead:
    """Counts the rows as a query makes them, and ends the query at its next batch when `stop` raises."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._adding = Lock()
        self.rows = 0
        """How many rows were read so far."""

    def of(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The same frame, counted."""
        return frame.map_batches(self._count, streamable=True, validate_output_schema=False)

    def _count(self, batch: pl.DataFrame) -> pl.DataFrame:
        self._stop()
        with self._adding:
            self.rows += batch.height
        return batch


class FileBatches:
    """Cuts a stream of batches into files of `max_rows` rows, the last one shorter; None puts all rows into one.

    Of at most `max_files` the last one takes all that is left.

    Batches pass through as they come: only one is held at a time.
    """

    def __init__(self, batches: Iterator[pl.DataFrame], max_rows: int | None, max_files: int | None = None) -> None:
        self._batches = batches
        self._max_rows = max_rows
        self._files_left = max_files
        self._pending: pl.DataFrame | None = None

    def more(self) -> bool:
        """Whether there is a row for another file."""
        while self._pending is None:
            batch = next(self._batches, None)
            if batch is None:
                return False
            if batch.height:
                self._pending = batch
        return True

    def next_file(self) -> Iterator[pl.DataFrame]:
        """The batches of the next file."""
        room = self._max_rows if self._files_left != 1 else None
        if self._files_left is not None:
            self._files_left -= 1
        while (room is None or room > 0) and self.more():
            batch = self._pending
            assert batch is not None
            self._pending = None
            if room is not None:
                if batch.height > room:
                    self._pending = batch.slice(room)
                    batch = batch.head(room)
                room -= batch.height
            yield batch
