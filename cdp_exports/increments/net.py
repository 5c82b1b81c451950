"""The net change between two versions, from any two multisets of rows whose difference it is.

DuckDB counts every distinct row on both sides; what is left over is the net change. It compares nested values, NaN and
null as equal to themselves, spills to disk within a bound, and takes and gives Arrow batches.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cdp_exports.errors import KeyNotUnique, TerminalError

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

CHANGE_TYPE = "_change_type"
_BATCH = 65_536


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
        TerminalError: the disk limit was reached.
    """
    with tempfile.TemporaryDirectory(prefix="cdp_exports_", dir=folder) as spill:
        with closing(_connect(spill, memory_limit, disk_limit)) as duck:
            comparison = _Comparison(duck, minus, plus, key, changes)
            with _within_limits():
                if comparison.only_inserts():
                    net = comparison.inserts()
                else:
                    net = comparison.net(subsets)
            yield net


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
        self.schema = plus.collect_schema()
        self.short = {name: f"c{index}" for index, name in enumerate(self.schema)}
        self.minus = minus
        self.plus = plus
        self.key = tuple(key)
        self.all = changes == "all"

    def only_inserts(self) -> bool:
        import polars as pl

        return self.minus.select(pl.lit(1)).head(1).collect().is_empty()

    def inserts(self) -> NetChange:
        """Nothing was taken away: every row is new, and goes through untouched."""
        import polars as pl

        self._require_unique(self.plus)
        count = int(self.plus.select(pl.len()).collect().item())
        frame = self.plus.with_columns(pl.lit("insert").alias(CHANGE_TYPE)) if self.all else self.plus
        return NetChange(frame, count, 0, 0)

    def net(self, subsets: bool) -> NetChange:
        if subsets:
            self._require_unique(self.minus)
            self._require_unique(self.plus)
        columns = ", ".join(self.short.values())
        self._offer("minus_rows", self.minus)
        self._offer("plus_rows", self.plus)
        self.duck.execute(
            f"CREATE TABLE net AS SELECT {columns}, sum(sign)::BIGINT AS n FROM "
            f"(SELECT *, 1 AS sign FROM plus_rows UNION ALL SELECT *, -1 AS sign FROM minus_rows) "
            f"GROUP BY {columns} HAVING sum(sign) <> 0"
        )
        self._keyed(subsets) if self.key else self._keyless()
        counts = {kind: int(count) for kind, count in self.duck.execute("SELECT kind, sum(n) FROM delivered GROUP BY kind").fetchall()}
        return NetChange(self._delivered(columns), counts.get("insert", 0), counts.get("update", 0), counts.get("delete", 0))

    def _keyed(self, judged: bool) -> None:
        """Left over rows of one key on both sides are an update, on one side an insert or a delete."""
        key = [self.short[name] for name in self.key]
        if not judged and self._is_repeated("SELECT *, n > 0 AS side FROM net", key, ", side") | bool(
            self.duck.execute("SELECT 1 FROM net WHERE abs(n) > 1 LIMIT 1").fetchone()
        ):
            raise self._not_unique()
        same = " AND ".join(f"p.{column} IS NOT DISTINCT FROM m.{column}" for column in key)
        added, removed = "(SELECT * FROM net WHERE n > 0)", "(SELECT * FROM net WHERE n < 0)"
        found = f"EXISTS (SELECT 1 FROM {removed} m WHERE {same})"
        if self.all:
            self.duck.execute(
                f"CREATE VIEW delivered AS SELECT p.* REPLACE (1 AS n), CASE WHEN {found} THEN 'update' ELSE 'insert' END AS kind FROM {added} p "
                f"UNION ALL SELECT m.* REPLACE (1 AS n), 'delete' AS kind FROM {removed} m WHERE NOT EXISTS (SELECT 1 FROM {added} p WHERE {same})"
            )
        else:
            self.duck.execute(f"CREATE VIEW delivered AS SELECT p.*, 'insert' AS kind FROM {added} p WHERE NOT {found}")

    def _keyless(self) -> None:
        deletes = "UNION ALL SELECT * REPLACE (-n AS n), 'delete' AS kind FROM net WHERE n < 0" if self.all else ""
        self.duck.execute(f"CREATE VIEW delivered AS SELECT *, 'insert' AS kind FROM net WHERE n > 0 {deletes}")

    def _delivered(self, columns: str) -> pl.LazyFrame:
        import polars as pl
        from polars.io.plugins import register_io_source

        schema = pl.Schema({**self.schema, CHANGE_TYPE: pl.String()}) if self.all else self.schema
        short = {**self.short, CHANGE_TYPE: "kind"}

        def batches(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            names = schema.names() if with_columns is None else with_columns
            query = f"SELECT {columns}, kind FROM delivered, range(n) {'' if n_rows is None else f'LIMIT {n_rows}'}"
            with closing(self.duck.cursor()) as cursor:
                for batch in cursor.sql(query).to_arrow_reader(_BATCH):
                    rows = pl.DataFrame(batch).select(pl.col(short[name]).cast(schema[name]).alias(name) for name in names)
                    yield rows if predicate is None else rows.filter(predicate)

        return register_io_source(batches, schema=schema, explain_name="net changes")

    def _require_unique(self, rows: pl.LazyFrame) -> None:
        if not self.key:
            return
        self._offer("keys", rows.select(self.key))
        if self._is_repeated("SELECT * FROM keys", [self.short[name] for name in self.key]):
            raise self._not_unique()

    def _is_repeated(self, rows: str, key: Sequence[str], within: str = "") -> bool:
        names = ", ".join(key)
        null = " OR ".join(f"{column} IS NULL" for column in key)
        return bool(self.duck.execute(f"SELECT 1 FROM ({rows}) GROUP BY {names}{within} HAVING count(*) > 1 OR {null} LIMIT 1").fetchone())

    def _not_unique(self) -> KeyNotUnique:
        return KeyNotUnique(
            f"The key ({', '.join(self.key)}) is null or repeated in the rows that changed.",
            next_step="Correct the table, or declare a key that is unique and never null (or none).",
        )

    def _offer(self, name: str, rows: pl.LazyFrame) -> None:
        """Make a lazy frame readable once in DuckDB, as a stream of Arrow batches."""
        self.duck.register(name, _stream(rows.rename(self.short, strict=False)))


def _stream(rows: pl.LazyFrame) -> pa.RecordBatchReader:
    import polars as pl
    import pyarrow as pa

    schema = pl.DataFrame(schema=rows.collect_schema()).to_arrow().schema
    frames = rows.collect_batches(chunk_size=_BATCH, maintain_order=False, lazy=True, engine="streaming")
    return pa.RecordBatchReader.from_batches(schema, (batch for frame in frames for batch in frame.to_arrow().cast(schema).to_batches()))


def _connect(spill: str, memory_limit: int, disk_limit: int | None) -> duckdb.DuckDBPyConnection:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_limit}B",
        "temp_directory": spill,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if disk_limit is not None:
        config["max_temp_directory_size"] = f"{disk_limit}B"
    duck = duckdb.connect(config=config)
    duck.execute("SET TimeZone = 'UTC'")
    return duck


@contextmanager
def _within_limits() -> Generator[None]:
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as exception:
        raise TerminalError(
            "The changes do not fit into the memory and the temporary disk space that this run may use.",
            next_step="Raise the memory limit, or free room in the temporary folder.",
        ) from exception
