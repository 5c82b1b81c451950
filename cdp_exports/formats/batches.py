"""The rows of a lazy frame: counted as they come, cut into files of an exact number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_CELLS = 1_000_000
_ROWS = range(1_024, 65_537)


def batch_rows(width: int) -> int:
    """Rows in a batch of this many columns: about a million values, so that wide tables do not need more memory.

    >>> batch_rows(10), batch_rows(100), batch_rows(5000)
    (65536, 10000, 1024)
    """
    return min(max(_CELLS // width, _ROWS.start), _ROWS.stop - 1)


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

    Batches pass through as they come: only one is held at a time.
    """

    def __init__(self, batches: Iterator[pl.DataFrame], max_rows: int | None) -> None:
        self._batches = batches
        self._max_rows = max_rows
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
        room = self._max_rows
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
