"""DuckDB as a bounded workshop: lazy frames in, lazy frames out, both as streams of Arrow batches."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cdp_exports.errors import TerminalError

if TYPE_CHECKING:
    import duckdb
    import polars as pl

_BATCH = 65_536


@contextmanager
def workshop(*, memory_limit: int, folder: Path | None, disk_limit: int | None) -> Generator[duckdb.DuckDBPyConnection]:
    """An empty database in memory that spills to a temporary folder (in `folder`); the limits are in bytes.

    Raises:
        TerminalError: a limit was reached, or the folder's disk is full.
    """
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_limit}B",
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with (
        tempfile.TemporaryDirectory(prefix="cdp_exports_", dir=folder) as spill,
        closing(duckdb.connect(config={**config, "temp_directory": spill})) as duck,
    ):
        duck.execute("SET TimeZone = 'UTC'")
        if disk_limit is not None:
            duck.execute(f"SET max_temp_directory_size = '{disk_limit}B'")  # DuckDB 2.0 does not heed it in `config`
        try:
            yield duck
        except (duckdb.OutOfMemoryException, duckdb.IOException) as exception:  # its only files are those it spills
            raise TerminalError(
                "The changes do not fit into the memory and the temporary disk space that this run may use.",
                next_step="Raise the memory limit, or free room in the temporary folder.",
            ) from exception


def offer(duck: duckdb.DuckDBPyConnection, name: str, rows: pl.LazyFrame) -> None:
    """Make a lazy frame readable, once, under a name."""
    import polars as pl
    import pyarrow as pa

    frames = rows.collect_batches(chunk_size=_BATCH, maintain_order=False, lazy=True, engine="streaming")
    schema = _arrow(pl.DataFrame(schema=rows.collect_schema())).schema
    batches = (batch for frame in frames for batch in _arrow(frame).to_batches())
    duck.register(name, cast("Any", pa).RecordBatchReader.from_batches(schema, batches))


def _arrow(frame: pl.DataFrame) -> Any:
    return cast("Any", frame.to_arrow())


def answer(duck: duckdb.DuckDBPyConnection, query: str, dtypes: pl.Schema, short: Mapping[str, str]) -> pl.LazyFrame:
    """What a query returns, lazily and as often as it is consumed; `short` names the query's column for each of `dtypes`."""
    import polars as pl
    from polars.io.plugins import register_io_source

    def batches(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        names = dtypes.names() if with_columns is None else with_columns
        limited = query if n_rows is None else f"{query} LIMIT {n_rows}"
        with closing(duck.cursor()) as cursor:
            for batch in cursor.sql(limited).to_arrow_reader(_BATCH):
                rows = pl.DataFrame(batch).select(pl.col(short[name]).cast(dtypes[name]).alias(name) for name in names)
                yield rows if predicate is None else rows.filter(predicate)

    return register_io_source(batches, schema=dtypes, explain_name="net changes")
