"""The forms of the launchpad, filled in as Dagster's own command line does, in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import dagster as dg
import pytest
from dagster._core.events import RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run

from cdp_exports.definitions import build_definitions
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.automation.refreshed import Scene

LOCATION = """
    from pathlib import Path

    import dagster as dg

    from cdp_exports.definitions import build_definitions
    from cdp_exports.destinations.open import open_destination
    from cdp_exports.entities.connection import CONNECTION

    ROOT = Path(__file__).parent

    class Elsewhere(dg.ConfigurableResource):
        def open(self):
            return open_destination(CONNECTION.validate_python({"type": "local", "folder": "elsewhere"}), ROOT, {})

    def project(theirs):
        resources = {**theirs.resources, "connection_outbox": Elsewhere()}
        return dg.Definitions(theirs.assets, theirs.schedules, theirs.sensors, theirs.jobs, resources)

    defs = project(build_definitions(ROOT / "catalog"))
"""
"""A user's own project, with a resource of their own in the place of a connection's."""


def filled_in(scene: Scene, home: Path, job: str, form: Mapping[str, object]) -> subprocess.Popen[str]:
    location = scene.root / "location.py"
    location.write_text(dedent(LOCATION))
    (scene.root / "form.yaml").write_text(json.dumps(form))
    command = [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-f", str(location), "-j", job]
    environ = {**os.environ, "DAGSTER_HOME": str(home)}
    arguments = [*command, "-c", str(scene.root / "form.yaml")]
    return subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def fill_in(scene: Scene, home: Path, job: str, form: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    """And wait for the job's end."""
    with filled_in(scene, home, job, form) as process:
        said, _ = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, said)


def delivered(scene: Scene) -> set[tuple[str, ...]]:
    """Export, dataset and export time, where the project's own resource writes."""
    return {path.parts[-4:-1] for path in (scene.root / "elsewhere").rglob("_manifest")}


def test_one_export(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(
        tmp_path, stored_instance, out="datasets: [orders, events]\nschedule: {every: 3h}\nactive: false", other="datasets: [orders]"
    )
    assert fill_in(scene, home, "acme__run_export", {"export": "out", "member": "events"}).returncode == 0
    (run,) = stored_instance.get_runs(dg.RunsFilter(tags={"cdp/export": "out"}))
    export_time = run.tags["dagster/partition"]
    assert delivered(scene) == {("out", "events", f"exportTime={export_time}")}
    assert scene.partitions("out") == [export_time]
    assert stored_instance.get_materialized_partitions(dg.AssetKey(["dataset_exports", "out", "events"])) == {export_time}
    assert stored_instance.all_instigator_state() == []
    (job,) = stored_instance.get_runs(dg.RunsFilter(job_name="acme__run_export"))
    assert job.is_success
    (output,) = [
        event for event in stored_instance.all_logs(job.run_id) if event.dagster_event and event.dagster_event.is_successful_output
    ]
    assert output.dagster_event is not None
    metadata = output.dagster_event.step_output_data.metadata
    assert (metadata["cdp/run"].value, metadata["cdp/export_time"].value) == (run.run_id, export_time)
    # a full begins a new chain
    scene.write("events", 2)
    assert fill_in(scene, home, "acme__run_export", {"export": "out", "member": "events", "full": True}).returncode == 0
    assert [rows for _, _, rows in scene.committed("out")] == [1, 2]
    # a member of another export
    ended = fill_in(scene, home, "acme__run_export", {"export": "other", "member": "events"})
    assert ended.returncode == 1
    assert "Failure: other has no member 'events'. Its members are orders." in ended.stdout
    assert stored_instance.get_runs(dg.RunsFilter(tags={"cdp/export": "other"})) == []


def test_all_of_them(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(
        tmp_path,
        stored_instance,
        a="datasets: [gone]\nschedule: {every: 3h}",
        b="datasets: [orders]\nschedule: {every: 3h}",
        c="datasets: [orders]\nschedule: {every: 3h}\nactive: false",
    )
    scene.declare("datasets/gone.yaml", "source: {format: delta, uri: data/gone}\n")
    ended = fill_in(scene, home, "acme__run_all", {"family": "dataset"})
    assert ended.returncode == 1
    assert "Failure: a/gone at " in ended.stdout
    assert "c is left out: Its schedule is off." in ended.stdout
    assert {(export, dataset) for export, dataset, _ in delivered(scene)} == {("b", "orders")}
    assert {run.tags["cdp/export"]: run.is_success for run in stored_instance.get_runs(dg.RunsFilter(tags={"cdp/family": "dataset"}))} == {
        "a": False,
        "b": True,
    }
    scene.declare("datasets/gone.yaml", "source: {format: delta, uri: data/events}\n")
    assert fill_in(scene, home, "acme__run_all", {}).returncode == 0
    assert fill_in(scene, home, "acme__run_all", {"family": "profile"}).returncode == 0
    assert len(scene.committed("a")) == 1
    assert len(scene.committed("b")) == 2


@pytest.mark.parametrize(("job", "died", "again"), [("run_export", True, True), ("run_export", False, False), ("run_all", True, False)])
def test_a_job_that_died(tmp_path: Path, home: Path, job: str, died: bool, again: bool) -> None:
    """One export's is picked up again. That of all is not: it would deliver those again that were done."""
    (home / "dagster.yaml").write_text((Path(__file__).parents[2] / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        scene = Scene.create(tmp_path, instance, out="datasets: [orders]")
        form = build_definitions(scene.catalog).resolve_job_def(f"acme__{job}")
        run = instance.add_run(dg.DagsterRun(form.name, str(uuid.uuid4()), tags=form.run_tags))
        instance.report_run_failed(run)
        failed = instance.get_run_by_id(run.run_id)
        assert failed is not None
        assert (
            auto_reexecution_should_retry_run(instance, failed, RunFailureReason.RUN_EXCEPTION if died else RunFailureReason.STEP_FAILURE)
            is again
        )


def test_terminated(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance) -> None:
    """While its delivery waits for another run of the export: both end cancelled, and nothing was delivered."""
    scene = Scene.create(tmp_path, stored_instance, out="datasets: [orders]")
    lease = scene.ledger.acquire("acme", "out", run_id="other", export_time=ExportTime.parse("202601010000"), seconds=600)
    assert lease is not None
    with filled_in(scene, home, "acme__run_export", {"export": "out"}) as process:
        while [run.status for run in stored_instance.get_runs()] != [dg.DagsterRunStatus.STARTED] * 2:
            assert process.poll() is None
            time.sleep(0.1)
        (job,) = stored_instance.get_runs(dg.RunsFilter(job_name="acme__run_export"))
        stored_instance.report_run_canceling(job)  # as *Terminate* does before it sends the signal
        time.sleep(0.5)  # into the wait; an interrupt before it ends the same
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert [run.status for run in stored_instance.get_runs()] == [dg.DagsterRunStatus.CANCELED] * 2
    assert delivered(scene) == set()
