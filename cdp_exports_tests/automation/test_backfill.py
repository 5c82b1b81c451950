"""Backfills as the UI asks for them, by Dagster's own backfill daemon: what is covered, skipped, failed and delivered."""

from __future__ import annotations

import gc
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon
from dagster_graphql.test.utils import execute_dagster_graphql

from cdp_exports.assets.run import run_in_process
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import Delivery, SkipRecord
from cdp_exports_tests.automation.refreshed import Scene

pytestmark = pytest.mark.filterwarnings("ignore:.*AssetSelection.sources:DeprecationWarning")  # Dagster warns of itself

KEY = dg.AssetKey(["dataset_exports", "out", "events"])

LAUNCH = """
    mutation Backfill($params: LaunchBackfillParams!) {
        launchPartitionBackfill(backfillParams: $params) {
            __typename
            ... on LaunchBackfillSuccess { backfillId }
            ... on PythonError { message }
        }
    }
"""


@dataclass
class Daemon:
    """What backfills, and the queue of runs, need of dagster-daemon."""

    location: WorkspaceProcessContext

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.location.instance

    def backfill(self, partitions: list[str]) -> BulkActionStatus:
        """As the UI launches it, to its end; `missing only` is a filter of the UI's."""
        params: dict[str, Any] = {"partitionNames": partitions, "assetSelection": [{"path": KEY.path}], "fromFailure": False}
        answer = execute_dagster_graphql(self.location.create_request_context(), LAUNCH, variables={"params": params})
        assert answer.data
        assert "backfillId" in answer.data["launchPartitionBackfill"], answer.data
        backfill_id = answer.data["launchPartitionBackfill"]["backfillId"]
        until, queue = time.monotonic() + 180, QueuedRunCoordinatorDaemon(interval_seconds=1)
        while time.monotonic() < until:
            assert [error for error in execute_backfill_iteration(self.location, logging.getLogger("backfill")) if error] == []
            assert [error for error in queue.run_iteration(self.location) if error] == []
            found = self.instance.get_backfill(backfill_id)
            assert found is not None
            if found.status is not BulkActionStatus.REQUESTED:
                return found.status
            time.sleep(0.5)
        raise AssertionError("the backfill did not end")


@pytest.fixture
def daemon(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from:\n  - python_module: {module_name: cdp_exports.definitions, location_name: exports}\n")
    monkeypatch.setenv("CDP_EXPORTS_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    Scene.create(tmp_path, stored_instance, out="datasets: [events]")
    with create_test_daemon_workspace_context(WorkspaceFileTarget([str(workspace)]), stored_instance) as context:
        made = Daemon(context)
        yield made
    del made.location, context
    with warnings.catch_warnings(action="ignore"):  # Dagster leaves its code server to end by itself, and Python says so
        gc.collect()


def missing(instance: dg.DagsterInstance) -> list[str]:
    return sorted(set(instance.get_dynamic_partitions("acme/out")) - instance.get_materialized_partitions(KEY))


def test_missing_only(tmp_path: Path, daemon: Daemon) -> None:
    instance = daemon.instance
    scene = Scene(tmp_path, instance)
    now = scene.ledger.now()
    failed, delivered, skipped = (ExportTime(now - timedelta(minutes=minutes)) for minutes in (30, 20, 10))
    table = tmp_path / "data" / "events"
    table.rename(tmp_path / "gone")
    run_in_process(scene.catalog, instance, "out", export_time=failed)
    (tmp_path / "gone").rename(table)
    run_in_process(scene.catalog, instance, "out", export_time=delivered)
    scene.ledger.note_time("acme", "out", skipped)
    instance.add_dynamic_partitions("acme/out", [str(skipped)])
    scene.ledger.skip(
        SkipRecord(
            environment="acme",
            export="out",
            member="events",
            export_time=skipped,
            reason="over_limit",
            message="More than the receiver takes.",
            next_step="Make it smaller.",
            run_id="earlier",
            at=now,
        )
    )
    scene.write("events", 2)
    assert missing(instance) == [str(failed), str(skipped)]

    assert daemon.backfill(missing(instance)) is BulkActionStatus.COMPLETED_SUCCESS
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": [str(failed), str(skipped)]}), limit=2)
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    assert missing(instance) == [], "asked for again, there is nothing to do"
    history = scene.ledger.history("acme", "out")
    assert [str(entry.export_time) for entry in history if isinstance(entry, Delivery)] == [str(delivered)], "nothing was sent"
    assert [path.parent.name for path in (tmp_path / "outbox").rglob("_manifest")] == [f"exportTime={delivered}"]
    reasons = {str(entry.export_time): entry.reason for entry in reversed(history) if isinstance(entry, SkipRecord)}
    assert reasons == {str(failed): "covered_by", str(skipped): "over_limit"}
    for run in runs:
        (step,) = instance.get_run_step_stats(run.run_id)
        assert step.start_time and step.end_time
        logging.getLogger("backfill").info("%s ended within %.2f s", run.tags["dagster/partition"], step.end_time - step.start_time)

    run_in_process(scene.catalog, instance, "out")
    assert [rows for _, rows in delivered_rows(scene)] == [1, 1], "what the backfill said is no delivery to anyone who looks"


def delivered_rows(scene: Scene) -> list[tuple[str, int]]:
    found = [entry for entry in scene.ledger.history("acme", "out") if isinstance(entry, Delivery)]
    return sorted((str(one.export_time), one.counts.delivered) for one in found if one.counts)


def test_what_failed_is_delivered(tmp_path: Path, daemon: Daemon) -> None:
    """A backfill of two export times that failed: one run each, whichever comes first, and no row twice."""
    instance = daemon.instance
    scene = Scene(tmp_path, instance)
    now = scene.ledger.now()
    times = [ExportTime(now - timedelta(minutes=minutes)) for minutes in (30, 20)]
    table = tmp_path / "data" / "events"
    table.rename(tmp_path / "gone")
    for time_ in times:
        run_in_process(scene.catalog, instance, "out", export_time=time_)
    (tmp_path / "gone").rename(table)
    assert daemon.backfill(missing(instance)) is BulkActionStatus.COMPLETED_SUCCESS
    assert missing(instance) == []
    assert sum(rows for _, rows in delivered_rows(scene)) == 1
    assert len(list((tmp_path / "outbox").rglob("*.parquet"))) == 1
