"""External lists: what stands in the file, as the declared types, or a sentence without values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from cdp_exports.entities.segment import MemberList
from cdp_exports.errors import DeclarationError, SourceUnreadable, TransientError
from cdp_exports.sources.delta.storage import Storage
from cdp_exports.sources.list_types import polars_type
from cdp_exports.sources.member_list import bytes_of, rows_of
from cdp_exports_tests.servers.seaweedfs import ADMIN, READER, REGION, Bucket

Kind = Literal["csv", "parquet", "json"]


def rows(path: Path, content: bytes | pl.DataFrame, types: Mapping[str, str], kind: Kind = "csv") -> pl.DataFrame:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.write_parquet(path)
    return rows_of(MemberList(uri="lists/vip", format=kind), path, types).collect()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


TYPES = {
    "id": "VARCHAR(20)",
    "n": "bigint",
    "x": "double",
    "d": "DECIMAL(10,2)",
    "b": "boolean",
    "day": "date",
    "at": "timestamp",
    "when": "timestamp with time zone",
}
VALUES = (
    "007",
    7,
    1.5,
    Decimal("1.10"),
    True,
    date(2026, 12, 1),
    datetime(2026, 12, 1, 2, 0, 0, 123456),  # noqa: DTZ001 without a zone
    datetime(2026, 12, 1, 2, tzinfo=UTC),
)
SCHEMA = {
    "id": pl.String(),
    "n": pl.Int64(),
    "x": pl.Float64(),
    "d": pl.Decimal(10, 2),
    "b": pl.Boolean(),
    "day": pl.Date(),
    "at": pl.Datetime("us"),
    "when": pl.Datetime("us", "UTC"),
}


@pytest.mark.parametrize("when", ["2026-12-01T04:00:00+02:00", "2026-12-01 02:00:00Z", "2026-12-01 02:00:00", "2026-11-30 21:00:00.0-0500"])
def test_csv(file: Path, when: str) -> None:
    content = (
        f'﻿else,id,n,x,d,b,day,at,when\nzz,007, 7 ,1.5,1.1,TRUE,2026-12-01,2026-12-01T02:00:00.123456,{when}\r\n,"a ""b""\nc",,"",,,,,\n'
    )
    found = rows(file, content.encode(), TYPES)
    assert found.schema == SCHEMA
    assert found.rows() == [VALUES, ('a "b"\nc', *[None] * 7)]


def test_json(file: Path) -> None:
    content = (
        b'{"id": "007", "n": 7, "x": 1.5, "d": 1.1, "b": true, "day": "2026-12-01", "at": "2026-12-01T02:00:00.123456",'
        b' "when": "2026-12-01T02:00:00Z", "else": {"a": [1]}}\n{"id": "8", "n": null, "d": "2.50"}\n'
    )
    found = rows(file, content, TYPES, "json")
    assert found.schema == SCHEMA
    assert found.rows() == [VALUES, ("8", None, None, Decimal("2.50"), None, None, None, None)]
    assert rows(file, b'{"id": 12345678901234567890}\n{"id": 1.0}\n', {"id": "varchar"}, "json").rows() == [
        ("12345678901234567890",),
        ("1",),
    ]


def test_parquet(file: Path) -> None:
    written = pl.DataFrame([(*VALUES, 1)], schema={**SCHEMA, "else": pl.Int8()}, orient="row")
    found = rows(file, written.with_columns(pl.col("n").cast(pl.Int16), pl.col("x").cast(pl.Float32)), TYPES, "parquet")
    assert found.schema == SCHEMA
    assert found.rows() == [VALUES]


def test_a_list_of_nobody(file: Path) -> None:
    empty: list[tuple[Kind, bytes | pl.DataFrame]] = [
        ("csv", b"id\n"),
        ("json", b""),
        ("json", b"\n"),
        ("parquet", pl.DataFrame(schema={"id": pl.Int64})),
    ]
    for kind, content in empty:
        found = rows(file, content, {"id": "bigint"}, kind)
        assert (found.height, found.schema) == (0, {"id": pl.Int64})


@pytest.mark.parametrize(
    ("kind", "content", "types", "said"),
    [
        ("csv", b"idd\n1\n", {"id": "bigint"}, "has no column 'id' (did you mean 'idd'?)"),
        ("csv", b"id;a\n1;2\n", {"id": "bigint"}, "has no column 'id'"),
        ("json", b'{"a": 1}\n', {"id": "bigint"}, "has no column 'id'"),
        ("parquet", pl.DataFrame({"a": [1]}), {"id": "bigint"}, "has no column 'id'"),
        ("csv", b"", {"id": "bigint"}, "it is no CSV file with a header"),
        ("csv", b"id\n1,secret\n", {"id": "bigint"}, "it is no CSV file"),
        ("csv", b"id\n\xff\n", {"id": "varchar"}, "it is no CSV file"),
        ("json", b'{"id": 1}\n{"secret', {"id": "bigint"}, "it is no newline-delimited JSON"),
        ("json", b'["secret"]\n', {"id": "bigint"}, "it is no newline-delimited JSON"),
        ("parquet", b"secret", {"id": "bigint"}, "it is no Parquet file"),
        ("csv", b"id\n1\nsecret\n2x\n", {"id": "bigint"}, "2 values of the column 'id' in the list lists/vip are not of the type bigint"),
        ("csv", b"id\n1.5\n", {"id": "bigint"}, "1 values"),
        ("csv", b"id\n300\n", {"id": "tinyint"}, "1 values"),
        ("csv", b"id\n1.005\n", {"id": "decimal(10,2)"}, "1 values"),
        ("csv", b"id\n123456789.00\n", {"id": "decimal(10,2)"}, "1 values"),
        ("csv", b"id\nsecret\n", {"id": "boolean"}, "1 values"),
        ("csv", b"id\n2026-02-30\n", {"id": "date"}, "1 values"),
        ("csv", b"id\n2026-12-01 02:00:00+01:00\n", {"id": "timestamp"}, "1 values"),
        ("csv", b"id\nsecret\n", {"id": "timestamptz"}, "1 values"),
        ("parquet", pl.DataFrame({"id": [1.5, 2.0]}), {"id": "bigint"}, "1 values"),
        ("parquet", pl.DataFrame({"id": [1]}), {"id": "timestamp"}, "is not of the type timestamp, but of Polars' Int64"),
        ("parquet", pl.DataFrame({"id": [["secret"]]}), {"id": "varchar"}, "but of Polars' List"),
    ],
)
def test_what_cannot_be_read_is_said_without_values(
    file: Path, kind: Kind, content: bytes | pl.DataFrame, types: dict[str, str], said: str
) -> None:
    with pytest.raises(SourceUnreadable) as failed:
        rows(file, content, types, kind)
    assert said in failed.value.message
    assert "secret" not in str(failed.value)
    assert failed.value.__cause__ is None


@pytest.mark.parametrize("type_name", ["varchar[]", "blob", "interval", "struct(a int)", "time", "nonsense"])
def test_a_type_that_a_list_cannot_have(file: Path, type_name: str) -> None:
    with pytest.raises(DeclarationError, match="cannot have a column of the type"):
        rows(file, b"id\n1\n", {"id": type_name})


def test_types_are_those_that_duckdb_means() -> None:
    import duckdb

    names = ["bigint", "LONG", "int4", "short", "tinyint", "ubigint", "double", "float", "bool", "date", "datetime"]
    names += [
        "timestamptz",
        "TIMESTAMP  WITH TIME ZONE",
        "decimal",
        "numeric(5)",
        "dec(9, 4)",
        "text",
        "bpchar",
        "varchar(3)",
        "int1",
        "oid",
    ]
    for name in names:
        frame: Any = pl.DataFrame(schema={"x": polars_type(name)})
        connection = duckdb.connect()
        (seen,) = connection.from_arrow(frame).types
        (meant,) = connection.query(f"SELECT NULL::{name} AS x").types
        assert (name, str(seen)) == (name, str(meant)), frame.schema


def test_a_file_on_disk(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a b.csv").write_bytes(b"id\n1\n")
    found = MemberList(uri="lists/a b.csv", format="csv")
    assert b"".join(bytes_of(found, tmp_path, {})) == b"id\n1\n"
    for uri, said in (("lists/no.csv", "does not exist"), ("lists", "is a folder"), ("lists/a b.csv/c", "does not exist")):
        with pytest.raises(SourceUnreadable, match=said):
            list(bytes_of(MemberList(uri=uri, format="csv"), tmp_path, {}))


def in_store(bucket: Bucket, name: str = "a b.csv", **changes: Any) -> MemberList:
    options = {
        "aws_region": REGION,
        "aws_endpoint_url": bucket.url,
        "aws_access_key_id": {"env": "KEY"},
        "aws_secret_access_key": {"env": "SECRET"},
        "aws_allow_http": "true",
        **changes,
    }
    return MemberList.model_validate({"uri": f"s3://{bucket.name}/{bucket.folder}/{name}", "format": "csv", "options": options})


def test_a_file_in_a_store(bucket: Bucket, tmp_path: Path) -> None:
    content = b"id\n" + b"x" * (20 << 20)
    bucket.client(ADMIN).put_object(Bucket=bucket.name, Key=f"{bucket.folder}/a b.csv", Body=content)
    environ = {"KEY": READER.access_key_id, "SECRET": READER.secret_access_key}
    assert b"".join(bytes_of(in_store(bucket), tmp_path, environ)) == content
    with pytest.raises(SourceUnreadable, match="does not exist"):
        list(bytes_of(in_store(bucket, "no.csv"), tmp_path, environ))
    with pytest.raises(SourceUnreadable, match="credentials were refused"):
        list(bytes_of(in_store(bucket), tmp_path, {**environ, "SECRET": "wrong"}))
    with pytest.raises(DeclarationError, match="SECRET"):
        list(bytes_of(in_store(bucket), tmp_path, {"KEY": "x"}))
    away = in_store(bucket, aws_endpoint_url="http://127.0.0.1:1", max_retries="0", retry_timeout="1s")
    with pytest.raises(TransientError, match="cannot be reached"):
        list(bytes_of(away, tmp_path, environ))


def test_a_file_that_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"x" * (20 << 20))
    chunks = Storage(str(tmp_path), {}).chunks("list")
    next(chunks)
    (tmp_path / "new").write_bytes(b"y" * (21 << 20))
    (tmp_path / "new").replace(tmp_path / "list")
    with pytest.raises(TransientError, match="was replaced"):
        list(chunks)
