"""A lazy frame as a stream of Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from cdp_exports.errors import SourceUnreadable

if TYPE_CHECKING:
    import polars as pl


class Stream:
    """`reader` gives the columns once. What the source raises meanwhile is lost on its way through Arrow, and kept in `failure`."""

    def __init__(self, frame: pl.LazyFrame, columns: Sequence[str], subject: str, promised_in: str, *, in_order: bool) -> None:
        import polars as pl
        import pyarrow as pa

        self.failure: BaseException | None = None
        self._subject, self._promised_in, self._in_order = subject, promised_in, in_order
        schema = frame.collect_schema()
        for column in columns:
            if column not in schema:
                self.refuse(f"has no column {column} any more, which the catalog declares")
        wanted = frame.select(columns)
        self._views = pl.CompatLevel.newest()  # texts as they are, not copied
        empty = wanted.collect_schema().to_frame()
        self.reader: Any = pa.RecordBatchReader.from_batches(empty.to_arrow(compat_level=self._views).schema, self._batches(wanted))

    def refuse(self, what: str) -> NoReturn:
        raise SourceUnreadable(f"{self._subject}: {what}.", next_step=f"Correct {self._promised_in}, or the table.")

    def close(self) -> None:
        self.reader.close()

    def _batches(self, frame: pl.LazyFrame) -> Iterator[Any]:
        try:
            for rows in frame.collect_batches(maintain_order=self._in_order, lazy=True):
                yield from rows.to_arrow(compat_level=self._views).to_batches()
        except BaseException as exception:
            if not isinstance(exception, GeneratorExit):
                self.failure = exception
            raise
