"""How rows lie in files: partitions, deletion vectors, column mapping."""

# ruff: noqa: DTZ001 moments without a zone are a type of their own
from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports.sources.source import Head
from cdp_exports_tests.sources.comparing import check, comparable, rows_of, table_rows
from cdp_exports_tests.sources.handmade import actions, commit, entry, masked, removal

WAYS = ["delta-files", "delta-snapshots"]


def source(path: Path) -> DeltaTableSource:
    return DeltaTableSource(str(path))


def collected(path: Path, version: int) -> pl.DataFrame:
    return source(path).rows(version).frame.collect()


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("p", ["a b", "c%d/é", None, "x=y", "'\"#?"]),
        pl.Series("p", [1, -2, None], dtype=pl.Int16),
        pl.Series("p", [date(2020, 2, 29), None]),
        pl.Series("p", [datetime(2020, 1, 1, 3, 4, 5, 678, tzinfo=UTC), None], dtype=pl.Datetime("us", "UTC")),
        pl.Series("p", [datetime(2020, 1, 1, 3, 4, 5), None], dtype=pl.Datetime("us")),
        pl.Series("p", [Decimal("1.20"), None], dtype=pl.Decimal(10, 2)),
        pl.Series("p", [True, False, None]),
        pl.Series("p", [1.5, -0.25, None]),
        pl.Series("p", [b"\x00\xff", b"a", None]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_partition_values_come_from_the_log(tmp_path: Path, values: pl.Series) -> None:
    path = tmp_path / "t"
    frame = pl.DataFrame([values]).with_row_index("id").select(pl.col("id").cast(pl.Int64), "p")
    feed = {"delta.enableChangeDataFeed": "true"}
    write_deltalake(path, frame, partition_by=["p"], configuration=feed)
    assert collected(path, 0).sort("id").equals(frame)
    DeltaTable(path).delete("id = 0")
    write_deltalake(path, frame.with_columns(pl.col("id") + 10), mode="append")
    table = source(path)
    for way in ("delta-cdf", "delta-files"):
        difference = table.difference(0, 2, way)
        assert rows_of(difference.plus.collect()) - rows_of(difference.minus.collect()) == rows_of(frame.with_columns(pl.col("id") + 10)), (
            way
        )


def test_many_partitions_of_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "t"
    frame = pl.DataFrame({"a": [1, 1, 2], "id": [1, 2, 3], "b": ["x", "y", "x"]})
    write_deltalake(path, frame, partition_by=["b", "a"])
    read = collected(path, 0)
    assert (read.columns, read.sort("id").equals(frame)) == (["a", "id", "b"], True)
    only = source(path).rows(0).frame.select("b").filter(pl.col("b") == "x").collect()
    assert only.height == 2


@pytest.fixture
def with_vectors(tmp_path: Path) -> Path:
    """Ids 0 to 5 in one file whose path needs encoding; version 1 masks ids 1 and 3, version 2 also 4, version 3 only 1."""
    path = tmp_path / "t"
    frame = pl.DataFrame({"id": range(6), "p": ["a b"] * 6})
    write_deltalake(path, frame, partition_by=["p"], configuration={"delta.enableDeletionVectors": "true"})
    (add,) = actions(path, 0, "add")
    for version, positions in enumerate([[1, 3], [1, 3, 4], [1]], start=1):
        commit(path, version, [removal(add), masked(add, positions)])
        (add,) = actions(path, version, "add")
    return path


def test_deletion_vectors_take_rows_away(with_vectors: Path) -> None:
    for version, ids in enumerate([[0, 1, 2, 3, 4, 5], [0, 2, 4, 5], [0, 2, 5], [0, 2, 3, 4, 5]]):
        rows = source(with_vectors).rows(version)
        assert rows.frame.collect()["id"].sort().to_list() == ids
        assert rows.expected == len(ids)
        assert rows.frame.select(pl.len()).collect().item() == len(ids)


def test_a_checkpoint_with_another_deletion_vector_has_another_digest(with_vectors: Path, tmp_path: Path) -> None:
    (add,) = actions(with_vectors, 3, "add")
    heads: list[Head] = []
    for positions in ([1, 2], [1, 3]):
        table = tmp_path / f"masked {positions}"
        shutil.copytree(with_vectors, table)
        commit(table, 4, [removal(add), masked(add, positions)])
        DeltaTable(table).create_checkpoint()
        entry(table, 4).unlink()
        heads.append(source(table).head())
    one, two = heads
    assert (one.version, two.version, one.commit != two.commit) == (4, 4, True)


def test_the_file_difference_of_deletion_vectors_is_only_the_rows_between_them(with_vectors: Path) -> None:
    difference = source(with_vectors).difference(1, 3, "delta-files")
    assert difference.minus.collect()["id"].to_list() == []
    assert difference.plus.collect()["id"].to_list() == [3]
    for after in range(4):
        for upto in range(after, 4):
            check(with_vectors, after, upto, ["id"], WAYS)


def test_a_feed_with_deletion_vectors_and_no_change_files_is_left_for_the_file_difference(tmp_path: Path) -> None:
    path = tmp_path / "t"
    configuration = {"delta.enableDeletionVectors": "true", "delta.enableChangeDataFeed": "true"}
    write_deltalake(path, pl.DataFrame({"id": range(6)}), configuration=configuration)
    (add,) = actions(path, 0, "add")
    commit(path, 1, [removal(add), masked(add, [2])])
    assert source(path).difference(0, 1).change_source == "delta-files"
    check(path, 0, 1, ["id"], WAYS)


def test_a_masked_file_that_is_compacted_delivers_nothing(with_vectors: Path) -> None:
    write_deltalake(with_vectors, pl.DataFrame({"id": [9], "p": ["a b"]}), mode="append")
    DeltaTable(with_vectors).optimize.compact()
    newest = DeltaTable(with_vectors).version()
    assert source(with_vectors).difference(newest - 1, newest, "delta-files").bytes_estimate == 0
    check(with_vectors, newest - 1, newest, ["id"], WAYS)
    check(with_vectors, 2, newest, ["id"], WAYS)


MAPPED = {"delta.columnMapping.mode": "name", "delta.enableChangeDataFeed": "true"}


def test_column_mapping_by_name_is_read_by_polars_with_its_partitions(tmp_path: Path) -> None:
    path = tmp_path / "t"
    frame = pl.DataFrame({"id": [1, 2, 3], "p": ["a", "b", None], "my column": [1.5, None, float("nan")]})
    write_deltalake(path, frame, partition_by=["p"], configuration=MAPPED)
    assert rows_of(collected(path, 0)) == rows_of(frame)
    write_deltalake(path, frame.with_columns(pl.col("id") + 10), mode="append")
    DeltaTable(path).delete("id = 2")
    check(path, 0, 2, ["id"], ["delta-cdf", *WAYS])
    assert source(path).difference(0, 2).change_source == "delta-cdf"


def renamed(path: Path, version: int, old: str, new: str) -> None:
    (metadata,) = actions(path, 0, "metaData")
    schema = json.loads(metadata["schemaString"])
    for field in schema["fields"]:
        field["name"] = new if field["name"] == old else field["name"]
    commit(path, version, [{"metaData": {**metadata, "schemaString": json.dumps(schema)}}])


def test_a_renamed_column_is_the_same_column(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1, 2], "old": ["x", "y"]}), configuration=MAPPED)
    renamed(path, 1, "old", "new")
    write_deltalake(path, pl.DataFrame({"id": [3], "new": ["z"]}), mode="append")
    assert [column.name for column in source(path).columns(0)] == ["id", "old"]
    assert [column.name for column in source(path).columns(2)] == ["id", "new"]
    for way in ("delta-cdf", *WAYS):
        difference = source(path).difference(0, 2, way)
        net = rows_of(difference.plus.collect()) - rows_of(difference.minus.collect())
        assert net == {(3, "z"): 1}, way


@pytest.mark.parametrize("configuration", [{"delta.columnMapping.mode": "id"}, {"delta.columnMapping.mode": "name"}], ids=["id", "name"])
def test_what_polars_cannot_map_is_streamed_by_deltalake(tmp_path: Path, configuration: dict[str, str]) -> None:
    path = tmp_path / "t"
    rows: list[dict[str, Any]] = [{"id": 1, "s": {"x": 1, "l": [{"y": 2}]}}, {"id": 2, "s": None}, {"id": 3, "s": {"x": None, "l": []}}]
    write_deltalake(path, pl.DataFrame(rows), configuration={**configuration, "delta.enableChangeDataFeed": "true"})
    write_deltalake(path, pl.DataFrame(rows[:1]).with_columns(pl.lit(4).alias("id")), mode="append")
    read = source(path).rows(1)
    assert rows_of(read.frame.collect()) == table_rows(path, 1, ["id", "s"])
    assert read.expected == 4
    assert read.frame.filter(pl.col("id") > 2).select("s").collect().height == 2
    assert read.frame.select(pl.len()).collect().item() == 4
    assert read.frame.head(3).collect().height == 3
    assert source(path).difference(0, 1).change_source == "delta-snapshots"
    check(path, 0, 1, ["id"], ["delta-snapshots"])
    assert comparable(read.frame.filter(pl.col("id") == 4).collect()["s"].to_list()) == comparable([rows[0]["s"]])


@pytest.mark.parametrize("how", [{"use_deprecated_int96_timestamps": True}, {"coerce_timestamps": "ms"}], ids=["int96", "milliseconds"])
def test_timestamps_as_other_engines_store_them(tmp_path: Path, how: dict[str, Any]) -> None:
    path = tmp_path / "t"
    frame = pl.DataFrame({"id": [1], "at": pl.Series([datetime(2020, 3, 29, 2, 30)], dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")})
    write_deltalake(path, frame)
    pq.write_table(frame.with_columns(pl.lit(2, dtype=pl.Int64).alias("id")).to_arrow(), path / "spark.parquet", **how)
    (add,) = actions(path, 0, "add")
    size = (path / "spark.parquet").stat().st_size
    commit(path, 1, [{"add": {**add, "path": "spark.parquet", "size": size, "stats": None}}])
    rows = source(path).rows(1)
    read = rows.frame.collect().sort("id")
    assert (read.schema, rows.expected) == (frame.schema, None)
    assert read["at"].to_list() == frame["at"].to_list() * 2


def test_an_empty_partition_value_is_null_and_names_of_folders_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1], "p": ["x"]}), partition_by=["p"])
    (add,) = actions(path, 0, "add")
    commit(path, 1, [{"add": {**add, "partitionValues": {"p": "y"}}}])
    assert collected(path, 1)["p"].to_list() == ["y"]
    commit(path, 2, [{"add": {**add, "partitionValues": {"p": ""}}}])
    assert collected(path, 2)["p"].to_list() == [None]
