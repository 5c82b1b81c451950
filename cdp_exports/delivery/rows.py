"""The rows of a dataset delivery: read from the source as they were pinned, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdp_exports.entities.file_format import FORMAT
from cdp_exports.errors import CannotHold, DeclarationError, HistoryLost, NotCounted
from cdp_exports.ledger.records import Counts, Pin, SourcePin
from cdp_exports.sources.source import Source

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.delivery.member import Member

CHANGE_TYPE = "_change_type"


@dataclass(frozen=True)
class Reading:
    """The rows to write, lazily; `expected` is their number where it is known before reading."""

    frame: pl.LazyFrame
    expected: int | None
    sources: tuple[SourcePin, ...]          # with the change source that was used
    inserted: int | None = None             # of an increment, counted by what compared the two versions
    updated: int = 0
    deleted: int = 0

    def counts(self, written: int) -> Counts:
        """The rows as written, against those read.

        Raises:
            NotCounted: they do not add up; nothing is published.
        """
        if self.expected is not None and written != self.expected:
            raise NotCounted(
                f"{self.expected} rows were to be delivered and {written} were written.",
                next_step="Nothing was published. Run again; if it repeats, report it with the table's log.",
            )
        inserted = written if self.inserted is None else self.inserted
        return Counts(received=self.expected if self.expected is not None else written, delivered=written, inserted=inserted, updated=self.updated, deleted=self.deleted)
