"""The history of a table: its head, what is gone, and what was put in its place."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

from cdp_exports.errors import HistoryLost, SourceUnreadable
from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports_tests.sources.comparing import check
from cdp_exports_tests.sources.handmade import actions, commit, entry, v2_checkpoint

FEED = {"delta.enableChangeDataFeed": "true"}


def rows(*ids: int) -> pl.DataFrame:
    return pl.DataFrame({"id": list(ids), "x": [f"v{number}" for number in ids]}, schema={"id": pl.Int64, "x": pl.String})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_deltalake(tmp_path / "t", rows(1, 2, 3), configuration=FEED)
    return tmp_path / "t"


def source(path: Path) -> DeltaTableSource:
    return DeltaTableSource(str(path))


def vacuum(path: Path) -> None:
    DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)


def lost(reason: str):
    return pytest.raises(HistoryLost, check=lambda error: error.reason == reason)


def test_the_head_is_the_newest_commit_with_the_hash_of_its_log_entry(path: Path) -> None:
    write_deltalake(path, rows(4), mode="append")
    head = source(path).head()
    assert (head.table_id, head.version) == (str(DeltaTable(path).metadata().id), 1)
    assert head.commit == hashlib.sha256(entry(path, 1).read_bytes()).hexdigest()
    assert abs(datetime.now(UTC) - head.committed_at) < timedelta(hours=1)
    assert source(path).at(1) == head
    assert source(path).at(0).commit != head.commit


def test_the_head_is_looked_up_anew_each_time(path: Path) -> None:
    one = source(path)
    assert one.head().version == 0
    write_deltalake(path, rows(4), mode="append")
    assert one.head().version == 1
    assert one.rows(1).expected == 4


def test_a_recreated_table_has_another_id(path: Path) -> None:
    before = source(path).head()
    shutil.rmtree(path)
    write_deltalake(path, rows(1, 2, 3), configuration=FEED)
    after = source(path).head()
    assert (after.version, before.table_id != after.table_id) == (before.version, True)


def test_a_table_put_back_from_a_backup_ends_before_the_version_or_has_another_commit(path: Path, tmp_path: Path) -> None:
    shutil.copytree(path, tmp_path / "backup")
    write_deltalake(path, rows(4), mode="append")
    delivered = source(path).head()
    shutil.rmtree(path)
    shutil.copytree(tmp_path / "backup", path)
    with lost("source_rewound"):
        source(path).at(delivered.version)
    write_deltalake(path, rows(5), mode="append")
    assert source(path).at(delivered.version).commit != delivered.commit


def test_a_restore_command_is_a_commit_like_any_other(path: Path) -> None:
    write_deltalake(path, rows(4), mode="append")
    DeltaTable(path).restore(0)
    check(path, 1, 2, ["id"], ["delta-files", "delta-snapshots"])
    check(path, 0, 2, ["id"], ["delta-files", "delta-snapshots"])
    assert source(path).difference(0, 2, "delta-files").bytes_estimate == 0


def test_vacuumed_rows_are_found_gone_before_any_is_read(path: Path) -> None:
    DeltaTable(path).delete("id = 1")
    vacuum(path)
    with lost("vacuumed"):
        source(path).rows(0)
    with lost("vacuumed"):
        source(path).difference(0, 1, "delta-files")
    with lost("vacuumed"):
        source(path).difference(0, 1, "delta-snapshots")


def test_a_vacuumed_feed_leaves_the_file_difference(path: Path) -> None:
    write_deltalake(path, rows(4), mode="append")
    write_deltalake(path, rows(5), mode="append")
    DeltaTable(path).delete("id = 4")
    assert source(path).difference(0, 3).change_source == "delta-cdf"
    vacuum(path)
    assert source(path).difference(0, 3).change_source == "delta-files"
    with lost("vacuumed"):
        source(path).difference(0, 3, "delta-cdf")
    check(path, 0, 3, ["id"], ["delta-files", "delta-snapshots"])


def test_a_cleaned_log_has_lost_its_versions(path: Path) -> None:
    for number in range(4, 9):
        write_deltalake(path, rows(number), mode="append")
        if number == 6:
            DeltaTable(path).create_checkpoint()
    for version in range(3):
        entry(path, version).unlink()
    with lost("log_cleaned"):
        source(path).at(1)
    with lost("log_cleaned"):
        source(path).difference(1, 5)
    assert source(path).at(3).version == 3
    check(path, 3, 5, ["id"], ["delta-cdf", "delta-files", "delta-snapshots"])


def without_log_entries(path: Path) -> None:
    """Of the newest version only its checkpoint is left."""
    DeltaTable(path).create_checkpoint()
    for number in range(DeltaTable(path).version() + 1):
        entry(path, number).unlink()


def test_a_version_of_which_only_a_checkpoint_is_left_stays_provably_the_same(path: Path) -> None:
    write_deltalake(path, rows(4), mode="append")
    write_deltalake(path, rows(5), mode="append")
    later = entry(path, 2).read_bytes()
    entry(path, 2).unlink()
    without_log_entries(path)
    head = source(path).head()
    assert (head.version, source(path).at(1), source(path).rows(1).expected) == (1, head, 4)
    DeltaTable(path).create_checkpoint()
    assert source(path).head().commit == head.commit
    entry(path, 2).write_bytes(later)
    assert (source(path).head().version, source(path).at(1).commit) == (2, head.commit)
    check(path, 1, 2, ["id"], ["delta-cdf", "delta-files", "delta-snapshots"])
    moved = path.with_name("moved")
    path.rename(moved)
    assert source(moved).at(1).commit == head.commit


def test_another_state_under_a_version_of_which_only_a_checkpoint_is_left_has_another_digest(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(path, other)
    for table, number in ((path, 5), (other, 6)):
        write_deltalake(table, rows(number), mode="append")
        without_log_entries(table)
    one, two = source(path).head(), source(other).head()
    assert ((one.table_id, one.version), one.commit != two.commit) == ((two.table_id, two.version), True)


def test_a_version_delivered_by_its_log_entry_is_not_proved_by_a_checkpoint_later(path: Path) -> None:
    delivered = source(path).head()
    DeltaTable(path).create_checkpoint()
    entry(path, 0).unlink()
    assert source(path).at(0).commit != delivered.commit


def test_a_version_behind_a_gap_in_the_log_is_lost(path: Path) -> None:
    for number in range(4, 9):
        write_deltalake(path, rows(number), mode="append")
        if number in (5, 8):
            DeltaTable(path).create_checkpoint()
    entry(path, 3).unlink()
    assert [source(path).at(version).version for version in (0, 1, 2, 5)] == [0, 1, 2, 5]
    for version in (3, 4):
        with lost("log_cleaned"):
            source(path).at(version)


def test_a_feed_that_lacks_a_log_entry_is_left_for_the_file_difference(path: Path) -> None:
    for number in range(4, 7):
        write_deltalake(path, rows(number), mode="append")
        DeltaTable(path).create_checkpoint()
    entry(path, 2).unlink()
    assert source(path).difference(1, 3).change_source == "delta-files"
    check(path, 1, 3, ["id"], ["delta-files", "delta-snapshots"])
    with pytest.raises(SourceUnreadable, match="by delta-cdf"):
        source(path).difference(1, 3, "delta-cdf")


def test_a_v2_checkpoint_is_read(path: Path) -> None:
    v2_checkpoint(path, 1)
    commit(path, 1, [{"protocol": _v2_protocol()}])
    commit(path, 2, [])
    entry(path, 0).unlink()
    read = source(path).rows(2)
    assert read.frame.collect().sort("id").equals(rows(1, 2, 3))
    assert read.expected == 3
    check(path, 1, 2, ["id"], ["delta-files", "delta-snapshots"])


def _v2_protocol() -> dict[str, object]:
    features = ["v2Checkpoint"]
    return {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": [*features, "changeDataFeed"]}


def test_retention_is_a_week_unless_the_table_says_otherwise(path: Path, tmp_path: Path) -> None:
    assert source(path).retention_hours() == 168
    for text, hours in {"interval 30 days": 720, "interval 12 hours": 12, "interval 2 weeks": 336}.items():
        name = text.replace(" ", "_")
        write_deltalake(tmp_path / name, rows(1), configuration={"delta.deletedFileRetentionDuration": text})
        assert source(tmp_path / name).retention_hours() == hours


def test_compaction_and_z_order_deliver_and_read_nothing(path: Path) -> None:
    for number in range(4, 8):
        write_deltalake(path, rows(number), mode="append")
    before = DeltaTable(path).version()
    DeltaTable(path).optimize.compact()
    DeltaTable(path).optimize.z_order(["id"])
    newest = DeltaTable(path).version()
    assert newest == before + 2
    assert not actions(path, newest, "add")[0]["dataChange"]
    for way in ("delta-cdf", "delta-files"):
        assert source(path).difference(before, newest, way).bytes_estimate == 0
    check(path, before, newest, ["id"], ["delta-cdf", "delta-files", "delta-snapshots"])
    # data changes around a compaction: what it rearranged is read on both sides and cancels out
    DeltaTable(path).delete("id = 5")
    check(path, before, newest + 1, ["id"], ["delta-cdf", "delta-files", "delta-snapshots"])
    check(path, 0, newest + 1, [], ["delta-cdf", "delta-files", "delta-snapshots"])


def test_compaction_of_other_partitions_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "p"
    for number in range(4):
        write_deltalake(path, rows(number, number + 10).with_columns(p=pl.Series(["a", "b"])), mode="append", partition_by=["p"])
    DeltaTable(path).optimize.compact()
    DeltaTable(path).delete("id = 10")
    plain = source(path).difference(3, 5, "delta-files")
    assert plain.minus.select("p").unique().collect().to_series().to_list() == ["b"]
    check(path, 3, 5, ["id"], ["delta-files", "delta-snapshots"])


def test_an_empty_table_and_a_version_without_files(tmp_path: Path) -> None:
    path = tmp_path / "e"
    DeltaTable.create(path, DeltaTable(_template(tmp_path)).schema(), configuration=FEED)
    empty = source(path).rows(0)
    assert (empty.expected, empty.bytes_estimate, empty.frame.collect().height) == (0, 0, 0)
    write_deltalake(path, rows(1, 2), mode="append")
    DeltaTable(path).delete()
    assert source(path).rows(2).frame.collect().schema == rows().schema
    for ends in ((0, 1), (1, 2), (0, 2)):
        check(path, *ends, ["id"], ["delta-cdf", "delta-files", "delta-snapshots"])


def _template(folder: Path) -> Path:
    write_deltalake(folder / "template", rows(1))
    return folder / "template"


def test_a_cheap_look_tells_whether_the_head_is_still_the_head(path: Path) -> None:
    head = source(path).head()
    looking = source(path)
    assert looking.is_head(head)
    assert looking._newest is None, "the table was not loaded"
    write_deltalake(path, rows(4), mode="append")
    assert not looking.is_head(head)
    assert looking.is_head(looking.head())
    shutil.rmtree(path)
    write_deltalake(path, rows(1, 2, 3), configuration=FEED)
    assert not source(path).is_head(head), "the same version of another table"


def test_what_only_rearranges_rows_is_told_from_what_changes_them(path: Path) -> None:
    write_deltalake(path, rows(4), mode="append")
    DeltaTable(path).optimize.compact()
    DeltaTable(path).delete("id > 1000")
    one = source(path)
    assert one.head().version >= 2
    assert one.only_rearranged(1, one.head().version)
    assert one.only_rearranged(1, 1)
    assert not one.only_rearranged(0, one.head().version), "rows were appended"
    assert not one.only_rearranged(2, 1), "restored from a backup"
    DeltaTable(path).update(predicate="id = 1", updates={"x": "'new'"})
    assert not source(path).only_rearranged(2, source(path).head().version)
    entry(path, 2).unlink()
    assert not source(path).only_rearranged(1, 2), "nobody knows what it did"
