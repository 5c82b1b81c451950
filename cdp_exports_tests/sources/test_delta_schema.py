"""Columns added, dropped, widened and changed between two versions."""

# ruff: noqa: DTZ001 moments without a zone are a type of their own
from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from cdp_exports.errors import HistoryLost
from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports.sources.source import Column
from cdp_exports_tests.sources.comparing import check, comparable, delivered, rows_of
from cdp_exports_tests.sources.handmade import actions

ALL = ["delta-cdf", "delta-files", "delta-snapshots"]
FEED = {"delta.enableChangeDataFeed": "true"}


def source(path: Path) -> DeltaTableSource:
    return DeltaTableSource(str(path))


def test_columns_are_said_in_deltas_words_with_their_comments(tmp_path: Path) -> None:
    path = tmp_path / "t"
    kinds = {
        "id": pa.int64(),
        "amount": pa.decimal128(10, 2),
        "tags": pa.map_(pa.string(), pa.list_(pa.int32())),
        "place": pa.struct([("city", pa.string()), ("at", pa.timestamp("us", "UTC"))]),
    }
    write_deltalake(path, pa.schema([pa.field(name, kind, name != "id") for name, kind in kinds.items()]).empty_table())
    DeltaTable(path).alter.set_column_metadata("amount", {"comment": "in euros"})
    assert source(path).columns(1) == (
        Column("id", "long", nullable=False),
        Column("amount", "decimal(10,2)", nullable=True, description="in euros"),
        Column("tags", "map<string,array<integer>>", nullable=True),
        Column("place", "struct<city:string,at:timestamp>", nullable=True),
    )
    assert source(path).columns(0)[1].description is None


def test_an_added_column_is_null_before(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "x": ["a", "b"]}), configuration=FEED)
    write_deltalake(path, pl.DataFrame({"id": [3], "x": ["c"], "y": [1.5]}), mode="append", schema_mode="merge")
    DeltaTable(path).update({"y": "2.5"}, predicate="id = 1")
    check(path, 0, 2, ["id"], ALL)
    check(path, 0, 2, [], ALL)
    plus = source(path).difference(0, 2).plus
    assert plus.collect_schema().names() == ["id", "x", "y"]


def test_an_added_field_of_a_struct_is_null_before(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "s": [{"a": 1}, None]}), configuration=FEED)
    write_deltalake(path, pl.DataFrame({"id": [3], "s": [{"a": 2, "b": "x"}]}), mode="append", schema_mode="merge")
    DeltaTable(path).delete("id = 1")
    for way in ALL:
        net = delivered(source(path).difference(0, 2, way), ["id"], "all")
        assert net == {(3, comparable({"a": 2, "b": "x"}), "insert"): 1, (1, comparable({"a": 1, "b": None}), "delete"): 1}, way


def test_a_dropped_column_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "x": ["a", "b"], "y": [1, 2]}), configuration=FEED)
    write_deltalake(path, pl.DataFrame({"id": [1, 2, 3], "x": ["a", "B", "c"]}), mode="overwrite", schema_mode="overwrite")
    check(path, 0, 1, ["id"], ALL)
    check(path, 0, 1, [], ALL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pl.Series("x", [1, None], dtype=pl.Int32), pl.Series("x", [1, 2**40], dtype=pl.Int64)),
        (pl.Series("x", [1, None], dtype=pl.Int8), pl.Series("x", [1, 300], dtype=pl.Int16)),
        (pl.Series("x", [1.5, None], dtype=pl.Float32), pl.Series("x", [1.5, 0.1], dtype=pl.Float64)),
        (pl.Series("x", [1, None], dtype=pl.Int32), pl.Series("x", [1.0, 0.5], dtype=pl.Float64)),
        (
            pl.Series("x", [Decimal("1.20"), None], dtype=pl.Decimal(10, 2)),
            pl.Series("x", [Decimal("1.2000"), Decimal("9.9999")], dtype=pl.Decimal(14, 4)),
        ),
        (pl.Series("x", [1, None], dtype=pl.Int32), pl.Series("x", [Decimal(1), Decimal("2.5")], dtype=pl.Decimal(14, 4))),
        (
            pl.Series("x", [date(2020, 1, 1), None]),
            pl.Series("x", [datetime(2020, 1, 1), datetime(2020, 1, 2, 3)], dtype=pl.Datetime("us")),
        ),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_widened_column_is_cast(tmp_path: Path, old: pl.Series, new: pl.Series) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame([pl.Series("id", [1, 2]), old]), configuration=FEED)
    write_deltalake(path, pl.DataFrame([pl.Series("id", [1, 2]), new]), mode="overwrite", schema_mode="overwrite")
    for way in ALL:
        net = delivered(source(path).difference(0, 1, way), ["id"], "all")
        assert net == {(2, new[1], "update"): 1}, way


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pl.Series("x", [1]), pl.Series("x", ["1"])),
        (pl.Series("x", [1], dtype=pl.Int64), pl.Series("x", [1], dtype=pl.Int32)),
        (pl.Series("x", [Decimal("1.20")], dtype=pl.Decimal(10, 2)), pl.Series("x", [Decimal("1.2")], dtype=pl.Decimal(10, 1))),
        (
            pl.Series("x", [datetime(2020, 1, 1)], dtype=pl.Datetime("us")),
            pl.Series("x", [datetime(2020, 1, 1, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC")),
        ),
        (pl.Series("x", [[1]]), pl.Series("x", [["1"]])),
    ],
    ids=lambda values: str(values.dtype),
)
def test_any_other_change_of_type_loses_the_history(tmp_path: Path, old: pl.Series, new: pl.Series) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame([pl.Series("id", [1]), old]), configuration=FEED)
    write_deltalake(path, pl.DataFrame([pl.Series("id", [1]), new]), mode="overwrite", schema_mode="overwrite")
    for way in (None, *ALL):
        with pytest.raises(HistoryLost, match="'x' from", check=lambda error: error.reason == "schema_changed"):
            source(path).difference(0, 1, way)


def test_a_type_changed_and_changed_back_is_told_by_the_files(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "x": [1, 2]}), configuration=FEED)
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "x": ["1", "2"]}), mode="overwrite", schema_mode="overwrite")
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "x": [1, 3]}), mode="overwrite", schema_mode="overwrite")
    assert source(path).difference(0, 2).change_source == "delta-files"
    check(path, 0, 2, ["id"], ["delta-files", "delta-snapshots"])


def test_the_feed_is_used_only_where_every_commit_had_it(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1]}))
    write_deltalake(path, pl.DataFrame({"id": [2]}), mode="append")
    DeltaTable(path).alter.set_table_properties(FEED)
    write_deltalake(path, pl.DataFrame({"id": [3]}), mode="append")
    assert actions(path, 2, "metaData")
    assert source(path).difference(0, 3).change_source == "delta-files"
    assert source(path).difference(1, 3).change_source == "delta-cdf"
    check(path, 1, 3, ["id"], ALL)
    check(path, 0, 3, ["id"], ALL[1:])


def test_every_type_comes_through_every_change_source(tmp_path: Path) -> None:
    path = tmp_path / "t"
    moments = pl.Series([datetime(2020, 3, 29, 2, 30, 0, 1), None, datetime(1969, 1, 1)], dtype=pl.Datetime("us"))
    frame = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "float": [float("nan"), -1.5, None],
            "decimal": pl.Series([Decimal("12345678901234567890123456.789"), None, Decimal(0)], dtype=pl.Decimal(38, 3)),
            "day": [date(1, 1, 1), None, date(9999, 12, 31)],
            "instant": moments.dt.replace_time_zone("UTC"),
            "local": moments,
            "binary": [b"\x00\xff", b"", None],
            "flag": [True, None, False],
            "list": [[1, None], [], None],
            "struct": [{"a": 1, "b": ["x", None]}, {"a": None, "b": None}, None],
            "map": pl.Series([{"k": 1.5, "l": None}, {}, None], dtype=pl.Map(pl.String, pl.Float64)),
            "Case": ["A", "", None],
            "deep": pl.Series([{"k": [{"z": float("nan")}]}, {}, None], dtype=pl.Map(pl.String, pl.List(pl.Struct({"z": pl.Float64})))),
        }
    )
    write_deltalake(path, frame, configuration=FEED)
    write_deltalake(path, frame, mode="append")
    write_deltalake(path, frame.head(1), mode="overwrite")
    read = source(path).rows(0).frame.collect()
    assert read.schema == frame.schema
    assert rows_of(read) == rows_of(frame)
    for ends in ((0, 1), (1, 2), (0, 2)):
        check(path, *ends, [], ALL)
    check(path, 0, 2, ["id"], ALL)
