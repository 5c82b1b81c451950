"""NDJSON: what is written is what independent readers read."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import io
import json
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from cdp_exports.entities.file_format import JsonFormat
from cdp_exports.errors import CannotHold
from cdp_exports.formats.check import check
from cdp_exports.formats.count import count_rows
from cdp_exports_tests.formats.memory import only
from cdp_exports_tests.formats.rows import NESTED, SCALARS, as_json, tables

DUCKDB_TYPES = {
    "integer": "BIGINT",
    "small": "SMALLINT",
    "text": "VARCHAR",
    "more_text": "VARCHAR",
    "amount": "DECIMAL(18,4)",
    "ratio": "DOUBLE",
    "flag": "BOOLEAN",
    "day": "DATE",
    "local": "TIMESTAMP",
    "moment": "TIMESTAMPTZ",
}


@settings(deadline=None, max_examples=60)
@given(tables({**SCALARS, **NESTED}), st.sampled_from(["gzip", "none"]))
def test_every_value_arrives(table: pl.DataFrame, compression: Literal["gzip", "none"]) -> None:
    format = JsonFormat(type="json", compression=compression)
    content = only(table, format)
    assert count_rows(io.BytesIO(content), format) == table.height
    plain = gzip.decompress(content) if compression == "gzip" else content
    lines = plain.decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [as_json(row) for row in table.to_dicts()]


@settings(deadline=None, max_examples=30)
@given(tables(SCALARS), st.sampled_from(["gzip", "none"]))
def test_duckdb_and_polars_read_it(
    tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame, compression: Literal["gzip", "none"]
) -> None:
    content = only(table, JsonFormat(type="json", compression=compression))
    path = Path(tmp_path_factory.getbasetemp()) / f"read.json{'.gz' if compression == 'gzip' else ''}"
    path.write_bytes(content)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        read = database.sql(
            "SELECT * FROM read_json($path, columns = $columns, format = 'newline_delimited')",
            params={"path": str(path), "columns": DUCKDB_TYPES},
        )
        assert_frame_equal(read.pl(), table, check_exact=True)
    temporal = {name: dtype for name, dtype in table.schema.items() if dtype.is_temporal() or dtype.is_decimal()}
    strings = {**table.schema, **dict.fromkeys(temporal, pl.String()), "small": pl.Int64()}  # Polars reads no Int16
    back = pl.read_ndjson(gzip.decompress(content) if compression == "gzip" else content, schema=strings)
    restored = back.with_columns(
        pl.col("small").cast(pl.Int16),
        pl.col("day").str.to_date(),
        pl.col("amount").cast(pl.Decimal(18, 4)),
        pl.col("local").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6f", time_unit="us"),
        pl.col("moment").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC"),
    )
    assert_frame_equal(restored, table, check_exact=True)


def test_binary_only_as_declared() -> None:
    table = pl.DataFrame({"id": [1], "photo": [b"\x00\xff"], "parts": [[{"raw": b"ab"}]]})
    with pytest.raises(CannotHold, match=r"photo \(binary\); parts \(binary\).*binary: base64"):
        check(table.schema, JsonFormat(type="json"))
    assert json.loads(only(table, JsonFormat(type="json", compression="none", binary="hex"))) == {
        "id": 1,
        "photo": "00ff",
        "parts": [{"raw": "6162"}],
    }
    row = json.loads(only(table, JsonFormat(type="json", compression="none", binary="base64")))
    assert base64.b64decode(row["photo"]) == b"\x00\xff"


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("wrapped", [lambda x: x, lambda x: [1.0, x], lambda x: {"deep": [{"er": x}]}], ids=["plain", "list", "struct"])
def test_no_word_for_non_finite(wrong: float, wrapped: Any) -> None:
    table = pl.DataFrame({"id": [1, 2], "score": [None, wrapped(wrong)]})
    with pytest.raises(CannotHold, match=r"found in score.*non_finite: null"):
        only(table, JsonFormat(type="json"))
    lines = only(table, JsonFormat(type="json", compression="none", non_finite="null")).splitlines()
    assert json.loads(lines[1])["score"] == wrapped(None)


def test_zones_durations_and_wide_integers() -> None:
    winter = dt.datetime(2024, 1, 1, 0, 30)  # noqa: DTZ001  the zone is added below
    table = pl.DataFrame(
        {
            "paris": pl.Series([winter]).dt.replace_time_zone("Europe/Paris"),
            "nano": pl.Series([1_700_000_000_123_456_789]).cast(pl.Datetime("ns")),
            "took": [dt.timedelta(days=1, seconds=1)],
            "huge": pl.Series([2**100], dtype=pl.Int128),
            "at": [dt.time(1, 2, 3)],
            "pair": pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)),
            "nul\x00": ["a\x00b"],
        }
    )
    assert json.loads(only(table, JsonFormat(type="json", compression="none"))) == {
        "paris": "2023-12-31T23:30:00.000000Z",
        "nano": "2023-11-14T22:13:20.123456789",
        "took": "P1DT1S",
        "huge": 2**100,
        "at": "01:02:03.000000000",
        "pair": [1, 2],
        "nul\x00": "a\x00b",
    }


def test_map_keys_must_be_strings() -> None:
    with pytest.raises(CannotHold, match=r"visits.*keys are not strings"):
        check({"visits": pl.Map(pl.Int64(), pl.String())}, JsonFormat(type="json"))
