"""The net change between two versions, from any two multisets of rows whose difference it is.

DuckDB counts every distinct row on both sides; what is left over is the net change. It compares nested values, NaN and
null as equal to themselves, spills to disk within a bound, and takes and gives Arrow batches.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdp_exports.errors import KeyNotUnique
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
        comparison = _Comparison(duck, minus, plus, key, changes)
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
    ) -> None:
        self.duck = duck
        self.minus, self.plus = minus, plus
        self.schema = plus.collect_schema()
        self.short = {name: f"c{index}" for index, name in enumerate(self.schema)}
        self.key = tuple(key)
        self.short_key = ", ".join(self.short[name] for name in key)
        self.all = changes == "all"

    def only_inserts(self) -> bool:
        import polars as pl

        return self.minus.select(pl.lit(1)).head(1).collect().is_empty()

    def inserts(self) -> NetChange:
        """Nothing was taken away: every row is new, and goes through untouched."""
        import polars as pl

        self._check_keys_of(self.plus)
        count = int(self.plus.select(pl.len()).collect().item())
        frame = self.plus.with_columns(pl.lit("insert").alias(CHANGE_TYPE)) if self.all else self.plus
        return NetChange(frame, count, 0, 0)

    def net(self, subsets: bool) -> NetChange:
        import polars as pl

        if subsets:
            self._check_keys_of(self.minus)
            self._check_keys_of(self.plus)
        columns = ", ".join(self.short.values())
        self._offer("minus_rows", self.minus)
        self._offer("plus_rows", self.plus)
        self.duck.execute(f"""
            CREATE TABLE net AS SELECT {columns}, sum(sign)::BIGINT AS n
            FROM (SELECT *, 1 AS sign FROM plus_rows UNION ALL SELECT *, -1 AS sign FROM minus_rows)
            GROUP BY {columns} HAVING sum(sign) <> 0""")
        if self.key:
            if not subsets:
                self._check_keys("SELECT *, abs(n) AS times, n > 0 AS side FROM net", ", side")
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

    def _check_keys_of(self, rows: pl.LazyFrame) -> None:
        if self.key:
            self._offer("keys", rows.select(self.key))
            self._check_keys("SELECT *, 1 AS times FROM keys")

    def _check_keys(self, rows: str, within: str = "") -> None:
        null = " OR ".join(f"{column} IS NULL" for column in self.short_key.split(", "))
        faults = f"SELECT 1 FROM ({rows}) GROUP BY {self.short_key}{within} HAVING sum(times) > 1 OR {null} LIMIT 1"
        if self.duck.execute(faults).fetchone():
            raise KeyNotUnique(
                f"The key ({', '.join(self.key)}) is null or repeated in the rows that changed.",
                next_step="Correct the table, or declare a key that is unique and never null (or none).",
            )

    def _offer(self, name: str, rows: pl.LazyFrame) -> None:
        offer(self.duck, name, rows.rename(self.short, strict=False))
