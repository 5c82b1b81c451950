"""The net change between two versions, from any two multisets of rows whose difference it is.

DuckDB counts every distinct row on both sides; what is left over is the net change. It compares nested values, NaN and
null as equal to themselves, spills to disk within a bound, and takes and gives Arrow batches. More rows than its memory
holds are compared in buckets, for each of which the sources are read again: reading costs a small part of comparing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdp_exports.errors import KeyNotUnique
from cdp_exports.increments.buckets import in_buckets
from cdp_exports.increments.duck import answer, offer, workshop

if TYPE_CHECKING:
    import duckdb
    import polars as pl

CHANGE_TYPE = "_change_type"


@dataclass(frozen=True)
class NetChange:
    """The rows to deliver, lazily, and how many there are of each kind (0 for a kind that was not asked for).

    `frame` has the columns of the newer version and, where all changes were asked for, `_change_type` as the last:
    `insert`, `update` (values at the newer version) or `delete` (values at the older one).
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
    changes: Literal["added", "all"],
    subsets: bool,
    memory_limit: int,
    folder: Path | None = None,
    disk_limit: int | None = None,
) -> Generator[NetChange]:
    """The net change that `plus` - `minus` amounts to; both have the same columns and types.

    With a key at most one row a key; without one the multiset difference. `subsets`: `minus` holds only rows of the
    older version and `plus` only rows of the newer, so that a repeated key in either is a fault; otherwise (a change
    feed) keys are judged by what is left. `memory_limit` (bytes) bounds the comparison, reading the sources comes on
    top; beyond it, it spills to a temporary folder (in `folder`, default the system's), at most `disk_limit` bytes.

    Use as a context manager: the frame can be consumed, also more than once, until it is left.

    Raises:
        KeyNotUnique: a key is null or repeated.
        TerminalError: the disk limit was reached, or the disk is full.
    """
    with workshop(memory_limit=memory_limit, folder=folder, disk_limit=disk_limit) as duck:
        comparison = _Comparison(duck, minus, plus, key, changes, memory_limit)
        yield comparison.inserts() if comparison.only_inserts() else comparison.net(subsets)


class _Comparison:
    """Columns are c0, c1, ... inside DuckDB, whose names know no upper and lower case."""

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        minus: pl.LazyFrame,
        plus: pl.LazyFrame,
        key: Sequence[str],
        changes: Literal["added", "all"],
        memory_limit: int,
    ) -> None:
        self.duck = duck
        self.minus, self.plus = minus, plus
        self.schema = plus.collect_schema()
        self.short = {name: f"c{index}" for index, name in enumerate(self.schema)}
        self.key = tuple(key)
        self.short_key = ", ".join(self.short[name] for name in key)
        self.all = changes == "all"
        self.memory_limit = memory_limit

    def only_inserts(self) -> bool:
        import polars as pl

        return self.minus.head(1).select(pl.len()).collect().item() == 0

    def inserts(self) -> NetChange:
        """Nothing was taken away: every row is new, and goes through untouched."""
        import polars as pl

        if self.key:
            for (keys,) in in_buckets([self.plus.select(self.key)], self.key, self.memory_limit):
                self._offer("keys", keys)
                self._check_keys("keys", "1")
        count = int(self.plus.select(pl.len()).collect().item())
        frame = self.plus.with_columns(pl.lit("insert").alias(CHANGE_TYPE)) if self.all else self.plus
        return NetChange(frame, count, 0, 0)

    def net(self, subsets: bool) -> NetChange:
        import polars as pl

        columns = ", ".join(self.short.values())
        counted = f"""
            SELECT {columns}, count(*) FILTER (plus) AS p, count(*) FILTER (NOT plus) AS m
            FROM (SELECT *, true AS plus FROM plus_rows UNION ALL SELECT *, false AS plus FROM minus_rows) GROUP BY {columns}"""
        into = "CREATE TABLE net AS"
        for minus, plus in in_buckets([self.minus, self.plus], self.key or self.schema.names(), self.memory_limit):
            self._offer("minus_rows", minus)
            self._offer("plus_rows", plus)
            if subsets and self.key:
                self.duck.execute(f"CREATE OR REPLACE TABLE counted AS {counted}")
                self._check_keys("counted", "p", "m")
            rows = "counted" if subsets and self.key else f"({counted})"
            self.duck.execute(f"{into} SELECT {columns}, p - m AS n FROM {rows} WHERE p <> m")
            into = "INSERT INTO net"
        self.duck.execute("DROP TABLE IF EXISTS counted")
        if self.key:
            if not subsets:
                self._check_keys("net", "greatest(n, 0)", "greatest(-n, 0)")
            self._keyed()
        else:
            self._keyless()
        counts = dict(self.duck.execute("SELECT kind, sum(n)::BIGINT FROM delivered GROUP BY kind").fetchall())
        schema = pl.Schema({**self.schema, CHANGE_TYPE: pl.String()}) if self.all else self.schema
        frame = answer(self.duck, f"SELECT {columns}, kind FROM delivered, range(n)", schema, {**self.short, CHANGE_TYPE: "kind"})
        return NetChange(frame, counts.get("insert", 0), counts.get("update", 0), counts.get("delete", 0))

    def _keyed(self) -> None:
        """What is left of one key on both sides is an update, on one side an insert or a delete; n is 1 or -1."""
        same = " AND ".join(f"p.{column} IS NOT DISTINCT FROM m.{column}" for column in self.short_key.split(", "))
        added, removed = "(SELECT * FROM net WHERE n > 0) p", "(SELECT * FROM net WHERE n < 0) m"
        was_there = f"EXISTS (FROM {removed} WHERE {same})"
        if self.all:
            query = f"""
                SELECT p.*, CASE WHEN {was_there} THEN 'update' ELSE 'insert' END AS kind FROM {added}
                UNION ALL SELECT m.* REPLACE (1 AS n), 'delete' AS kind FROM {removed} WHERE NOT EXISTS (FROM {added} WHERE {same})"""
        else:
            query = f"SELECT p.*, 'insert' AS kind FROM {added} WHERE NOT {was_there}"
        self.duck.execute(f"CREATE VIEW delivered AS {query}")

    def _keyless(self) -> None:
        query = "SELECT *, 'insert' AS kind FROM net WHERE n > 0"
        if self.all:
            query += " UNION ALL SELECT * REPLACE (-n AS n), 'delete' AS kind FROM net WHERE n < 0"
        self.duck.execute(f"CREATE VIEW delivered AS {query}")

    def _check_keys(self, rows: str, *times: str) -> None:
        """No key is null, or there more than once by any of the countings."""
        null = [f"{column} IS NULL" for column in self.short_key.split(", ")]
        faults = " OR ".join([*null, *(f"sum({count}) > 1" for count in times)])
        if self.duck.execute(f"SELECT 1 FROM {rows} GROUP BY {self.short_key} HAVING {faults} LIMIT 1").fetchone():
            raise KeyNotUnique(
                f"The key ({', '.join(self.key)}) is null or repeated in the rows that changed.",
                next_step="Correct the table, or declare a key that is unique and never null (or none).",
            )

    def _offer(self, name: str, rows: pl.LazyFrame) -> None:
        offer(self.duck, name, rows.rename(self.short, strict=False))
