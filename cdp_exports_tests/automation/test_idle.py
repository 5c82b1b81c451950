"""Runs that Dagster calls started while no step of theirs is seen at work: which of them are dead, and which only look so."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent

from cdp_exports.assets import alive
from cdp_exports.assets.run import run_in_process
from cdp_exports.automation import crashed_runs
from cdp_exports.definitions import build_definitions
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import TransientError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.automation.refreshed import Scene
from cdp_exports_tests.automation.test_crashed import at_work, held_up

OUT = dg.AssetKey(["dataset_exports", "out", "events"])
OTHER = dg.AssetKey(["dataset_exports", "other", "events"])
OWN = dg.AssetKey(["warehouse", "orders"])


def test_a_ledger_that_was_away_at_the_first_moment(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins, asked = Ledger.run_begins, list[str]()

    def away_once(ledger: Ledger, environment: str, run_id: str, export: str, export_time: ExportTime, members: list[str]) -> None:
        asked.append(run_id)
        if len(asked) == 1:
            raise TransientError("The ledger is away.", next_step="Wait.")
        begins(ledger, environment, run_id, export, export_time, members)

    scene = Scene.create(tmp_path, stored_instance, out="datasets: [events]")
    monkeypatch.setattr(alive, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(Ledger, "run_begins", away_once)
    with held_up(scene):
        run = threading.Thread(target=run_in_process, args=(scene.catalog, stored_instance, "out"))
        run.start()
        until = time.monotonic() + 60
        while not at_work(scene) and time.monotonic() < until:
            time.sleep(0.05)
        assert at_work(scene) == asked[:1], "it is alive, and is written down by a later beat"
    run.join()
    assert scene.has_delivered("out")


@pytest.mark.parametrize(
    ("selected", "ended", "dead"),
    [
        pytest.param([OUT], False, False, id="at work"),
        pytest.param([OUT], True, True, id="between two tries, or when all was done"),
        pytest.param([OUT], None, True, id="before its step"),
        pytest.param([OUT, OTHER], True, False, id="the next export's turn"),
        pytest.param([OUT, OWN], True, False, id="something else's turn"),
        pytest.param([OWN], None, False, id="another one's, with our tags"),
    ],
)
def test_who_is_dead(
    tmp_path: Path,
    stored_instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    selected: list[dg.AssetKey],
    ended: bool | None,
    dead: bool,
) -> None:
    monkeypatch.setattr(crashed_runs, "START", timedelta(0))
    scene = Scene.create(tmp_path, stored_instance, out="datasets: [events]", other="datasets: [events]")
    tags = {"cdp/environment": "acme", "cdp/export": "out", "cdp/family": "dataset"}
    run = stored_instance.add_run(dg.DagsterRun("__ASSET_JOB", str(uuid.uuid4()), asset_selection=frozenset(selected), tags=tags))
    stored_instance.report_dagster_event(DagsterEvent("PIPELINE_START", run.job_name), run.run_id)
    if ended is not None:
        scene.ledger.run_begins("acme", run.run_id, "out", scene.ledger.mint("acme", "out"), ["events"])
        scene.ledger.run_seen("acme", run.run_id, ended=ended)
    sensor = build_definitions(scene.catalog).get_repository_def().get_sensor_def("acme__crashed_runs")
    with dg.build_sensor_context(stored_instance) as context:
        sensor(context)
    found = stored_instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status.value == ("FAILURE" if dead else "STARTED")


def test_a_failure_that_dagster_passed_over_is_told_once_more(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its daemon does that reads a failure before the run is marked as failed: nobody starts the run again."""
    (home / "dagster.yaml").write_text("run_retries: {enabled: true, max_retries: 2}\n", encoding="utf-8")
    monkeypatch.setattr(crashed_runs, "FORGOTTEN", timedelta(0))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        scene = Scene.create(tmp_path, instance, out="datasets: [events]")
        tags = {"cdp/environment": "acme", "cdp/export": "out", "cdp/family": "dataset"}
        passed_over, retried, of_others = (
            instance.add_run(dg.DagsterRun("__ASSET_JOB", str(uuid.uuid4()), asset_selection=frozenset([OUT]), tags={**tags, **more}))
            for more in ({}, {"dagster/auto_retry_run_id": "another"}, {"cdp/environment": "other"})
        )
        for run in (passed_over, retried, of_others):
            instance.report_dagster_event(DagsterEvent("PIPELINE_START", run.job_name), run.run_id)
            instance.report_run_failed(run, "It died.")
        sensor = build_definitions(scene.catalog).get_repository_def().get_sensor_def("acme__crashed_runs")

        def failures(run: dg.DagsterRun) -> int:
            return len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE))

        for _ in range(2):
            with dg.build_sensor_context(instance) as context:
                sensor(context)
        assert [failures(run) for run in (passed_over, retried, of_others)] == [2, 1, 1], "once more, and only this one"
