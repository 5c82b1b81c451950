"""Backfills as the UI asks for them, by Dagster's own backfill daemon: what is covered, skipped, failed and delivered."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from cdp_exports.assets.run import run_in_process
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import Delivery, SkipRecord
from cdp_exports_tests.automation.daemons import Daemon, daemon
from cdp_exports_tests.automation.refreshed import Scene

__all__ = ["daemon"]

pytestmark = pytest.mark.filterwarnings("ignore:.*AssetSelection.sources:DeprecationWarning")  # Dagster warns of itself

KEY = dg.AssetKey(["dataset_exports", "out", "events"])


def missing(instance: dg.DagsterInstance) -> list[str]:
    return sorted(set(instance.get_dynamic_partitions("acme/out")) - instance.get_materialized_partitions(KEY))


def test_missing_only(tmp_path: Path, daemon: Daemon) -> None:
    instance = daemon.instance
    scene = Scene.create(tmp_path, instance, out="datasets: [events]")
    daemon.reload()
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

    assert daemon.backfill(KEY, missing(instance)) is BulkActionStatus.COMPLETED_SUCCESS
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
    scene = Scene.create(tmp_path, instance, out="datasets: [events]")
    daemon.reload()
    now = scene.ledger.now()
    times = [ExportTime(now - timedelta(minutes=minutes)) for minutes in (30, 20)]
    table = tmp_path / "data" / "events"
    table.rename(tmp_path / "gone")
    for time_ in times:
        run_in_process(scene.catalog, instance, "out", export_time=time_)
    (tmp_path / "gone").rename(table)
    assert daemon.backfill(KEY, missing(instance)) is BulkActionStatus.COMPLETED_SUCCESS
    assert missing(instance) == []
    assert sum(rows for _, rows in delivered_rows(scene)) == 1
    assert len(list((tmp_path / "outbox").rglob("*.parquet"))) == 1
