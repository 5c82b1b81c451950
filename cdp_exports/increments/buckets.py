"""More rows than memory holds, a part of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_SAMPLE = 1_000
_ROOM = 2  # times the bytes of the rows themselves: counting them needs more


def in_buckets(frames: Sequence[pl.LazyFrame], by: Sequence[str], memory_limit: int) -> Iterator[list[pl.LazyFrame]]:
    """The frames in as many parts as it takes for a part of them all to fit into `memory_limit` bytes.

    Rows that are equal in the columns `by` are in the same part. Floats and nested values do not tell parts apart
    (equal ones may be written differently); where `by` has nothing else there is one part.
    """
    import polars as pl

    schema = frames[0].collect_schema()
    names = [name for name in by if not (schema[name].is_float() or schema[name].is_nested())]
    count = ceil(sum(map(_size, frames)) * _ROOM / memory_limit) if names else 1
    if count <= 1:
        yield list(frames)
        return
    part = pl.struct(names).hash() % count
    for index in range(count):
        yield [frame.filter(part == index) for frame in frames]


def _size(frame: pl.LazyFrame) -> float:
    """Bytes in memory, about."""
    import polars as pl

    sample = frame.head(_SAMPLE).collect()
    if sample.height < _SAMPLE:
        return sample.estimated_size()
    return int(frame.select(pl.len()).collect().item()) * sample.estimated_size() / sample.height
