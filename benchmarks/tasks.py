"""What is measured, each task in a process of its own: `python -m benchmarks.tasks NAME ARGUMENTS` prints seconds and bytes.

A task imports its libraries and opens what it needs, then returns the work; only the work is timed. The peak is the
process's largest resident memory from its start.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.profiles import MAPPED, TOLD_APART_BY, WHERE
from benchmarks.tables import KEY
from benchmarks.uploads import upload_bare, upload_here

Work = Callable[[], object]

__all__ = ["upload_bare", "upload_here"]


def deliver(world: str, export_time: str) -> Work:
    """One delivery, by this project."""
    import boto3
    import deltalake
    import duckdb
    import isal.isal_zlib
    import obstore
    import polars as pl
    import pyarrow.parquet
    import sqlglot

    from benchmarks.world import EXPORT, opened
    from cdp_exports.delivery import deliver as delivering
    from cdp_exports.entities.export_time import ExportTime

    assert all((boto3, deltalake, duckdb, isal, obstore, pl, pyarrow, sqlglot))  # imported before the clock starts, as the others' are
    context = opened(Path(world))

    def work() -> None:
        for outcome in delivering.deliver(context, EXPORT, ExportTime.parse(export_time), run_id="benchmark"):
            if outcome.error:
                raise outcome.error

    return work


def polars_sink(table: str, version: int, to: str, options: dict[str, str] | None = None) -> Work:
    """The same query by bare Polars, in the format that the file's name says."""
    import deltalake
    import polars as pl

    assert deltalake
    frame = pl.scan_delta(table, version=version)
    if to.endswith(".parquet"):
        return lambda: frame.sink_parquet(to, compression="zstd", storage_options=options)
    if to.endswith(".csv.gz"):
        return lambda: frame.sink_csv(to, compression="gzip")
    return lambda: frame.sink_ndjson(to, compression="gzip")


def duckdb_join(table: str, after: int, upto: int, to: str) -> Work:
    """Two versions compared in DuckDB by their key: a full join."""
    columns, old, new, connection = _versions(table, after, upto)
    same = " AND ".join(f"n.{name} = o.{name}" for name in KEY)
    rows = [", ".join(f"{side}.{name}" for name in columns) for side in "no"]
    chosen = ", ".join(f"CASE WHEN n.{KEY[0]} IS NULL THEN o.{name} ELSE n.{name} END AS {name}" for name in columns)
    kind = f"CASE WHEN o.{KEY[0]} IS NULL THEN 'insert' WHEN n.{KEY[0]} IS NULL THEN 'delete' ELSE 'update' END AS _change_type"
    query = f"SELECT {chosen}, {kind} FROM {new} n FULL JOIN {old} o ON {same} WHERE ({rows[0]}) IS DISTINCT FROM ({rows[1]})"
    return lambda: connection.execute(f"COPY ({query}) TO '{to}' (FORMAT parquet, COMPRESSION zstd)")


def duckdb_except(table: str, after: int, upto: int, to: str) -> Work:
    """Two versions compared in DuckDB row by row: EXCEPT both ways, then the leftovers by their key."""
    _, old, new, connection = _versions(table, after, upto)
    same = " AND ".join(f"p.{name} = m.{name}" for name in KEY)
    query = f"""
        WITH plus AS MATERIALIZED (FROM {new} EXCEPT FROM {old}), minus AS MATERIALIZED (FROM {old} EXCEPT FROM {new})
        SELECT p.*, CASE WHEN EXISTS (FROM minus m WHERE {same}) THEN 'update' ELSE 'insert' END AS _change_type FROM plus p
        UNION ALL SELECT m.*, 'delete' FROM minus m WHERE NOT EXISTS (FROM plus p WHERE {same})"""
    return lambda: connection.execute(f"COPY ({query}) TO '{to}' (FORMAT parquet, COMPRESSION zstd)")


def duckdb_segment(table: str, version: int, to: str) -> Work:
    """The members of the segment, mapped, by DuckDB, in the format that the file's name says."""
    import duckdb
    from deltalake import DeltaTable

    connection, files = duckdb.connect(), DeltaTable(table, version=version).file_uris()
    mapped = ", ".join(f"{sql} AS {name}" for name, sql in MAPPED.items())
    query = f"SELECT id, {mapped} FROM read_parquet({files}) WHERE {WHERE}"
    form = "FORMAT parquet, COMPRESSION zstd" if to.endswith(".parquet") else "FORMAT csv, COMPRESSION gzip"
    return lambda: connection.execute(f"COPY ({query}) TO '{to}' ({form})")


def duckdb_segment_change(table: str, after: int, upto: int, to: str, *, deduplicated: bool = False) -> Work:
    """The members of the segment at two versions compared in DuckDB by their key, and for those who left a look at why."""
    _, old, new, connection = _versions(table, after, upto)
    values = ", ".join(f"{sql} AS {name}" for name, sql in zip(MAPPED, TOLD_APART_BY, strict=True))
    only = "QUALIFY row_number() OVER (PARTITION BY lower(trim(email)) ORDER BY last_seen DESC, id) = 1" if deduplicated else ""
    differ = " OR ".join(f"n.{name} IS DISTINCT FROM o.{name}" for name in MAPPED)
    email, *others = MAPPED
    query = f"""
        WITH changed AS MATERIALIZED (
            SELECT coalesce(n.id, o.id) AS id, sha256(coalesce(n.{email}, o.{email})) AS {email},
                {", ".join(f"n.{name}" for name in others)},
                CASE WHEN o.id IS NULL THEN 'entered' WHEN n.id IS NULL THEN 'exited' ELSE 'updated' END AS segment_status
            FROM (SELECT id, {values} FROM {new} WHERE {WHERE} {only}) n
            FULL JOIN (SELECT id, {values} FROM {old} WHERE {WHERE} {only}) o ON n.id = o.id WHERE {differ}
        ), reasons AS (
            SELECT id, CASE WHEN p.country IS NULL THEN 'deleted' WHEN {WHERE} THEN 'duplicate' ELSE 'left_segment' END AS exit_reason
            FROM (SELECT id FROM changed WHERE segment_status = 'exited') LEFT JOIN {new} p USING (id)
        )
        FROM changed LEFT JOIN reasons USING (id)"""
    return lambda: connection.execute(f"COPY ({query}) TO '{to}' (FORMAT parquet, COMPRESSION zstd)")


def _versions(table: str, after: int, upto: int) -> tuple[list[str], str, str, Any]:
    import duckdb
    from deltalake import DeltaTable

    versions = [DeltaTable(table, version=version) for version in (after, upto)]
    columns = [field.name for field in versions[1].schema().fields]
    old, new = (f"read_parquet({version.file_uris()})" for version in versions)
    return columns, old, new, duckdb.connect()


def peak_memory() -> int:
    """Bytes. Where the system does not tell it of this program alone, of the process, which began as a copy of its parent."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    work = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    begun = time.perf_counter()
    work()
    print(json.dumps({"seconds": time.perf_counter() - begun, "peak": peak_memory()}))
