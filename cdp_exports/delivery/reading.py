"""The rows of a delivery, on their way from the source to the files, and how they count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp_exports.errors import NotCounted
from cdp_exports.ledger.records import Attempt, Counts, Delivery, Held, Movement, SourcePin

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Reading:
    """The rows to write, lazily; `expected` is their number where it is known before reading.

    `counted` is what whoever compared the versions counted; None where every row written is an inserted one. `keep`
    writes down what the receiver will hold, for members of which that is kept.
    """

    frame: pl.LazyFrame
    expected: int | None
    sources: tuple[SourcePin, ...]  # with the change source that was used
    counted: Counts | None = None
    keep: Callable[[Delivery, Attempt], Held] | None = None
    guards: tuple[SourcePin, ...] = ()  # the heads of consent and suppression that were read

    @property
    def movement(self) -> Movement:
        """What changes for the receiver of a segment, as it was evaluated."""
        assert self.counted is not None
        assert self.counted.movement is not None
        return self.counted.movement

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
        counts = self.counted or Counts(received=written, delivered=written, inserted=written)
        left_out = sum(counts.left_out.values())
        if counts.received != counts.delivered + left_out + counts.failed or counts.delivered != written:
            raise NotCounted(
                f"Of {counts.received} rows read {written} were written and {left_out} left out.",
                next_step="Nothing was published. Run again; if it repeats, report it with the table's log.",
            )
        return counts
