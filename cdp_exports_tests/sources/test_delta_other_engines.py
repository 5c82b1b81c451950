"""Logs as other engines write them: other spellings of a value, parts left out, odd times, labels that do not hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports_tests.sources.comparing import check, delivered
from cdp_exports_tests.sources.handmade import actions, commit, entry, masked, removal

FEED = {"delta.enableChangeDataFeed": "true"}


def source(path: Path) -> DeltaTableSource:
    return DeltaTableSource(str(path))


def check_all(path: Path, after: int, upto: int) -> str:
    """Files, snapshots and whatever is chosen tell the net change, with and without a key. The way that was chosen."""
    chosen = source(path).difference(after, upto).change_source
    for key in (["id"], []):
        check(path, after, upto, key, {chosen, "delta-files", "delta-snapshots"})
    return chosen


def rewrite(path: Path, version: int, kind: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    lines = map(json.loads, entry(path, version).read_text().splitlines())
    changed = [{name: change(body) if name == kind else body for name, body in line.items()} for line in lines]
    entry(path, version).write_text("\n".join(map(json.dumps, changed)))


def without_partition_values(remove: dict[str, Any]) -> dict[str, Any]:
    """All that the protocol requires of a remove action."""
    return {name: remove[name] for name in ("path", "deletionTimestamp", "dataChange")}


def without_changes(path: Path, version: int) -> None:
    """Without the change files that deltalake adds and other engines need not."""
    entry(path, version).write_text("\n".join(line for line in entry(path, version).read_text().splitlines() if '"cdc"' not in line))


SPELLINGS = {
    "timestamp": (datetime(2020, 1, 1, tzinfo=UTC), pl.Datetime("us", "UTC"), "2020-01-01 00:00:00"),
    "iso": (datetime(2020, 1, 1, tzinfo=UTC), pl.Datetime("us", "UTC"), "2020-01-01T00:00:00.000000Z"),
    "double": (1.0, pl.Float64(), "1.0"),
}


def spelled(path: Path, value: object, dtype: pl.DataType, spelling: str) -> None:
    """Ids 0 to 3 in one partition, written by an engine that spells its value so, compacted by deltalake, and 3 deleted."""
    for version in range(2):
        frame = pl.DataFrame({"id": [version, version + 2], "p": pl.Series([value] * 2, dtype=dtype)})
        write_deltalake(path, frame, partition_by=["p"], mode="append")
        rewrite(path, version, "add", lambda add: {**add, "partitionValues": {"p": spelling}})
    DeltaTable(path).optimize.compact()
    DeltaTable(path).delete("id = 3")
    (compacted,) = actions(path, 2, "add")
    assert compacted["partitionValues"] != {"p": spelling}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_partition_that_two_engines_spell_differently_is_one_partition(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t"
    spelled(path, *SPELLINGS[name])
    assert source(path).difference(1, 2, "delta-files").bytes_estimate == 0
    for after, upto in ((0, 2), (1, 2), (1, 3), (0, 3)):
        check_all(path, after, upto)


def test_the_partition_of_empty_strings_is_that_of_nulls(tmp_path: Path) -> None:
    path = tmp_path / "t"
    spelled(path, None, pl.String(), "")
    assert source(path).difference(1, 2, "delta-files").bytes_estimate == 0
    # deltalake's own scan shows an empty string, against the protocol, so it is no measure here
    for way in ("delta-files", "delta-snapshots"):
        assert delivered(source(path).difference(1, 3, way), ["id"], "all") == {(3, None, "delete"): 1}
        assert delivered(source(path).difference(0, 2, way), ["id"], "all") == {(1, None, "insert"): 1, (3, None, "insert"): 1}


@pytest.mark.parametrize("feed", [True, False])
def test_an_optimize_whose_removes_lack_partition_values_only_moves_rows(tmp_path: Path, feed: bool) -> None:
    path = tmp_path / "t"
    for number in (0, 10):
        frame = pl.DataFrame({"id": [number, number + 1, number + 2], "p": ["x", "x", "y"]})
        write_deltalake(path, frame, partition_by=["p"], mode="append", configuration=FEED if feed else None)
    DeltaTable(path).optimize.compact()
    rewrite(path, 2, "remove", without_partition_values)
    assert source(path).difference(1, 2).bytes_estimate == 0
    DeltaTable(path).delete("id = 11")
    assert source(path).difference(1, 3, "delta-files").minus.select("p").unique().collect().to_series().to_list() == ["x"]
    for after, upto in ((0, 2), (1, 2), (1, 3), (0, 3)):
        check_all(path, after, upto)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_feed_whose_removes_lack_partition_values_is_left_for_the_file_difference(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "t"
    frame = pl.DataFrame({"id": [1, 2], "v": ["a", "b"], "p": ["x", "y"]})
    write_deltalake(path, frame, partition_by=["p"], configuration=FEED)
    if overwrite:
        write_deltalake(path, frame.with_columns(v=pl.Series(["a", "c"])), mode="overwrite", partition_by=["p"])
    else:
        DeltaTable(path).delete("p = 'x'")
    without_changes(path, 1)
    assert check_all(path, 0, 1) == "delta-cdf"
    rewrite(path, 1, "remove", without_partition_values)
    assert check_all(path, 0, 1) == "delta-files"


@pytest.fixture
def two_partitions(tmp_path: Path) -> Path:
    """Version 1 holds two files in each of the partitions x and y; `new/1.parquet` with ids 8 and 9 lies beside them."""
    path = tmp_path / "t"
    configuration = {**FEED, "delta.enableDeletionVectors": "true"}
    for number in (0, 10):
        frame = pl.DataFrame({"id": [number, number + 1, number + 2, number + 3], "p": ["x", "x", "y", "y"]})
        write_deltalake(path, frame, partition_by=["p"], mode="append", configuration=configuration if number == 0 else None)
    (path / "new").mkdir()
    pl.DataFrame({"id": [8, 9]}).write_parquet(path / "new/1.parquet")
    return path


def added(path: Path, partition: str, stats: str | None = None) -> dict[str, Any]:
    """The new file, added by a commit that says it changes no data."""
    (template,) = (add for add in actions(path, 0, "add") if add["partitionValues"]["p"] == partition)
    size = (path / "new/1.parquet").stat().st_size
    return {"add": {**template, "path": "new/1.parquet", "size": size, "dataChange": False, "stats": stats}}


def file_of(path: Path, version: int, partition: str) -> dict[str, Any]:
    return next(add for add in actions(path, version, "add") if add["partitionValues"]["p"] == partition)


def test_rows_added_or_removed_under_the_name_of_a_rearrangement_are_read(two_partitions: Path) -> None:
    path = two_partitions
    commit(path, 2, [added(path, "x")])
    assert check_all(path, 1, 2) == "delta-files"
    commit(path, 3, [removal(file_of(path, 0, "y"), data_change=False)])
    assert check_all(path, 2, 3) == "delta-files"
    check_all(path, 1, 3)
    check_all(path, 0, 3)


def test_a_remove_in_another_partition_is_not_the_other_side_of_a_rearrangement(two_partitions: Path) -> None:
    path = two_partitions
    commit(path, 2, [removal(file_of(path, 0, "y"), data_change=False), added(path, "x")])
    assert check_all(path, 1, 2) == "delta-files"


def test_a_rearrangement_that_counts_other_rows_than_before_is_read(two_partitions: Path) -> None:
    path = two_partitions
    removed = [removal(file_of(path, version, "x"), data_change=False) for version in (0, 1)]
    commit(path, 2, [*removed, added(path, "x", json.dumps({"numRecords": 2}))])
    check(path, 1, 2, [], ["delta-files", "delta-snapshots"])


def test_a_rearrangement_of_which_the_log_counts_no_rows_is_believed(two_partitions: Path) -> None:
    path = two_partitions
    commit(path, 2, [removal(file_of(path, 0, "x"), data_change=False), added(path, "x")])
    assert source(path).difference(1, 2).bytes_estimate == 0
    assert source(path).difference(1, 2, "delta-files").bytes_estimate == 0


def test_a_deletion_vector_under_the_name_of_a_rearrangement_is_read(two_partitions: Path) -> None:
    path = two_partitions
    file = file_of(path, 0, "x")
    commit(path, 2, [removal(file, data_change=False), {"add": {**masked(file, [1])["add"], "dataChange": False}}])
    assert check_all(path, 1, 2) == "delta-files"


def test_masked_rows_that_a_rearrangement_leaves_out_are_no_change(two_partitions: Path) -> None:
    path = two_partitions
    file = file_of(path, 0, "x")
    hidden = masked(file, [1])
    commit(path, 2, [removal(file), hidden])
    pl.DataFrame({"id": [0]}).write_parquet(path / "new/1.parquet")
    commit(path, 3, [removal(hidden["add"], data_change=False), added(path, "x", json.dumps({"numRecords": 1}))])
    assert source(path).difference(2, 3, "delta-files").bytes_estimate == 0
    check_all(path, 2, 3)
    check_all(path, 1, 3)


def test_statistics_computed_anew_are_no_change(two_partitions: Path) -> None:
    path = two_partitions
    commit(path, 2, [{"add": {**file_of(path, 0, "x"), "dataChange": False}}])
    assert check_all(path, 1, 2) == "delta-files"
    assert source(path).difference(1, 2).bytes_estimate == 0
    DeltaTable(path).optimize.compact()
    check_all(path, 1, 3)


@pytest.mark.parametrize("timestamp", [1_790_000_000_000_000, "2026-09-21 12:00:00", None, -(2**70), {}])
def test_an_odd_commit_time_is_taken_from_the_log_entry_itself(tmp_path: Path, timestamp: object) -> None:
    path = tmp_path / "t"
    write_deltalake(path, pl.DataFrame({"id": [1]}))
    rewrite(path, 0, "commitInfo", lambda information: {**information, "timestamp": timestamp})
    modified = datetime.fromtimestamp(entry(path, 0).stat().st_mtime, UTC)
    assert abs((source(path).head().committed_at - modified).total_seconds()) < 1
