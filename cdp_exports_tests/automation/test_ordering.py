"""Which runs the real queue starts first, and how many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from cdp_exports.assets.run import Run, run_in_process
from cdp_exports.automation.ordering import priorities
from cdp_exports.automation.run_all import run_all
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.automation.daemons import Daemon, daemon
from cdp_exports_tests.automation.refreshed import Scene

__all__ = ["daemon"]

MIDNIGHT = datetime(2025, 6, 11, tzinfo=UTC)


@pytest.fixture
def home(request: pytest.FixtureRequest, home: Path) -> Path:
    """The one of other tests, with room for one run, or for as many as a test says."""
    most = getattr(request, "param", 1)
    config = f"telemetry: {{enabled: false}}\nconcurrency: {{runs: {{max_concurrent_runs: {most}}}, pools: {{granularity: run}}}}\n"
    (home / "dagster.yaml").write_text(config, encoding="utf-8")
    return home


def exported(root: Path, instance: dg.DagsterInstance, **exports: str) -> Scene:
    schedule = 'schedule: {daily_at: "00:00"}'
    return Scene.create(root, instance, **{name: f"{declared}\n{schedule}" for name, declared in exports.items()})


def due(daemon: Daemon) -> None:
    """Midnight passes, and all are queued in the order of their names."""
    daemon.reload()
    daemon.tick(MIDNIGHT - timedelta(hours=1))
    daemon.tick(MIDNIGHT + timedelta(minutes=1))


def queued(instance: dg.DagsterInstance) -> list[str]:
    return [run.tags["cdp/export"] for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))]


def started(instance: dg.DagsterInstance) -> Sequence[str]:
    """In the order in which they were launched; those of a schedule only."""
    records = instance.get_run_records(dg.RunsFilter(tags={"cdp/environment": "acme"}))
    begun = sorted((record.start_time or 0, record.dagster_run.tags) for record in records)
    return [tags["cdp/export"] for _, tags in begun if "dagster/schedule_name" in tags]


@pytest.mark.parametrize(("first", "order"), [("largest", ["c", "b", "a"]), ("longest_waiting", ["b", "c", "a"])])
def test_first(tmp_path: Path, daemon: Daemon, first: str, order: list[str]) -> None:
    scene = exported(tmp_path, daemon.instance, a="datasets: [events]", b="datasets: [orders]", c="datasets: [orders, events]")
    scene.declare("environment.yaml", f"name: acme\nfirst: {first}\n")
    scene.write("orders", *range(1000))
    for export in ("b", "c", "a"):
        run_in_process(scene.catalog, daemon.instance, export)
    _shift(scene, {"b": 20, "c": 10, "a": 0}, megabytes={"b": 2, "c": 5, "a": 1})
    assert min(priorities(scene.catalog, scene.ledger, ["a", "b", "c"]).items(), key=lambda one: -one[1])[0] == order[0]
    due(daemon)
    assert sorted(queued(daemon.instance)) == ["a", "b", "c"]
    daemon.run_all()
    assert started(daemon.instance) == order


def _shift(scene: Scene, minutes: dict[str, int], megabytes: dict[str, int]) -> None:
    """As if the deliveries had been of that size, so long before midnight."""
    from sqlalchemy import text

    with scene.ledger._database.write() as connection:
        for export, earlier in minutes.items():
            time = f"{MIDNIGHT - timedelta(days=1, minutes=earlier):%Y%m%d%H%M}"
            values = {"export": export, "time": time, "bytes": megabytes[export] * 2**20}
            connection.execute(text("UPDATE cdp_deliveries SET export_time = :time, bytes = :bytes WHERE export = :export"), values)
            connection.execute(text("UPDATE cdp_export_times SET newest = :time WHERE export = :export"), values)


@pytest.mark.parametrize("home", [3], indirect=True)
def test_a_limit_for_a_connection(tmp_path: Path, daemon: Daemon) -> None:
    scene = exported(tmp_path, daemon.instance, **dict.fromkeys("abcd", "datasets: [events]"))
    scene.declare("connections/slow.yaml", "type: local\nfolder: slow\n")
    for name in "ab":
        path = tmp_path / "catalog" / "exports" / f"{name}.yaml"
        path.write_text(path.read_text().replace("connection: outbox", "connection: slow"))
    daemon.instance.event_log_storage.set_concurrency_slots("acme/slow", 1)  # `dagster instance concurrency set acme/slow 1`
    due(daemon)
    assert sorted(queued(daemon.instance)) == ["a", "b", "c", "d"]
    daemon.dequeue()
    (waiting,) = queued(daemon.instance)
    assert waiting in "ab", "there is room for three, but for one of this connection"
    daemon.run_all()
    assert sorted(started(daemon.instance)) == ["a", "b", "c", "d"]
    assert len(list(tmp_path.rglob("_manifest"))) == 4


@pytest.mark.parametrize("first", ["largest", "longest_waiting"])
def test_who_was_never_delivered(tmp_path: Path, stored_instance: dg.DagsterInstance, first: str) -> None:
    scene = Scene.create(tmp_path, stored_instance, old="datasets: [orders]", new="datasets: [orders]")
    assert priorities(scene.catalog, scene.ledger, ["old", "new"]) == {}, "nobody asked for an order"
    scene.declare("environment.yaml", f"name: acme\nfirst: {first}\n")
    run_in_process(scene.catalog, stored_instance, "old")
    found = priorities(scene.catalog, scene.ledger, ["old", "new"])
    assert (found["new"] > found["old"]) == (first == "longest_waiting")


def test_who_waits_longest_is_passed_by_nobody_who_comes_later(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, a="datasets: [events]", b="datasets: [events]")
    scene.declare("environment.yaml", "name: acme\nfirst: longest_waiting\n")
    for export in "ab":
        run_in_process(scene.catalog, stored_instance, export)
    _shift(scene, {"a": 20, "b": 0}, megabytes={"a": 1, "b": 1})
    ledger = scene.ledger
    queued = priorities(scene.catalog, ledger, ["a"])["a"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(ledger), "now", lambda _: datetime.now(UTC) + timedelta(hours=5))
        assert priorities(scene.catalog, ledger, ["b"])["b"] < queued


def test_the_sensor_and_run_all_keep_the_order(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, **dict.fromkeys("abc", "datasets: [events]\nschedule: {after: refresh}"))
    scene.declare("environment.yaml", "name: acme\nfirst: largest\n")
    for export in ("b", "c", "a"):
        run_in_process(scene.catalog, stored_instance, export)
    _shift(scene, {"b": 20, "c": 10, "a": 0}, megabytes={"b": 2, "c": 5, "a": 1})
    begun: list[str] = []

    def run(export_id: str, number: int, count: int) -> Run:
        begun.append(export_id)
        return Run("run", ExportTime(MIDNIGHT), (), None, cancelled=False)

    list(run_all(scene.catalog, stored_instance, scene.ledger, run))
    assert begun == ["c", "b", "a"]
    scene.write("events", 2)
    asked = [(request.tags["cdp/export"], request.tags["dagster/priority"]) for request in scene.evaluate()]
    assert asked == [("c", "5120"), ("b", "2048"), ("a", "1024")]
