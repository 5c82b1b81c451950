"""All that can start a run at once: two daemons after a fail-over, the command line, a backfill. The export never runs twice at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import deltalake
import polars as pl
import pytest

from cdp_exports.ledger.records import Attempt, Delivery
from cdp_exports_tests.automation import test_daemon_refresh
from cdp_exports_tests.automation.daemons import UNFINISHED, Daemon, daemon
from cdp_exports_tests.automation.refreshed import Scene
from cdp_exports_tests.automation.test_crashed import OURS, held_up

__all__ = ["daemon"]

pytestmark = pytest.mark.filterwarnings("ignore:.*AssetSelection.sources:DeprecationWarning")  # Dagster warns of itself

KEY = dg.AssetKey(["dataset_exports", "out", "orders"])
ENDED = {dg.DagsterRunStatus.SUCCESS}


@pytest.fixture(params=["sqlite", "postgres"])
def stored_instance(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    config = "telemetry: {enabled: false}\nconcurrency: {runs: {max_concurrent_runs: 10}}\n"
    if request.param == "postgres":
        monkeypatch.setenv("TEST_POSTGRES", request.getfixturevalue("postgres_database"))
        config += "storage: {postgres: {postgres_url: {env: TEST_POSTGRES}}}\n"
    (home / "dagster.yaml").write_text(config, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def attempts(scene: Scene) -> list[Attempt]:
    """Of all deliveries of the export, in the order in which they began."""
    deliveries = [entry for entry in scene.ledger.history("acme", "out", limit=1000) if isinstance(entry, Delivery)]
    return sorted((one for made in deliveries for one in scene.ledger.attempts(made.id)), key=lambda one: one.started_at)


def command(scene: Scene, *arguments: str) -> subprocess.Popen[str]:
    tool = [str(Path(sys.executable).with_name("cdp-exports")), "--catalog", str(scene.root / "catalog"), "run", "out", *arguments]
    return subprocess.Popen(tool, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows(folder: Path) -> list[int]:
    return sorted(value for file in folder.rglob("*.parquet") for value in pl.read_parquet(file)["id"])


def unfinished(instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))


def test_nothing_runs_twice_at_once(tmp_path: Path, home: Path, daemon: Daemon, stored_instance: dg.DagsterInstance) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=75)).replace(second=0, microsecond=0)
    tick = f"{soon:%Y%m%d%H%M}"
    schedule = f'datasets: [orders]\nschedule: {{cron: "{soon.minute} {soon.hour} * * *"}}'
    scene = Scene.create(tmp_path, stored_instance, out=schedule)
    if "TEST_POSTGRES" in os.environ:
        scene.declare("environment.yaml", "name: acme\nledger: {env: TEST_POSTGRES}\n")
    daemon.reload()
    workspace = ("-w", str(tmp_path / "workspace.yaml"))
    with held_up(scene), test_daemon_refresh.daemon(scene, home, *workspace), test_daemon_refresh.daemon(scene, home, *workspace):
        test_daemon_refresh.until(lambda: tick in scene.partitions("out"), scene)
        commands = [command(scene, "--at", tick), command(scene, "--at", tick), command(scene), command(scene)]
        begun = daemon.launch_backfill(KEY, [tick])
        test_daemon_refresh.until(lambda: len(stored_instance.get_runs(OURS)) >= 6, scene)
        scene.write("orders", 3)
        lease = scene.ledger.holder("acme", "out")
        assert lease is not None
        scene.ledger.release(lease)  # all at once
        said = [(process.communicate(timeout=180)[0], process.returncode) for process in commands]
        test_daemon_refresh.until(lambda: not unfinished(stored_instance) and daemon.has_ended(begun) is not None, scene)
    assert {code for _, code in said} <= {0, 3}, said
    assert {run.status for run in stored_instance.get_runs(OURS)} == ENDED

    last = command(scene)
    assert (last.communicate(timeout=60), last.returncode)[1] == 0
    committed = {time for _, time, _ in scene.committed("out")}
    assert {path.parent.name[-12:] for path in (tmp_path / "outbox").rglob("_manifest")} == committed
    shown = stored_instance.get_materialized_partitions(KEY)
    assert committed <= shown <= {*committed, tick}, "where a later one has passed the tick, its backfill says so"
    made = attempts(scene)
    assert {one.status for one in made} == {"committed"}
    assert [(one, other) for one, other in pairwise(made) if one.ended_at is None or one.ended_at > other.started_at] == []
    assert rows(tmp_path / "outbox") == sorted(deltalake.DeltaTable(tmp_path / "data" / "orders").to_pyarrow_table()["id"].to_pylist())
