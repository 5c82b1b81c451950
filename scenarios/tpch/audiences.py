"""Receivers of segments: DuckDB applies who entered, was updated and left, and compares with whom it finds by itself.

Who is in a segment, and with which values, is written here by hand over the Delta tables; nothing of it comes from the catalog.
"""
# ruff: noqa: S608  the queries name nothing but these tables' columns and the files delivered

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.tpch.receivers import Delivered, Finding

if TYPE_CHECKING:
    import duckdb

_WEALTHY = "c_acctbal > 5000 AND c_mktsegment IN ('BUILDING', 'MACHINERY', 'FURNITURE')"
_BUYERS = """
    SELECT o.o_custkey AS buyer, count(*) AS open_orders, sum(o.o_totalprice) AS open_value
    FROM orders o
    WHERE o.o_orderstatus = 'O'
        AND EXISTS (FROM customer, nation WHERE c_custkey = o.o_custkey AND c_nationkey = n_nationkey AND n_name = 'FRANCE')
    GROUP BY o.o_custkey HAVING count(*) >= 6"""
_PHONE = "sha256(regexp_replace(c_phone, '[^0-9]', '', 'g'))"

_ADS = {"PHONE_SHA256": "VARCHAR", "NAME": "VARCHAR", "INDUSTRY": "VARCHAR", "BALANCE": "DECIMAL(15,2)"}
_SOLD = {"PHONE_SHA256": "VARCHAR", "NAME": "VARCHAR", "OPEN_ORDERS": "BIGINT", "OPEN_VALUE": "DECIMAL(38,2)"}
_ADVERTISED = f"SELECT c_custkey, {_PHONE}, upper(trim(c_name)), lower(c_mktsegment), c_acctbal FROM customer"


@dataclass(frozen=True)
class Truth:
    """Whom a receiver should hold, `query` over the tables: the key, then the fields with these types."""

    query: str
    fields: dict[str, str]


TRUTHS = {
    ("ads", "wealthy"): Truth(f"{_ADVERTISED} WHERE {_WEALTHY}", _ADS),
    ("ads", "campaign"): Truth(f"{_ADVERTISED} WHERE ({_WEALTHY}) OR c_custkey IN (SELECT buyer FROM ({_BUYERS}))", _ADS),
    ("buyers", "french_buyers"): Truth(
        f"SELECT c_custkey, {_PHONE}, lower(c_name), open_orders, open_value FROM customer JOIN ({_BUYERS}) ON buyer = c_custkey", _SOLD
    ),
}
"""By where in the lake a segment is delivered to, and the segment."""

_KEY, _STATUS, _REASON = "c_custkey", "segment_status", "exit_reason"


def applied_by_duckdb(data: Path, truth: Truth, deliveries: Sequence[Delivered]) -> Finding:
    """The set that a receiver has who applied all deliveries in order is the segment at the versions of the last, values included.

    `extra` counts too what a delivery told wrongly: entered for one who is there already, updated without a difference, exited
    for one who is not there or with anything but the key, the identity as it was sent and the reason.
    """
    import duckdb

    with duckdb.connect() as duck:
        columns = {_KEY: "BIGINT"} | truth.fields
        duck.execute(f"CREATE TABLE received ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
        rows = told_wrongly = 0
        for delivery in deliveries:
            duck.execute(f"CREATE OR REPLACE TABLE changes AS FROM {_read(delivery, columns)}")
            rows += _number(duck, "SELECT count(*) FROM changes")
            told_wrongly += _number(duck, _told_wrongly(list(truth.fields)))
            duck.execute(f"DELETE FROM received WHERE {_KEY} IN (SELECT {_KEY} FROM changes)")
            duck.execute(f"INSERT INTO received SELECT {', '.join(columns)} FROM changes WHERE {_STATUS} <> 'exited'")
        _tables(duck, data, deliveries[-1])
        duck.execute(f"CREATE TABLE expected AS {truth.query}")
        missing = _number(duck, "SELECT count(*) FROM (FROM expected EXCEPT ALL FROM received)")
        extra = _number(duck, "SELECT count(*) FROM (FROM received EXCEPT ALL FROM expected)")
        return Finding("DuckDB", "entered, updated, exited = segment", rows, missing, extra + told_wrongly)


def _told_wrongly(fields: list[str]) -> str:
    identity, *others = fields
    same = " AND ".join(f"c.{name} IS NOT DISTINCT FROM r.{name}" for name in fields)
    nothing_else = " AND ".join(f"c.{name} IS NULL" for name in others)
    right = f"""CASE {_STATUS}
        WHEN 'entered' THEN r.{_KEY} IS NULL AND {_REASON} IS NULL
        WHEN 'updated' THEN r.{_KEY} IS NOT NULL AND {_REASON} IS NULL AND NOT ({same})
        WHEN 'exited' THEN r.{_KEY} IS NOT NULL AND {_REASON} IS NOT NULL AND c.{identity} = r.{identity} AND {nothing_else}
        ELSE false END"""
    return (
        f"SELECT count(*) FILTER (NOT ({right})) + count(*) - count(DISTINCT c.{_KEY}) FROM changes c LEFT JOIN received r USING ({_KEY})"
    )


def _tables(duck: duckdb.DuckDBPyConnection, data: Path, delivery: Delivered) -> None:
    """The tables at the versions that the delivery names, as deltalake and pyarrow read them; others as they are now."""
    from deltalake import DeltaTable

    versions = {source["dataset"]: source["upto_version"] for source in delivery.manifest["sources"]}
    for name in ("customer", "nation", "orders"):
        table = DeltaTable(str(data / name), version=versions.get(name))
        duck.register(name, table.to_pyarrow_table())


def _read(delivery: Delivered, columns: dict[str, str]) -> str:
    """The table function that reads the files, with the columns' types spelled out for text."""
    typed = columns | {_STATUS: "VARCHAR", _REASON: "VARCHAR"}
    if not delivery.files:
        return f"(SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in typed.items())} WHERE false)"
    if delivery.files[0].endswith(".parquet"):
        return f"read_parquet({delivery.files}, hive_partitioning = false)"
    return f"read_csv({delivery.files}, columns = {typed}, hive_partitioning = false)"


def _number(duck: duckdb.DuckDBPyConnection, query: str) -> int:
    (number,) = duck.sql(query).fetchall()[0]
    return int(number)
