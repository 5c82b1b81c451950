"""The tables: TPC-H line items in 16 columns, as Delta tables of about the number of rows asked for."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

KEY = ("l_orderkey", "l_linenumber")

_PER_SCALE = 6_001_215  # line items at scale factor 1
_PER_FILE = 625_000  # in one row group of up to 128 MB, as Spark and deltalake write them


def generate(folder: Path, rows: int) -> Path:
    """A new table at version 1, with a change data feed. Its data files are generated once and linked."""
    import polars as pl
    from deltalake import DeltaTable, convert_to_deltalake

    raw, table = folder / "raw" / str(rows) / "lineitem", folder / "tables" / str(rows)
    if not raw.exists():
        scale, parts = rows / _PER_SCALE, max(rows // _PER_FILE, 2)
        options = ["-q", "-s", f"{scale:.6f}", "-T", "lineitem", "-p", str(parts), "-c", "ZSTD(1)", "--row-group-bytes", "128MB"]
        making = raw.parent.with_name(f"{rows}.part")
        subprocess.run([Path(sysconfig.get_path("scripts")) / "tpchgen-cli", "parquet", *options, "-o", making], check=True)
        making.rename(raw.parent)
    table.mkdir(parents=True)
    for file in raw.iterdir():
        os.link(file, table / file.name)
    convert_to_deltalake(str(table))
    DeltaTable(str(table)).alter.set_table_properties({"delta.enableChangeDataFeed": "true"})
    assert pl.scan_delta(str(table)).select(pl.len()).collect().item() > 0.99 * rows
    return table


def change(table: Path, rows: int) -> int:
    """Insert, update and delete about `rows` rows in three commits, scattered over the first 100 x `rows`; returns how many it were."""
    import polars as pl
    from deltalake import DeltaTable, write_deltalake

    # A scale factor has 6 million line items and order keys up to 6 million: about a row a number.
    low, every = 100 * rows, 300
    chosen = f"l_orderkey < {low} AND (l_orderkey / 32) % {every} = "
    new = pl.scan_delta(str(table)).filter(pl.col("l_orderkey") < low, (pl.col("l_orderkey") // 32) % every == 0)
    new = new.with_columns(pl.col("l_orderkey") + 8).collect()  # numbers that the generator leaves free
    write_deltalake(str(table), new, mode="append")
    delta = DeltaTable(str(table))
    updated = delta.update(predicate=f"{chosen}1", updates={"l_quantity": "l_quantity + 1", "l_comment": "concat('again ', l_comment)"})
    deleted = delta.delete(f"{chosen}2")
    return new.height + int(updated["num_updated_rows"]) + int(deleted["num_deleted_rows"])
