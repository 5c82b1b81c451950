"""Four TPC-H tables as Delta tables, and what its refresh functions do to them.

https://www.tpc.org/TPC_Documents_Current_Versions/pdf/TPC-H_v3.0.1.pdf, section 2.5: RF1 inserts new orders with their
line items, RF2 deletes old ones, each about 0.1 % of the orders. Order keys fill only the first 8 of every 32 numbers
(4.2.3), so a block of 32 is the unit in which orders are chosen here, and new orders take the numbers left free. TPC-H never changes
customers; here some come, go, move, and spend with every refresh.
"""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

KEYS = {"orders": ("o_orderkey",), "lineitem": ("l_orderkey", "l_linenumber")}
"""The tables that are delivered as they are."""

_READ_BY_SEGMENTS = ("customer", "nation")
_WITH_FEED = ("orders", "customer")
_ORDER = {"orders": "o_orderkey", "lineitem": "l_orderkey"}
_BLOCKS = 1000  # one of them in every thousand is 0.1 % of the orders
_FILE_SIZE = 32 << 20


@dataclass(frozen=True)
class Changed:
    """How many rows of a table were changed, and how."""

    inserted: int
    updated: int
    deleted: int


def generate(folder: Path, scale: float) -> None:
    """Write the tables with tpchgen-cli, then as Delta tables; `orders` and `customer` have a change data feed."""
    from deltalake import write_deltalake
    from pyarrow import dataset

    raw, names = folder / "raw", [*KEYS, *_READ_BY_SEGMENTS]
    generator = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
    subprocess.run([generator, "parquet", "-q", "-s", str(scale), "-T", ",".join(names), "-o", raw], check=True)  # noqa: S603
    for name in names:
        file = raw / f"{name}.parquet"
        configuration: dict[str, str | None] = {"delta.enableChangeDataFeed": "true"} if name in _WITH_FEED else {}
        rows = dataset.dataset(file).scanner().to_reader()
        write_deltalake(str(folder / name), rows, configuration=configuration, target_file_size=_FILE_SIZE)


def refresh(folder: Path, number: int) -> Mapping[str, Changed]:
    """The refresh functions number 1, 2, ... on orders and line items, each with its own orders: RF1 as appends, updates, RF2.

    Customers change too. What is returned counts the tables that are delivered as they are.
    """
    _refresh_customers(folder, number)
    return {name: _refresh(folder, name, number) for name in KEYS}


def rearrange(folder: Path, number: int) -> str:
    """Rewrite files without changing a row: compaction, every second time Z-order. Says what was done."""
    from deltalake import DeltaTable

    orders, lineitem = (DeltaTable(str(folder / name)) for name in KEYS)
    orders.optimize.compact()
    if number % 2:
        lineitem.optimize.compact()
        return "OPTIMIZE of both tables"
    lineitem.optimize.z_order(["l_shipdate", "l_partkey"])
    return "OPTIMIZE of orders, Z-order of lineitem by l_shipdate and l_partkey"


def _refresh(folder: Path, name: str, number: int) -> Changed:
    from deltalake import DeltaTable, write_deltalake

    path, order = str(folder / name), _ORDER[name]
    new = _new_rows(folder, name, number)
    write_deltalake(path, new, mode="append")
    table = DeltaTable(path)
    updated = table.update(predicate=_chosen(order, number, 1), updates=_UPDATES[name])["num_updated_rows"]
    deleted = table.delete(_chosen(order, number, 2))["num_deleted_rows"]
    return Changed(new.height, int(updated), int(deleted))


def _refresh_customers(folder: Path, number: int) -> None:
    """Of every hundred customers one is new, one leaves, four move and get another telephone number, two of them spend or earn."""
    import polars as pl
    from deltalake import DeltaTable, write_deltalake

    path, key, share = str(folder / "customer"), pl.col("c_custkey"), 10 * number
    new = pl.scan_parquet(folder / "raw" / "customer.parquet").filter(key % 100 == share % 100)
    write_deltalake(path, new.with_columns(key + 1_000_000_000 * number).collect(), mode="append")
    table = DeltaTable(path)
    table.update(predicate=f"c_custkey % 25 = {share % 25 + 1}", updates=_MOVED)
    table.delete(f"c_custkey % 100 = {(share + 3) % 100}")


_MOVED = {
    "c_nationkey": "(c_nationkey + 1) % 25",
    "c_acctbal": "CASE WHEN c_custkey % 2 = 0 THEN 9000 - c_acctbal ELSE c_acctbal END",
    "c_phone": "concat(c_phone, '-', c_nationkey)",
}

_UPDATES = {
    "orders": {"o_orderstatus": "'F'", "o_totalprice": "o_totalprice + 1", "o_comment": "concat(o_comment, ' closed')"},
    "lineitem": {"l_linestatus": "'F'", "l_quantity": "l_quantity + 1", "l_shipmode": "'DRONE'"},
}


def _new_rows(folder: Path, name: str, number: int) -> pl.DataFrame:
    """Rows of generated orders under order keys that the generator leaves free."""
    import polars as pl

    order = pl.col(_ORDER[name])
    rows = pl.scan_parquet(folder / "raw" / f"{name}.parquet").filter((order // 32) % _BLOCKS == _block(number, 0))
    return rows.with_columns(order + 8).collect()


def _chosen(order: str, number: int, step: int) -> str:
    return f"({order} / 32) % {_BLOCKS} = {_block(number, step)}"


def _block(number: int, step: int) -> int:
    """Blocks that no other refresh touches."""
    return 3 * number + step
