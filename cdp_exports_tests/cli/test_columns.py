"""`columns`: what it prints and writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from cdp_exports.catalog.load import load
from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys

FILE = "datasets/orders.yaml"


def content(project: Project) -> str:
    return (project.root / "catalog" / FILE).read_bytes().decode()


def test_it_prints_what_can_be_pasted(project: Project) -> None:
    before = content(project)
    shown = project.call("columns", "orders")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "columns:\n  order_id: BIGINT\n  name: VARCHAR\n", "")
    assert content(project) == before
    project.declare(FILE, before + shown.stdout)
    assert load(project.root / "catalog").datasets["orders"].columns == {"order_id": "BIGINT", "name": "VARCHAR"}


def test_json(project: Project) -> None:
    document = project.json("columns", "orders")
    assert same_keys(document, SHAPES["columns"]) == []
    assert document["columns"][0] == {"name": "order_id", "type": "BIGINT", "declared": None}
    assert document["written"] is False
    assert project.json("columns", "orders", "--write")["written"] is True
    again = project.json("columns", "orders", "--write")
    assert (again["written"], again["columns"][0]["declared"]) == (False, "BIGINT")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "# Orders\nsource: {format: delta, uri: data/orders}  # where\nkey: [order_id]  # unique\n\n# note\ndescription: All\n",
            "# Orders\nsource: {format: delta, uri: data/orders}  # where\nkey: [order_id]  # unique\nCOLUMNS\n# note\ndescription: All\n",
        ),
        ("source: {format: delta, uri: data/orders}", "source: {format: delta, uri: data/orders}\nCOLUMNS"),
        (
            "key:\n  - order_id\nsource:\n  format: delta\n  uri: data/orders\n# the end\n",
            "key:\n  - order_id\nsource:\n  format: delta\n  uri: data/orders\n# the end\nCOLUMNS",
        ),
        (
            "source: {format: delta, uri: data/orders}\r\nkey: [order_id]\r\nrole: other\r\n",
            "source: {format: delta, uri: data/orders}\r\nkey: [order_id]\r\nCOLUMNSrole: other\r\n",
        ),
        (
            "  source: {format: delta, uri: data/orders}\n  key: [order_id]\n",
            "  source: {format: delta, uri: data/orders}\n  key: [order_id]\nCOLUMNS",
        ),
        (
            "source: {format: delta, uri: data/orders}\ndescription: |\n  Orders.\n\n  More.\n",
            "source: {format: delta, uri: data/orders}\ndescription: |\n  Orders.\n\n  More.\nCOLUMNS",
        ),
        ("﻿source: {format: delta, uri: data/orders}\n", "﻿source: {format: delta, uri: data/orders}\nCOLUMNS"),
    ],
)
def test_writing_keeps_everything_else(project: Project, before: str, after: str) -> None:
    path = project.root / "catalog" / FILE
    path.write_bytes(before.encode())
    path.chmod(0o640)
    ended = project.call("columns", "orders", "--write")
    assert ended.exit_code == 0, ended.output
    end, indent = "\r\n" if "\r\n" in before else "\n", "  " if before.startswith("  ") else ""
    block = "".join(f"{indent}{line}{end}" for line in ("columns:", "  order_id: BIGINT", "  name: VARCHAR"))
    assert content(project) == after.replace("COLUMNS", block)
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in path.parent.iterdir()) == ["customers.yaml", "orders.yaml"]
    assert load(project.root / "catalog").datasets["orders"].columns == {"order_id": "BIGINT", "name": "VARCHAR"}
    again = project.call("columns", "orders", "--write")
    assert again.exit_code == 0
    assert "declares them already" in again.stdout
    assert content(project) == after.replace("COLUMNS", block)


@pytest.mark.parametrize(
    "before",
    ["{source: {format: delta, uri: data/orders}}\n", "source: {format: delta, uri: data/orders}\n...\n"],
    ids=["in braces", "with an end"],
)
def test_a_file_that_cannot_take_them_is_left_as_it_is(project: Project, before: str) -> None:
    project.declare(FILE, before)
    ended = project.call("columns", "orders", "--write")
    assert ended.exit_code == 2
    assert "cannot be put into" in ended.stderr
    assert content(project) == before


def test_other_columns_are_shown_and_kept(project: Project) -> None:
    before = f"{content(project)}columns: {{order_id: int, gone: varchar}}\n"
    project.declare(FILE, before)
    ended = project.call("columns", "orders", "--write")
    assert (ended.exit_code, ended.stdout) == (2, "")
    for line in ("- order_id: int\n+ order_id: BIGINT\n", "+ name: VARCHAR\n", "- gone: varchar\n"):
        assert line in ended.stderr
    assert content(project) == before
    printed = project.call("columns", "orders")
    assert printed.exit_code == 0
    assert "- gone: varchar" in printed.stderr
    assert "gone" not in printed.stdout


def test_the_same_types_under_other_names_are_the_same(project: Project) -> None:
    project.declare(FILE, f"{content(project)}columns: {{order_id: int8, name: text}}\n")
    ended = project.call("columns", "orders", "--write")
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_names_and_types_of_all_kinds(project: Project) -> None:
    table = pl.DataFrame(
        schema={
            "id": pl.Int32,
            "on": pl.Boolean,
            "a: b": pl.Decimal(10, 2),
            '# é "q" \\ \'': pl.List(pl.String),
            "12": pl.Struct({"x y": pl.Int8, "z": pl.Datetime("us", "UTC")}),
            "": pl.Date,
            "at": pl.Datetime("us"),
            "null": pl.Binary,
            "- x": pl.Float64,
            "日本": pl.Float32,
        }
    )
    write_deltalake(str(project.root / "data" / "odd"), table)
    project.declare("datasets/odd.yaml", "source: {format: delta, uri: data/odd}\n")
    assert project.call("columns", "odd", "--write").exit_code == 0
    columns = load(project.root / "catalog").datasets["odd"].columns
    assert list(columns) == table.columns
    assert list(columns.values()) == [
        "INTEGER",
        "BOOLEAN",
        "DECIMAL(10,2)",
        "VARCHAR[]",
        'STRUCT("x y" TINYINT, z TIMESTAMP WITH TIME ZONE)',
        "DATE",
        "TIMESTAMP",
        "BLOB",
        "DOUBLE",
        "FLOAT",
    ]


def test_other_files_may_still_be_wrong(project: Project) -> None:
    """Columns are declared because a segment needs them: until then the catalog is not valid."""
    project.declare("exports/both.yaml", "kind: dataset\nconnection: nowhere\n")
    project.declare("segments/new.yaml", "of: orders\nwhere: name = 'x'\n")
    (project.root / "dagster.yaml").unlink()
    assert project.call("columns", "orders", "--write").exit_code == 0


@pytest.mark.parametrize(
    ("spoil", "status", "said"),
    [
        ("", 2, "datasets/orders.yaml:1: The file is empty"),
        ("source: {format: delta, uri: data/orders}\nkye: [a]\n", 2, "orders.yaml:2:"),
        ("source: {format: delta, uri: data/none}\n", 1, "does not exist or is no Delta table"),
    ],
)
def test_what_is_wrong_is_said(project: Project, spoil: str, status: int, said: str) -> None:
    project.declare(FILE, spoil)
    ended = project.call("columns", "orders")
    assert (ended.exit_code, ended.stdout) == (status, "")
    assert said in ended.stderr


def test_a_dataset_that_is_not_there(project: Project) -> None:
    ended = project.call("columns", "ordrs")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "There is no dataset 'ordrs' (did you mean 'orders'?)" in ended.stderr


def test_types_are_what_a_segment_sees(project: Project, tmp_path: Path) -> None:
    """Every type that Delta has, the way rows come in when a segment is evaluated."""
    import duckdb

    from cdp_exports.evaluation.stream import Stream
    from cdp_exports.sources.delta.table import DeltaTableSource
    from cdp_exports.sources.describe import duckdb_columns

    every = {
        **{
            kind.__name__: kind
            for kind in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Boolean)
        },
        "date": pl.Date,
        "at": pl.Datetime("us"),
        "when": pl.Datetime("us", "UTC"),
        "d": pl.Decimal(38, 10),
        "list": pl.List(pl.List(pl.Int8)),
        "s": pl.Struct({"A": pl.String, "b": pl.List(pl.Struct({"c": pl.Date}))}),
    }
    write_deltalake(str(tmp_path / "every"), pl.DataFrame(schema=every).clear(3))
    source = DeltaTableSource(str(tmp_path / "every"))
    described = duckdb_columns(source, "every")
    stream = Stream(source.rows(0).frame, list(described), "every", "", in_order=False)
    relation = duckdb.connect().from_arrow(stream.reader)
    assert described == dict(zip(relation.columns, map(str, relation.types), strict=True))
    for type_name in described.values():
        query = duckdb.query(f"SELECT CAST(NULL AS {type_name})")
        assert query is not None
        assert str(query.types[0]) == type_name
