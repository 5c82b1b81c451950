"""Receivers of the delivered files: DuckDB and pyarrow read them by themselves and compare with the Delta tables.

They know the files from the manifests, as any receiver does, and nothing else of this project.
"""
# ruff: noqa: S608  the queries name nothing but these tables' columns and the files delivered

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.tpch.tables import KEYS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CHANGE_TYPE = "_change_type"


@dataclass(frozen=True)
class Delivered:
    """What one manifest says of its folder."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def files(self) -> list[str]:
        return [str(self.folder / file["path"]) for file in self.manifest["files"]]

    @property
    def rows(self) -> dict[str, int]:
        return self.manifest["rows"]

    @property
    def versions(self) -> tuple[int | None, int]:
        (source,) = self.manifest["sources"]
        return source["after_version"], source["upto_version"]


def delivered(folder: Path, dataset: str) -> list[Delivered]:
    """The deliveries of a dataset, oldest first: the base, then its increments."""
    manifests = sorted((folder / dataset).glob("exportTime=*/_manifest"))
    return [Delivered(path.parent, json.loads(path.read_bytes())) for path in manifests]


@dataclass(frozen=True)
class Finding:
    """What a reader found: rows it read in all files and, of what it compared, those that only one side has."""

    reader: str
    question: str
    rows: int
    missing: int
    extra: int

    @property
    def equal(self) -> bool:
        return self.missing == self.extra == 0


def rebuilt_by_duckdb(table: Path, dataset: str, deliveries: Sequence[Delivered]) -> Finding:
    """Base plus increments (inserts, updates, deletes) is the table as it is at the last delivered version."""
    import duckdb

    with duckdb.connect() as duck:
        schema = _expected(duck, "expected", table, deliveries[-1].versions[1])
        columns, key = ", ".join(schema.names), KEYS[dataset]
        keys, same = ", ".join(key), " AND ".join(f"c.{name} = b.{name}" for name in key)
        first, *increments = [_read(delivery, schema) for delivery in deliveries]
        changes = " UNION ALL ".join(f"SELECT *, {index} AS increment FROM {read}" for index, read in enumerate(increments))
        duck.execute(f"CREATE TABLE base AS SELECT {columns} FROM {first}")
        duck.execute("CREATE VIEW received AS FROM base")
        rows = _count(duck, "base")
        if increments:
            duck.execute(f"CREATE TABLE changes AS {changes}")
            rows += _count(duck, "changes")
            duck.execute(f"""
                CREATE TABLE newest AS FROM changes
                QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY increment DESC) = 1""")
            duck.execute(f"""
                CREATE OR REPLACE VIEW received AS
                SELECT {columns} FROM base b WHERE NOT EXISTS (FROM newest c WHERE {same})
                UNION ALL SELECT {columns} FROM newest WHERE {CHANGE_TYPE} <> 'delete'""")
        return Finding("DuckDB", "base + increments = table", rows, *_differences(duck, columns))


def added_by_duckdb(table: Path, dataset: str, deliveries: Sequence[Delivered]) -> Finding:
    """The base is the table as it was; each increment is the rows whose key was absent at the version before."""
    import duckdb

    rows = missing = extra = 0
    for delivery in deliveries:
        after, upto = delivery.versions
        with duckdb.connect() as duck:
            schema = _expected(duck, "expected", table, upto)
            if after is not None:
                _expected(duck, "before", table, after)
                same = " AND ".join(f"a.{name} = e.{name}" for name in KEYS[dataset])
                duck.execute("ALTER VIEW expected RENAME TO later")
                duck.execute(f"CREATE VIEW expected AS FROM later e WHERE NOT EXISTS (FROM before a WHERE {same})")
            duck.execute(f"CREATE TABLE received AS FROM {_read(delivery, schema)}")
            rows += _count(duck, "received")
            found = _differences(duck, ", ".join(schema.names))
            missing, extra = missing + found[0], extra + found[1]
    return Finding("DuckDB", "each delivery = rows added", rows, missing, extra)


def rebuilt_by_pyarrow(table: Path, dataset: str, deliveries: Sequence[Delivered]) -> Finding:
    """The same as `rebuilt_by_duckdb`, increment after increment, with pyarrow alone."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    key = list(KEYS[dataset])
    expected = DeltaTable(str(table), version=deliveries[-1].versions[1]).to_pyarrow_table()
    expected = expected.cast(_nullable(expected.schema))
    base, *increments = (_read_by_pyarrow(delivery, expected.schema) for delivery in deliveries)
    rows = base.num_rows + sum(increment.num_rows for increment in increments)

    def applied(held: pa.Table, increment: pa.Table) -> pa.Table:
        import pyarrow as pa

        kept = held.join(increment.select(key), keys=key, join_type="left anti")
        return pa.concat_tables([kept, increment.filter(pc.not_equal(increment[CHANGE_TYPE], "delete"))])

    held = reduce(applied, increments, base).select(expected.column_names)
    order = [(name, "ascending") for name in key]
    equal = held.sort_by(order).equals(expected.sort_by(order))
    differing = 0 if equal else max(abs(held.num_rows - expected.num_rows), 1)
    return Finding("pyarrow", "base + increments = table", rows, differing, differing)


def counted_by_pyarrow(table: Path, dataset: str, deliveries: Sequence[Delivered]) -> Finding:
    """Every file holds the rows that its manifest counts."""
    from deltalake import DeltaTable

    schema = DeltaTable(str(table)).to_pyarrow_dataset().schema
    found = [_read_by_pyarrow(delivery, schema).num_rows for delivery in deliveries]
    promised = [delivery.rows["total"] for delivery in deliveries]
    missing = sum(max(p - f, 0) for p, f in zip(promised, found, strict=True))
    extra = sum(max(f - p, 0) for p, f in zip(promised, found, strict=True))
    return Finding("pyarrow", "rows read = rows in manifests", sum(found), missing, extra)


def _expected(duck: duckdb.DuckDBPyConnection, name: str, table: Path, version: int) -> pa.Schema:
    """The table as deltalake and pyarrow read it, without any code of this project."""
    from deltalake import DeltaTable

    dataset = DeltaTable(str(table), version=version).to_pyarrow_dataset()
    duck.register(f"{name}_dataset", dataset)
    duck.execute(f"CREATE VIEW {name} AS FROM {name}_dataset")
    return dataset.schema


def _read(delivery: Delivered, schema: pa.Schema) -> str:
    """The table function that reads the files, with the columns' types spelled out for text."""
    files = delivery.files
    if not files:
        nulls = ", ".join(f"NULL::{_sql_type(field)} AS {field.name}" for field in schema)
        return f"(SELECT {nulls}, NULL::VARCHAR AS {CHANGE_TYPE} WHERE false)"
    columns = {field.name: _sql_type(field) for field in schema}
    changes = {CHANGE_TYPE: "VARCHAR"} if CHANGE_TYPE in [column["name"] for column in delivery.manifest["schema"]] else {}
    if files[0].endswith(".parquet"):
        return f"read_parquet({files}, hive_partitioning = false)"
    reader = "read_csv" if files[0].endswith(".csv.gz") else "read_json"
    return f"{reader}({files}, columns = {columns | changes}, hive_partitioning = false)"


def _sql_type(field: pa.Field[Any]) -> str:
    names = {"int64": "BIGINT", "int32": "INTEGER", "string": "VARCHAR", "date32[day]": "DATE"}
    name = str(field.type)
    return names.get(name) or name.replace("decimal128", "DECIMAL")


def _count(duck: duckdb.DuckDBPyConnection, relation: str) -> int:
    (count,) = duck.sql(f"SELECT count(*) FROM {relation}").fetchall()[0]
    return int(count)


def _differences(duck: duckdb.DuckDBPyConnection, columns: str) -> tuple[int, int]:
    """Rows of `expected` that `received` lacks, and rows it has too many; as multisets.

    The rows are told apart one by one only where their number or the sum of their hashes differs: that is ten times faster.
    """
    digests = [duck.sql(f"SELECT count(*), sum(hash({columns})::HUGEINT) FROM {side}").fetchall() for side in ("expected", "received")]
    if digests[0] == digests[1]:
        return 0, 0
    one, other = f"SELECT {columns} FROM expected", f"SELECT {columns} FROM received"
    return _count(duck, f"({one} EXCEPT ALL {other})"), _count(duck, f"({other} EXCEPT ALL {one})")


def _read_by_pyarrow(delivery: Delivered, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    names = [column["name"] for column in delivery.manifest["schema"]]
    wanted = _nullable(schema)
    if CHANGE_TYPE in names:
        wanted = wanted.append(pa.field(CHANGE_TYPE, pa.string()))
    tables = [table.select(wanted.names).cast(wanted) for table in _tables_of(delivery.files, wanted)]
    return pa.concat_tables(tables) if tables else wanted.empty_table()


def _nullable(schema: pa.Schema) -> pa.Schema:
    """Text knows no columns that are never null."""
    import pyarrow as pa

    return pa.schema([field.with_nullable(True) for field in schema])


def _tables_of(files: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    for file in files:
        if file.endswith(".parquet"):
            yield pyarrow.parquet.read_table(file, partitioning=None)
        elif file.endswith(".csv.gz"):
            yield pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types=schema))
        else:
            as_text = pa.schema([field.with_type(pa.string()) if pa.types.is_date(field.type) else field for field in schema])
            yield pyarrow.json.read_json(file, parse_options=pyarrow.json.ParseOptions(explicit_schema=as_text))
