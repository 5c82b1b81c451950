"""Runs whose processes are killed with signal 9: the worker alone, or the whole machine; both are picked up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from cdp_exports.definitions import build_definitions
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.automation.refreshed import Scene
from cdp_exports_tests.automation.test_daemon_refresh import daemon, kill, until

ROOT = Path(__file__).parents[2]
LONG_AGO = ExportTime.parse("202001010000")
OURS = dg.RunsFilter(tags={"cdp/export": "out"})


@pytest.fixture(params=["sqlite", "postgres"])
def instance(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """With the dagster.yaml that this project ships."""
    config = (ROOT / "dagster.yaml").read_text(encoding="utf-8")
    if request.param == "postgres":
        monkeypatch.setenv("TEST_POSTGRES", request.getfixturevalue("postgres_database"))
        config += "\nstorage: {postgres: {postgres_url: {env: TEST_POSTGRES}}}\n"
    (home / "dagster.yaml").write_text(config, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def scene_at(root: Path, instance: dg.DagsterInstance) -> Scene:
    scene = Scene.create(root, instance, out="datasets: [events]\nschedule: {after: refresh}")
    if "TEST_POSTGRES" in os.environ:
        scene.declare("environment.yaml", "name: acme\nledger: {env: TEST_POSTGRES}\n")
    return scene


@contextmanager
def held_up(scene: Scene) -> Generator[None]:
    """Every run waits for its turn."""
    lease = scene.ledger.acquire("acme", "out", run_id="somebody", export_time=LONG_AGO, seconds=3600)
    assert lease is not None
    yield
    scene.ledger.release(lease)


def at_work(scene: Scene) -> list[str]:
    return [one.run_id for one in scene.ledger.silent_runs("acme", seconds=-60)]


def two_minutes_later(scene: Scene) -> None:
    """Nobody was seen since."""
    with scene.ledger._database.write() as connection:
        for one in scene.ledger.silent_runs("acme", seconds=-60):
            at = one.seen_at - timedelta(minutes=2)
            written = f"{at:%Y-%m-%d %H:%M:%S.%f}" + ("+00" if connection.dialect.name == "postgresql" else "")
            connection.execute(text("UPDATE cdp_runs SET seen_at = :at WHERE run_id = :id"), {"at": written, "id": one.run_id})


def worker(instance: dg.DagsterInstance, run_id: str) -> int:
    """The process that executes a run, as Dagster wrote it down."""
    for log in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        if log.dagster_event and (found := log.dagster_event.engine_event_data.metadata.get("pid")):
            return int(str(found.value))
    raise AssertionError("no process was started")


def test_a_run_is_picked_up_again(tmp_path: Path, home: Path, instance: dg.DagsterInstance) -> None:
    scene = scene_at(tmp_path, instance)
    with held_up(scene):
        with daemon(scene, home) as process:
            until(lambda: len(at_work(scene)) == 1, scene)
            (first,) = at_work(scene)
            os.kill(worker(instance, first), signal.SIGKILL)  # the code server sees it, and Dagster starts another run
            until(lambda: len(at_work(scene)) == 2, scene)
            kill(process)  # all at once: nobody is left to see anything
        runs = instance.get_runs(OURS)
        assert [run.status.value for run in runs] == ["STARTED", "FAILURE"]
        two_minutes_later(scene)
    with daemon(scene, home):
        until(lambda: scene.has_delivered("out"), scene, seconds=400)  # Dagster's daemon may pass the failure over once
    delivered, died, first_run = instance.get_runs(OURS)
    assert [died.status.value, first_run.status.value] == ["FAILURE", "FAILURE"]
    assert (delivered.parent_run_id, died.parent_run_id) == (died.run_id, first_run.run_id)
    assert len({run.tags["dagster/partition"] for run in (delivered, died, first_run)}) == 1, "the same export time"
    assert [rows for _, _, rows in scene.delivered("out")] == [1]
    assert scene.partitions("out") == [delivered.tags["dagster/partition"]]
    assert {reason for _, _, reason in scene.history("out")} == {"crashed"}
    assert scene.ledger.due("acme") == []


def test_a_command_line_that_was_killed_stays_no_running_run(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = scene_at(tmp_path, stored_instance)
    cursor: str | None = None

    def tick() -> str:
        nonlocal cursor
        sensor = build_definitions(scene.catalog).get_repository_def().get_sensor_def("acme__crashed_runs")
        with dg.build_sensor_context(stored_instance, cursor) as context:
            said = sensor(context)
            cursor = context.cursor
        assert isinstance(said, dg.SkipReason)
        return said.skip_message or ""

    environ = {**os.environ, "DAGSTER_HOME": str(home)}
    command = [str(Path(sys.executable).with_name("cdp-exports")), "--catalog", str(tmp_path / "catalog"), "run", "out"]
    with held_up(scene), subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until_at_work = time.monotonic() + 60
        while not at_work(scene) and time.monotonic() < until_at_work:
            time.sleep(0.05)
        assert tick() == "All runs are alive."
        process.kill()
        process.wait()
        two_minutes_later(scene)
        assert tick() == "All runs are alive.", "the ledger may have been away: it is asked once more"
        (run_id,) = at_work(scene)
        assert run_id in tick()
        assert tick() == "All runs are alive."
    (run,) = stored_instance.get_runs(OURS)
    assert run.status is dg.DagsterRunStatus.FAILURE
    ((export_time, *how),) = scene.history("out")
    assert how == ["failed", "crashed"]
    subprocess.run([*command, "--at", export_time], env=environ, check=True, capture_output=True)
    assert scene.delivered("out") == [("events", export_time, 1)]
    assert tick() == "All runs are alive."
