"""Files that are kept for a time: announced, removed afterwards and not before, by whoever comes along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DefaultScheduleStatus
from sqlalchemy import update

from cdp_exports.definitions import build_definitions
from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.expiring import expire
from cdp_exports.delivery.holding import holding
from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports.ledger import clock
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.tables import deliveries
from cdp_exports_tests.delivery.test_model_json import as_read, model
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World

DROP = {"type": "local", "folder": "out", "keep_for": "2d"}
FIXED = {
    "path": "drop",
    "file_name": "latest",
    "overwrite": True,
    "mode": "full",
    "changes": "added",
    "format": {"type": "csv", "compression": "none"},
}


class Clock:
    """The ledger's, moved ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def pass_by(self, **span: float) -> None:
        self.ahead += timedelta(**span)


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found, now = Clock(), clock.now
    monkeypatch.setattr(clock, "now", lambda connection: now(connection) + found.ahead)
    return found


def begin(folder: Path, export: Mapping[str, Any] | None = None) -> World:
    return World.create(folder, connection=DROP, export=export)


def delivered(world: World, *times: str) -> None:
    for time in times:
        world.write([{"id": int(time), "v": time}])
        outcome = world.deliver(time)
        assert outcome.status == "committed", outcome


def files(world: World) -> list[str]:
    return sorted(path.rpartition("/")[0] for path in world.data_files())


def folder(time: str) -> str:
    return f"orders/exportTime={time}"


def test_manifests_announce_it(tmp_path: Path) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    (document,) = world.manifests()
    kept = datetime.fromisoformat(document["expires_at"]) - datetime.fromisoformat(document["created_at"])
    assert kept == timedelta(days=2)


def test_what_is_over_goes_and_the_manifest_stays(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    time.pass_by(days=1)
    delivered(world, TIMES[1])
    assert list(expire(world.context)) == []
    time.pass_by(days=1, minutes=1)
    assert [str(delivery.export_time) for delivery in expire(world.context)] == [TIMES[0]]
    assert files(world) == [folder(TIMES[1])]
    assert [document["export_time"] for document in world.manifests()] == TIMES[:2]
    assert list(expire(world.context)) == [], "once"
    first, second = verify(world.member)
    assert first.differences == () and first.over is not None and "their time was over" in first.over
    assert (second.differences, second.over, second.files) == ((), None, 1)


def test_the_next_delivery_removes_it_and_the_chain_goes_on(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    time.pass_by(days=3)
    delivered(world, TIMES[1])
    assert files(world) == [folder(TIMES[1])]
    last = world.manifests()[-1]
    assert (last["mode"], last["sequence"], last["previous_export_time"]) == ("incremental", 2, TIMES[0])


def test_verify_removes_it(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    time.pass_by(days=3)
    (verdict,) = verify(world.member)
    assert verdict.differences == () and verdict.over
    assert files(world) == []


def test_a_replay_writes_it_again_and_it_stays_as_long(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    time.pass_by(days=3)
    assert len(list(expire(world.context))) == 1
    replay(world.member, ExportTime.parse(TIMES[0]), run_id="person")
    assert files(world) == [folder(TIMES[0])]
    (document,) = world.manifests()
    assert datetime.fromisoformat(document["expires_at"]) > datetime.now(UTC) + timedelta(days=4)
    time.pass_by(days=1)
    assert list(expire(world.context)) == []
    assert [verdict.differences for verdict in verify(world.member)] == [()]
    time.pass_by(days=1, minutes=1)
    assert len(list(expire(world.context))) == 1 and files(world) == []


def test_files_that_are_not_ours_stay(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    world.destination.put(f"{folder(TIMES[0])}/theirs.txt", b"x")
    time.pass_by(days=3)
    assert len(list(expire(world.context))) == 1
    assert world.data_files() == {f"{folder(TIMES[0])}/theirs.txt"}


def test_fixed_names_are_those_of_the_newest(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path, FIXED)
    delivered(world, TIMES[0])
    time.pass_by(days=1)
    delivered(world, TIMES[1])
    time.pass_by(days=1, minutes=1)
    assert list(expire(world.context)) == [] and "drop/latest.csv" in world.data_files()
    time.pass_by(days=1)
    assert [str(delivery.export_time) for delivery in expire(world.context)] == [TIMES[1]]
    assert "drop/latest.csv" not in world.data_files()
    delivered(world, TIMES[2])
    assert "drop/latest.csv" in world.data_files()


def test_what_was_announced_holds_whatever_is_declared_since(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    world.declare("connections/out.yaml", {"type": "local", "folder": "out", "keep_for": "1h"})
    time.pass_by(hours=2)
    assert list(expire(world.context)) == []
    world.declare("connections/out.yaml", {"type": "local", "folder": "out"})
    time.pass_by(days=2)
    assert len(list(expire(world.context))) == 1


def test_an_export_that_is_no_longer_declared(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    for name in (f"exports/{EXPORT}", "datasets/orders", "connections/out"):
        (world.folder / "catalog" / f"{name}.yaml").unlink()
    world.declare("connections/other.yaml", {"type": "local", "folder": "other"})
    time.pass_by(days=3)
    assert [delivery.export for delivery in expire(world.context, "out")] == [EXPORT]
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_one_connection_only(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    world.declare("connections/other.yaml", DROP | {"folder": "other"})
    time.pass_by(days=3)
    assert list(expire(world.context, "other")) == []
    with pytest.raises(DeclarationError, match="no connection 'outt'"):
        list(expire(world.context, "outt"))
    assert len(list(expire(world.context, "out"))) == 1


def test_a_run_at_work_does_it_itself(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    time.pass_by(days=3)
    with holding(world.ledger, "test", (EXPORT,), run_id="at work", export_time=ExportTime.parse(TIMES[1])):
        assert list(expire(world.context)) == []
    assert len(list(expire(world.context))) == 1


def test_after_the_ledger_was_rebuilt(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    world.ledger.close()
    world.__dict__["ledger"] = Ledger.open(f"sqlite:///{tmp_path}/another.db")
    world.__dict__.pop("context")
    assert adopt(world.member) == 1
    time.pass_by(days=1)
    assert list(expire(world.context)) == []
    time.pass_by(days=1, minutes=1)
    assert len(list(expire(world.context))) == 1


def test_a_model_tells_of_no_files_that_are_gone(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path, FIXED | {"model_json": True, "path": EXPORT})
    delivered(world, TIMES[0])
    assert len(as_read(world, model(world)["entities"][0])) == 1
    time.pass_by(days=3)
    assert len(list(expire(world.context))) == 1
    (entity,) = model(world)["entities"]
    assert (entity["name"], entity["partitions"]) == ("orders", [])


def test_dagster_does_it_every_hour(tmp_path: Path, time: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LEDGER", f"sqlite:///{tmp_path}/ledger.db")
    world = begin(tmp_path)
    world.declare("environment.yaml", {"name": "test", "ledger": {"env": "TEST_LEDGER"}})
    delivered(world, TIMES[0])
    time.pass_by(days=3)
    definitions = build_definitions(world.context.catalog)
    schedule = definitions.resolve_schedule_def("test__expire_files")
    assert schedule.default_status is DefaultScheduleStatus.RUNNING
    with DagsterInstance.ephemeral() as instance:
        assert definitions.resolve_job_def(schedule.job_name).execute_in_process(instance=instance).success
    assert files(world) == []
    world.declare("connections/out.yaml", {"type": "local", "folder": "out"})
    names = {one.name for one in build_definitions(world.context.catalog).schedules or ()}
    assert "test__expire_files" not in names, "only where files are kept for a time"


def test_the_announcement_is_in_what_receivers_look_at(tmp_path: Path) -> None:
    world = begin(tmp_path, FIXED)
    delivered(world, TIMES[0])
    latest = json.loads(world.destination.read(f"drop/_manifests/{EXPORT}.orders/_latest") or b"")
    assert "expires_at" in latest


def test_a_share_that_is_not_mounted_loses_nothing(tmp_path: Path, time: Clock) -> None:
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    time.pass_by(days=3)
    share, away = tmp_path / "out", tmp_path / "away"
    share.rename(away)
    share.mkdir()
    assert list(expire(world.context)) == []
    share.rmdir()
    away.rename(share)
    assert [str(delivery.export_time) for delivery in expire(world.context)] == [TIMES[0]], "it was not forgotten"
    assert files(world) == []


def test_what_cannot_be_removed_is_said_and_keeps_nothing_else(tmp_path: Path, time: Clock) -> None:
    """A connection of a type whose package was uninstalled since: neither other files stay for it, nor do deliveries fail."""
    world = begin(tmp_path)
    delivered(world, TIMES[0])
    (delivery,) = world.ledger.committed("test", (EXPORT,), ("orders",))
    gone = delivery.pin.model_copy(update={"connection_id": "gone", "connection": {"type": "gone"}, "target": "gone://"})
    with world.ledger._database.write() as connection:  # pyright: ignore[reportPrivateUsage]
        connection.execute(update(deliveries).values(pin=gone))
    delivered(world, TIMES[1])
    time.pass_by(days=3)
    with pytest.raises(DeclarationError, match="'gone' is installed"):
        list(expire(world.context))
    assert files(world) == [folder(TIMES[0])]
    delivered(world, TIMES[2])
    assert files(world) == [folder(TIMES[0]), folder(TIMES[2])]
