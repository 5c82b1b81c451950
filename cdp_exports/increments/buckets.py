"""More rows than memory holds, a part of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = 1_000
_ROOM = 3  # times the bytes of the rows themselves: counting them needs more


@dataclass(frozen=True)
class Measured:
    """Rows with their number and about their size in memory (bytes)."""

    frame: pl.LazyFrame
    rows: int
    size: float


def measured(frame: pl.LazyFrame, memory_limit: int) -> Measured:
    """Count the rows; the few that need only half of `memory_limit` bytes are read once and kept."""
    import polars as pl

    few = frame.head(_SAMPLE).collect(engine="streaming")
    if few.height < _SAMPLE:
        return Measured(few.lazy(), few.height, few.estimated_size())
    row = max(few.estimated_size() / few.height, 1)
    most = int(memory_limit / (2 * _ROOM * row))
    kept = frame.head(most + 1).collect(engine="streaming")
    if kept.height <= most:
        return Measured(kept.lazy(), kept.height, kept.estimated_size())
    rows = int(frame.select(pl.len()).collect(engine="streaming").item())
    return Measured(frame, rows, rows * row)


def in_buckets(sides: Sequence[Measured], by: Sequence[str], memory_limit: int) -> Iterator[list[pl.LazyFrame]]:
    """The rows in as many parts as it takes for a part of all sides to be compared within `memory_limit` bytes.

    Rows that are equal in the columns `by` are in the same part.
    """
    import polars as pl

    frames = [side.frame for side in sides]
    count = ceil(sum(side.size for side in sides) * _ROOM / memory_limit)
    if count <= 1:
        yield frames
        return
    part = pl.struct(by).hash() % count
    for index in range(count):
        yield [frame.filter(part == index) for frame in frames]
