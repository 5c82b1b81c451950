"""Do two sets of files hold the same rows? Read by DuckDB with the table's own types, compared without regard to order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables import KEY


@dataclass(frozen=True)
class Content:
    """The number of rows and the sum of their hashes."""

    rows: int
    digest: int


def content(files: Sequence[Path | str], *, change_types: bool = True, types: Mapping[str, str] | None = None) -> Content:
    """What files of one format hold; text is read with these types, by default those of the line items."""
    import duckdb

    paths = [str(file) for file in files]
    with duckdb.connect() as duck:
        columns_typed = f"columns = {types or _types()}"
        match "".join(Path(paths[0]).suffixes[-2:]):
            case ".csv.gz":
                relation = f"read_csv({paths}, {columns_typed}, hive_partitioning = false)"
            case ".json.gz" | ".ndjson.gz":
                relation = f"read_json({paths}, {columns_typed}, hive_partitioning = false)"
            case _:
                relation = f"read_parquet({paths}, hive_partitioning = false)"
        columns = "COLUMNS(*)" if change_types else "COLUMNS('^l_')"
        (row,) = duck.sql(f"SELECT count(*), sum(hash(*{columns})::HUGEINT) FROM {relation}").fetchall()
    return Content(int(row[0]), int(row[1]))


def assert_same(what: str, *sets: Sequence[Path | str], change_types: bool = True, types: Mapping[str, str] | None = None) -> int:
    """All hold the same rows, with or without their `_change_type`; returns how many."""
    found = [content(files, change_types=change_types, types=types) for files in sets]
    if any(one != found[0] for one in found):
        raise AssertionError(f"{what}: the outputs differ: {found}")
    return found[0].rows


def _types() -> Mapping[str, str]:
    decimals = ("l_quantity", "l_extendedprice", "l_discount", "l_tax")
    texts = ("l_returnflag", "l_linestatus"), ("l_shipinstruct", "l_shipmode", "l_comment")
    types = {KEY[0]: "BIGINT", "l_partkey": "BIGINT", "l_suppkey": "BIGINT", KEY[1]: "INTEGER"}
    types |= dict.fromkeys(decimals, "DECIMAL(15,2)") | dict.fromkeys(texts[0], "VARCHAR")
    return types | dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), "DATE") | dict.fromkeys(texts[1], "VARCHAR")
