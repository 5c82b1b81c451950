"""What is left to tell once batches in doubt are settled, of which the evaluation knew nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cdp_exports.delivery import members_journal as journal
from cdp_exports.delivery.members_batches import Rows, write_rows
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.ledger.records import SentBatch


def rest(rows: Rows, settled: Sequence[SentBatch], state: FileDestination, folder: Path) -> Rows:
    """The rows without what was told already. Whoever such a batch let in, and who is not among the rows, should not be there any more:
    they leave."""
    import polars as pl

    if not settled:
        return rows
    told = journal.last_told(journal.sent_since(state, settled, folder)).select(
        "identity",
        told_hash="hash",
        told_left=pl.col("status") == "exited",
        let_in=pl.col("reason").is_null() & (pl.col("status") == "entered"),
        taken=pl.col("reason").is_null() & pl.col("known"),
        known="known",
    )
    leaves = pl.col("status") == "exited"
    alike = (leaves & pl.col("told_left")) | (~leaves & ~pl.col("told_left") & (pl.col("hash") == pl.col("told_hash")))
    status = pl.when(pl.col("taken") & ~leaves).then(pl.when("told_left").then(pl.lit("entered")).otherwise(pl.lit("updated")))
    wanted = pl.scan_ipc(rows.file).drop("row")
    joined = wanted.join(told, on="identity", how="left")
    left = joined.filter(~(pl.col("known").fill_null(value=False) & alike)).with_columns(status=status.otherwise("status"))
    unwanted = told.filter("let_in").join(wanted, on="identity", how="anti")
    gone = unwanted.select("identity", status=pl.lit("exited"), hash=pl.lit(0, pl.UInt64))
    every = pl.concat([left.select(wanted.collect_schema().names()), gone], how="diagonal_relaxed")
    in_order = every.sort(pl.col("status") == "exited", "identity", descending=[True, False])
    return write_rows(in_order, rows.names, folder / "rest.arrow")


def leaving(rows: Rows) -> Rows:
    """Those of them who leave: they come first."""
    import polars as pl

    leaves = pl.scan_ipc(rows.file).select((pl.col("status") == "exited").sum()).collect().item()
    return Rows(rows.file, rows.names, min(leaves, rows.total))
