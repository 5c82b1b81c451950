"""Parts of dagster-daemon that a test calls when it wants to, over a real code server: schedules, backfills, the queue of runs."""

from __future__ import annotations

import gc
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_graphql.test.utils import execute_dagster_graphql

LAUNCH = """
    mutation Backfill($params: LaunchBackfillParams!) {
        launchPartitionBackfill(backfillParams: $params) {
            __typename
            ... on LaunchBackfillSuccess { backfillId }
            ... on PythonError { message }
        }
    }
"""

UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


@dataclass
class Daemon:
    """Does what it is told, and only then."""

    location: WorkspaceProcessContext
    _schedules: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.location.instance

    def reload(self) -> None:
        """The catalog was declared anew."""
        self.location.reload_code_location("exports")

    def tick(self, now: datetime) -> None:
        """Schedules; the first tick of one only says from when on it counts."""
        errors = [error for error in launch_scheduled_runs(self.location, logging.getLogger("tick"), now, self._schedules) if error]
        assert errors == []

    def dequeue(self) -> None:
        """Launch as many runs as there is room for."""
        errors = [error for error in QueuedRunCoordinatorDaemon(interval_seconds=1).run_iteration(self.location) if error]
        assert errors == []

    def run_all(self, seconds: float = 180) -> None:
        """Until no run is left."""
        until = time.monotonic() + seconds
        while self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
            assert time.monotonic() < until, "runs are left"
            self.dequeue()
            time.sleep(0.2)

    def launch_backfill(self, asset: dg.AssetKey, partitions: Sequence[str]) -> str:
        """As the UI does it; its id."""
        params: dict[str, Any] = {"partitionNames": list(partitions), "assetSelection": [{"path": asset.path}], "fromFailure": False}
        answer = execute_dagster_graphql(self.location.create_request_context(), LAUNCH, variables={"params": params})
        assert answer.data
        assert "backfillId" in answer.data["launchPartitionBackfill"], answer.data
        return answer.data["launchPartitionBackfill"]["backfillId"]

    def has_ended(self, backfill_id: str) -> BulkActionStatus | None:
        """How a backfill ended; None where it did not yet."""
        found = self.instance.get_backfill(backfill_id)
        assert found is not None
        return None if found.status is BulkActionStatus.REQUESTED else found.status

    def backfill(self, asset: dg.AssetKey, partitions: Sequence[str]) -> BulkActionStatus:
        """From its launch to its end."""
        backfill_id, until = self.launch_backfill(asset, partitions), time.monotonic() + 180
        while time.monotonic() < until:
            assert [error for error in execute_backfill_iteration(self.location, logging.getLogger("backfill")) if error] == []
            self.dequeue()
            if ended := self.has_ended(backfill_id):
                return ended
            time.sleep(0.5)
        raise AssertionError("the backfill did not end")


@pytest.fixture
def daemon(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """Of the catalog in the test's folder, which may be empty at first; `reload` then."""
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from:\n  - python_module: {module_name: cdp_exports.definitions, location_name: exports}\n")
    environment = tmp_path / "catalog" / "environment.yaml"
    environment.parent.mkdir(exist_ok=True)
    environment.write_text("name: acme\n")
    monkeypatch.setenv("CDP_EXPORTS_CATALOG", str(tmp_path / "catalog"))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with create_test_daemon_workspace_context(WorkspaceFileTarget([str(workspace)]), stored_instance) as context:
        made = Daemon(context)
        yield made
    del made.location, context
    with warnings.catch_warnings(action="ignore"):  # Dagster leaves its code server to end by itself, and Python says so
        gc.collect()
