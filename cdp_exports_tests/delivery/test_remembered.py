"""Ledger lost or restored, destination emptied, table restored, exports renamed, changed, doubled."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, HistoryLost
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World

DECLARATION = {"kind": "dataset", "connection": "out", "datasets": ["orders"], "changes": "all"}


def twice_delivered(tmp_path: Path) -> World:
    world = World.create(tmp_path / "world")
    world.write([{"id": n, "v": "a"} for n in range(10)])
    world.deliver(TIMES[0])
    world.write([{"id": 10, "v": "a"}])
    world.deliver(TIMES[1])
    return world


def reopened(world: World) -> World:
    """The same folder, as another process opens it."""
    world.ledger.close()
    return World(world.folder, world.connection)


def code(outcome: Outcome) -> str | None:
    return None if outcome.error is None else outcome.error.code


def test_the_ledger_is_lost(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    world.ledger.close()
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    world = World(world.folder)
    world.write([{"id": 11, "v": "a"}])
    refused = world.deliver(TIMES[2])
    assert code(refused) == "ledger_behind" and refused.error is not None and "adopt" in refused.error.next_step
    assert adopt(world.member) == 2
    assert adopt(world.member) == 0
    outcome = world.deliver(TIMES[3])
    assert outcome.delivery is not None and outcome.delivery.sequence == 3 and outcome.delivery.counts is not None
    assert outcome.delivery.counts.delivered == 1
    assert world.received() == world.rows()
    assert [verdict.differences for verdict in verify(world.member)] == [(), (), ()]


def test_the_ledger_is_restored_from_last_week(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    world.ledger.close()
    backup = tmp_path / "backup.db"
    shutil.copy(world.folder / "ledger.db", backup)
    world = World(world.folder)
    world.write([{"id": 11, "v": "a"}])
    world.deliver(TIMES[2])
    world.write([{"id": 12, "v": "a"}])
    world.ledger.close()
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    shutil.copy(backup, world.folder / "ledger.db")
    world = World(world.folder)
    assert code(world.deliver(TIMES[2])) == "ledger_behind", "the very delivery the ledger forgot"
    assert code(world.deliver(TIMES[3])) == "ledger_behind"
    assert adopt(world.member) == 1
    assert world.deliver(TIMES[4]).status == "committed"
    assert world.received() == world.rows()


def test_dagster_knows_a_delivery_that_the_ledger_does_not(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    world.write([{"id": 11, "v": "a"}])
    known = {"orders": ExportTime.parse(TIMES[2])}
    assert code(world.deliver(TIMES[3], known_elsewhere=known)) == "ledger_behind"
    again = world.deliver(TIMES[4], known_elsewhere=known, full=True)
    assert again.status == "committed" and again.delivery is not None and again.delivery.sequence == 1


def test_the_destination_is_emptied(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    shutil.rmtree(world.folder / "out")
    world.write([{"id": 11, "v": "a"}])
    outcome = world.deliver(TIMES[2])
    assert outcome.delivery is not None and outcome.delivery.counts is not None and outcome.delivery.counts.delivered == 1
    verdicts = list(verify(world.member))
    assert ["missing" in " ".join(verdict.differences) for verdict in verdicts] == [True, True, False]
    for time in TIMES[:2]:
        replay(world.member, ExportTime.parse(time), run_id="person")
    assert [verdict.differences for verdict in verify(world.member)] == [(), (), ()]
    assert world.received() == world.rows()


def test_the_table_is_restored_from_a_backup(tmp_path: Path) -> None:
    world = World.create(tmp_path / "world")
    world.write([{"id": 1, "v": "a"}])
    shutil.copytree(world.table, tmp_path / "table")
    world.write([{"id": 2, "v": "a"}])
    world.deliver(TIMES[0])
    shutil.rmtree(world.table)
    shutil.copytree(tmp_path / "table", world.table)
    behind = world.deliver(TIMES[1])
    assert isinstance(behind.error, HistoryLost) and behind.error.reason == "source_rewound"
    world.write([{"id": 3, "v": "other"}])
    world.write([{"id": 4, "v": "other"}])
    other = world.deliver(TIMES[2])
    assert isinstance(other.error, HistoryLost) and other.error.reason == "source_rewound"
    world.declare(f"exports/{EXPORT}.yaml", {**DECLARATION, "on_history_lost": "full"})
    full = world.deliver(TIMES[3])
    assert full.delivery is not None and full.delivery.pin.mode == "full" and "source_rewound" in (full.delivery.pin.reason or "")
    assert world.received() == world.rows()


def test_the_table_is_dropped_and_created_again(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    shutil.rmtree(world.table)
    for n in range(5):
        world.write([{"id": n, "v": "again"}])
    outcome = world.deliver(TIMES[2])
    assert isinstance(outcome.error, HistoryLost) and outcome.error.reason == "table_recreated"
    assert world.deliver(TIMES[3], full=True).status == "committed"
    assert world.received() == world.rows()


def test_the_dataset_is_another_table(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    shutil.copytree(world.table, world.folder / "data" / "moved")
    world.declare("datasets/orders.yaml", {"source": {"format": "delta", "uri": "data/moved"}, "key": ["id"]})
    moved = world.deliver(TIMES[2])
    assert moved.delivery is not None
    assert moved.delivery.sequence == 3, "the same table, moved"
    shutil.rmtree(world.table)
    world.write([{"id": 1, "v": "other"}])
    world.declare("datasets/orders.yaml", {"source": {"format": "delta", "uri": "data/orders"}, "key": ["id"]})
    other = world.deliver(TIMES[3])
    assert other.delivery is not None
    assert (other.delivery.sequence, other.delivery.pin.mode) == (1, "full")
    assert "table was 'data/moved'" in (other.delivery.pin.reason or "")


def rename(world: World, declaration: Mapping[str, object]) -> World:
    (world.folder / f"catalog/exports/{EXPORT}.yaml").unlink()
    world.declare("exports/renamed.yaml", declaration)
    return reopened(world)


def test_an_export_is_renamed_with_formerly(tmp_path: Path) -> None:
    world = rename(twice_delivered(tmp_path), {**DECLARATION, "formerly": EXPORT})
    world.write([{"id": 11, "v": "a"}])
    outcome = world.deliver(TIMES[2])
    assert outcome.delivery is not None and outcome.delivery.sequence == 3
    assert not world.deliver(TIMES[1]).sent, "delivered under its old name"
    assert world.received() == world.rows()


def test_an_export_is_renamed_without_formerly(tmp_path: Path) -> None:
    world = rename(twice_delivered(tmp_path), DECLARATION)
    outcome = world.deliver(TIMES[2])
    assert code(outcome) == "occupied" and outcome.error is not None and "formerly" in outcome.error.next_step
    assert world.member.open_deliveries() == []


def test_two_environments_write_to_one_bucket(tmp_path: Path) -> None:
    shared = {"type": "local", "folder": str(tmp_path / "shared")}
    one = World.create(tmp_path / "one", connection=shared, environment="one")
    two = World.create(tmp_path / "two", connection=shared, environment="two")
    for world in (one, two):
        world.write([{"id": 1, "v": world.folder.name}])
    assert one.deliver(TIMES[0]).status == "committed"
    assert code(two.deliver(TIMES[0])) == "occupied"
    assert code(two.deliver(TIMES[1])) == "occupied"
    assert len(one.manifests()) == 1


@pytest.mark.parametrize("change", [{"path": "elsewhere/{export_time}"}, {"mode": "full", "changes": "added"}, {"changes": "added"}])
def test_a_change_starts_a_new_chain_or_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    world = twice_delivered(tmp_path)
    world.declare(f"exports/{EXPORT}.yaml", {**DECLARATION, **change, "on_change": "fail"})
    if change.get("mode") != "full":
        assert code(world.deliver(TIMES[2])) == "chain_changed"
    world.declare(f"exports/{EXPORT}.yaml", {**DECLARATION, **change})
    outcome = world.deliver(TIMES[3])
    assert outcome.delivery is not None and (outcome.delivery.pin.mode, outcome.delivery.sequence) == ("full", 1)


@pytest.mark.parametrize(
    "path", ["{export_time}", "{year}/{month}/{day}/{dataset_id}_{hour}{minute}", "{minute}.{hour}/{year}{month}{day}/{export_id}"]
)
def test_other_paths_are_remembered_too(tmp_path: Path, path: str) -> None:
    world = World.create(tmp_path / "world", export={"path": path})
    world.write([{"id": 1, "v": "a"}])
    for time in TIMES[:3]:
        assert world.deliver(time).status == "committed"
    world.ledger.close()
    for file in world.folder.glob("ledger.db*"):
        file.unlink()
    world = World(world.folder)
    assert code(world.deliver(TIMES[3])) == "ledger_behind"
    assert adopt(world.member) == 3
    assert world.deliver(TIMES[4]).status == "committed"
    assert world.received() == world.rows()


def test_the_key_changes(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    world.declare("datasets/orders.yaml", {"source": {"format": "delta", "uri": "data/orders"}, "key": ["id", "v"]})
    outcome = world.deliver(TIMES[2])
    assert outcome.delivery is not None and outcome.delivery.sequence == 1 and "key" in (outcome.delivery.pin.reason or "")


def test_compression_and_splitting_do_not_start_a_chain(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    world.declare(
        f"exports/{EXPORT}.yaml",
        {**DECLARATION, "format": {"type": "parquet", "compression": "snappy", "max_rows_per_file": 5}, "file_name": "rows-{index}"},
    )
    world.write([{"id": 11, "v": "a"}])
    outcome = world.deliver(TIMES[2])
    assert outcome.delivery is not None and outcome.delivery.sequence == 3 and outcome.delivery.files[0].path.endswith("rows-00000.parquet")


def test_replay(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    second = ExportTime.parse(TIMES[1])
    with pytest.raises(DeclarationError, match="intact"):
        replay(world.member, second, run_id="person")
    elsewhere = replay(world.member, second, run_id="person", to="copies/of_orders")
    assert elsewhere.files[0].path.startswith("copies/of_orders/")
    before = world.data_files()
    replaced = replay(world.member, second, run_id="person", replace=True)
    assert replaced.files[0].path not in before
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]
    assert len(world.data_files()) == 3
    world.write([{"id": 11, "v": "a"}])
    assert world.deliver(TIMES[2]).delivery.sequence == 3  # type: ignore[union-attr]
    with pytest.raises(DeclarationError, match="no committed delivery"):
        replay(world.member, ExportTime.parse(TIMES[9]), run_id="person")


def test_replay_copies_what_the_source_no_longer_has(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    shutil.rmtree(world.table)
    world.write([{"id": 1, "v": "other"}])
    second = ExportTime.parse(TIMES[1])
    copied = replay(world.member, second, run_id="person", replace=True)
    assert world.destination.read(copied.files[0].path) is not None
    world.destination.delete([copied.files[0].path])
    with pytest.raises(HistoryLost):
        replay(world.member, second, run_id="person")
    assert world.member.last_committed().files == copied.files  # type: ignore[union-attr]


@pytest.mark.parametrize("file_name", ["part-{index}-{delivery}-{attempt}", "orders"])
def test_a_replay_after_adopting_never_writes_over_what_was_delivered(tmp_path: Path, file_name: str) -> None:
    world = World.create(tmp_path, export={"file_name": file_name})
    world.write([{"id": 1, "v": "a"}])
    first = ExportTime.parse(TIMES[0])
    world.deliver(TIMES[0])
    replay(world.member, first, run_id="person", replace=True)
    for _ in range(2):
        world.ledger.close()
        for path in world.folder.glob("ledger.db*"):
            path.unlink()
        world = World(world.folder)
        assert adopt(world.member) == 1
        before = world.data_files()
        assert not world.data_files() & {file.path for file in replay(world.member, first, run_id="person", to=f"copy{len(before)}").files}
        replaced = replay(world.member, first, run_id="person", replace=True)
        assert not before & {file.path for file in replaced.files}


def test_a_ledger_that_pinned_without_knowing_of_the_manifest_is_mended(tmp_path: Path) -> None:
    world = twice_delivered(tmp_path)
    world.ledger.close()
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    hidden = world.folder / "out/orders" / f"exportTime={TIMES[1]}"
    hidden.rename(tmp_path / "hidden")
    world = World(world.folder)
    assert adopt(world.member) == 1
    broken = world.folder / "out/orders" / f"exportTime={TIMES[1]}"
    broken.write_text("in the way of the folder")
    assert code(world.deliver(TIMES[1])) == "destination_refused"
    assert len(world.member.open_deliveries()) == 1
    broken.unlink()
    (tmp_path / "hidden").rename(hidden)
    assert code(world.deliver(TIMES[1])) == "ledger_behind"
    assert adopt(world.member) == 1
    world.write([{"id": 20, "v": "a"}])
    assert world.deliver(TIMES[2]).status == "committed"
    assert world.received() == world.rows()
