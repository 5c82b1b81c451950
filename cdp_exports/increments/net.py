"""The net change between two versions, from any two multisets of rows whose difference it is.

Every distinct row is counted on both sides; what is left over is the net change. Polars groups nested values, NaN and
null as equal to themselves. Rows that fit into memory are read once. More are compared in buckets, for each of which the
sources are read again (reading costs a small part of comparing), and what is left waits in a temporary folder.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdp_exports.errors import KeyNotUnique
from cdp_exports.increments.buckets import Measured, in_buckets, measured
from cdp_exports.increments.shelf import Shelf

if TYPE_CHECKING:
    import polars as pl

CHANGE_TYPE = "_change_type"

Wanted = Literal["added", "all", "images"]
"""Rows that were added; inserts, updates and deletes; or these with the rows of an update before and after it."""


@dataclass(frozen=True)
class NetChange:
    """The rows to deliver, lazily, and how many there are of each kind (0 for a kind that was not asked for).

    `frame` has the columns of the newer version and, unless only what was added was asked for, `_change_type` as the last:
    `insert`, `update` (values at the newer version) or `delete` (values at the older one). With images an update is two
    rows, `update_preimage` and `update_postimage`, as in a Delta table's change feed; it counts once.
    """

    frame: pl.LazyFrame
    inserted: int
    updated: int
    deleted: int


@contextmanager
def net_changes(
    minus: pl.LazyFrame,
    plus: pl.LazyFrame,
    *,
    key: Sequence[str],
    changes: Wanted,
    subsets: bool,
    memory_limit: int,
    folder: Path | None = None,
    disk_limit: int | None = None,
) -> Generator[NetChange]:
    """The net change that `plus` - `minus` amounts to; both have the same columns and types.

    With a key at most one row a key (two with images); without one the multiset difference. The columns may be some of the
    table's, the key among them: rows that are equal in them cancel out. `subsets`: `minus` holds only rows of the
    older version and `plus` only rows of the newer, so that a repeated key in either is a fault; otherwise (a change
    feed) keys are judged by what is left. `memory_limit` (bytes) bounds the comparison, about; reading the sources comes
    on top. Beyond it, what is left goes to a temporary folder (in `folder`, default the system's), at most `disk_limit`
    bytes and one bucket.

    Use as a context manager: the frame can be consumed, also more than once, until it is left.

    Raises:
        KeyNotUnique: a key is null or repeated.
        TerminalError: the disk limit was reached, or the disk is full.
    """
    older, newer = measured(minus, memory_limit), measured(plus, memory_limit)
    comparison = _Comparison(newer.frame.collect_schema(), key, changes, memory_limit)
    if not older.rows:
        yield comparison.inserts(newer)
        return
    with tempfile.TemporaryDirectory(prefix="cdp_exports_", dir=folder) as path:
        yield comparison.net(older, newer, subsets, Path(path), disk_limit)


class _Comparison:
    def __init__(self, schema: pl.Schema, key: Sequence[str], changes: Wanted, memory_limit: int) -> None:
        self.schema = schema
        self.columns = schema.names()
        self.key = list(key)
        self.changes: Wanted = changes
        self.memory_limit = memory_limit
        free = "_" * (max(map(len, self.columns), default=0) + 1)  # no column begins like this
        self.plus, self.minus, self.times = f"{free}plus", f"{free}minus", f"{free}times"

    def inserts(self, newer: Measured) -> NetChange:
        """Nothing was taken away: every row is new, and goes through untouched."""
        import polars as pl

        if self.key:
            keys = measured(newer.frame.select(self.key), self.memory_limit)
            for (part,) in in_buckets([keys], self.key, self.memory_limit):
                self._assert_none(self._faults(self._counted(part, 1, 0)).collect(engine="streaming"))
        frame = newer.frame.with_columns(pl.lit("insert").alias(CHANGE_TYPE)) if self.changes != "added" else newer.frame
        return NetChange(frame, newer.rows, 0, 0)

    def net(self, older: Measured, newer: Measured, subsets: bool, folder: Path, disk_limit: int | None) -> NetChange:
        import polars as pl

        shelf = Shelf(folder, disk_limit)
        kept: list[pl.LazyFrame] = []
        counts: Counter[str] = Counter()
        rows = 0
        buckets = list(in_buckets([older, newer], self.key or self.columns, self.memory_limit))
        for minus, plus in buckets:
            change = self._classified(self._left(minus, plus, subsets))
            kept.append(change.lazy() if len(buckets) == 1 else shelf.put(change))
            rows += change.height
            for kind, times in change.group_by(CHANGE_TYPE).agg(pl.col(self.times).sum()).iter_rows():
                counts[kind] += times
        frame = pl.concat(kept)
        if counts.total() > rows:
            frame = self._repeated(frame)
        names = [*self.columns, CHANGE_TYPE] if self.changes != "added" else self.columns
        return NetChange(frame.select(names), counts["insert"], counts["update"] + counts["update_postimage"], counts["delete"])

    def _left(self, minus: pl.LazyFrame, plus: pl.LazyFrame, subsets: bool) -> pl.DataFrame:
        """Every row of which one side has more, and how many more."""
        import polars as pl

        both = pl.concat([self._counted(plus, 1, 0), self._counted(minus, 0, 1)])
        more = pl.col(self.plus) - pl.col(self.minus)
        left = both.group_by(self.columns).agg(pl.col(self.plus, self.minus).sum()).filter(more != 0)
        left = left.with_columns(more.clip(0).alias(self.plus), (-more).clip(0).alias(self.minus))
        if self.key and subsets:
            rows, faults = pl.collect_all([left, self._faults(both)], engine="streaming")
            self._assert_none(faults)
            return rows
        rows = left.collect(engine="streaming")
        if self.key:
            self._assert_none(self._faults(rows.lazy()).collect())
        return rows

    def _classified(self, left: pl.DataFrame) -> pl.DataFrame:
        """What is left of one key on both sides is an update, on one side an insert or a delete."""
        import polars as pl

        changed = pl.len().over(self.key) > 1 if self.key else pl.lit(False)
        removed = pl.col(self.minus) > 0
        before, after = ("update_preimage", "update_postimage") if self.changes == "images" else (None, "update")
        kind = (
            pl.when(removed & changed)
            .then(pl.lit(before, pl.String))
            .when(removed)
            .then(pl.lit("delete"))
            .when(changed)
            .then(pl.lit(after))
            .otherwise(pl.lit("insert"))
        )
        wanted = ~(removed | changed) if self.changes == "added" else kind.is_not_null()
        times = (pl.col(self.plus) + pl.col(self.minus)).alias(self.times)
        return left.with_columns(kind.alias(CHANGE_TYPE), times).filter(wanted)

    def _repeated(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Each row as often as it is there."""
        import polars as pl

        def repeated(part: pl.DataFrame) -> pl.DataFrame:
            return part[part.select(pl.int_range(pl.len()).repeat_by(self.times).explode()).to_series()]

        return rows.map_batches(repeated, streamable=True)

    def _counted(self, rows: pl.LazyFrame, plus: int, minus: int) -> pl.LazyFrame:
        import polars as pl

        return rows.with_columns(pl.lit(plus, pl.Int8).alias(self.plus), pl.lit(minus, pl.Int8).alias(self.minus))  # summed as Int64

    def _faults(self, counted: pl.LazyFrame) -> pl.LazyFrame:
        """A key that is null, or there more than once on one side."""
        import polars as pl

        sides = [pl.col(self.plus), pl.col(self.minus)]
        keys = counted.group_by(self.key).agg(side.sum() for side in sides)
        return keys.filter(pl.any_horizontal(pl.col(self.key).is_null(), *(side > 1 for side in sides))).head(1)

    def _assert_none(self, faults: pl.DataFrame) -> None:
        if faults.height:
            raise KeyNotUnique(
                f"The key ({', '.join(self.key)}) is null or repeated in the rows that changed.",
                next_step="Correct the table, or declare a key that is unique and never null (or none).",
            )
