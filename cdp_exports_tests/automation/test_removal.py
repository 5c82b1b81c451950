"""Exports that are removed or renamed while runs of them are queued: by Dagster's own scheduler, and with the real daemon."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import deltalake
import pyarrow as pa
import pytest
from click.testing import CliRunner

from cdp_exports.assets.run import run_in_process
from cdp_exports.catalog.load import load
from cdp_exports.cli.program import program
from cdp_exports_tests.automation.refreshed import Scene
from cdp_exports_tests.automation.test_clock import Clock, clock
from cdp_exports_tests.automation.test_daemon_refresh import daemon, until

__all__ = ["clock"]

CANCELED, QUEUED = dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.QUEUED


def statuses(instance: dg.DagsterInstance, export: str) -> list[dg.DagsterRunStatus]:
    return [run.status for run in instance.get_runs(dg.RunsFilter(tags={"cdp/export": export}))]


def remove(folder: Path, *arguments: str) -> None:
    ended = CliRunner(catch_exceptions=False).invoke(program, ["remove", *arguments, "--yes", "--catalog", str(folder)])
    assert ended.exit_code == 0, ended.output


def why(clock: Clock, export: str) -> list[str]:
    return [str(tick.skip_reason) for tick in clock.ticks(export) if tick.skip_reason]


def test_it_takes_effect_before_the_code_location_is_loaded_again(clock: Clock, tmp_path: Path) -> None:
    clock.run("2025-06-10T22:00", "2025-06-11T01:00")
    assert statuses(clock.instance, "counted") == [QUEUED]
    remove(tmp_path / "catalog", "counted")
    assert statuses(clock.instance, "counted") == [CANCELED]
    (tmp_path / "catalog" / "exports" / "paris.yaml").unlink()  # by hand
    clock.run("2025-06-11T01:30", "2025-06-12T01:00")
    assert clock.times("counted") == ["06-11 00:00"]
    assert clock.times("paris") == ["06-10 23:30", "06-11 00:30"]
    assert why(clock, "counted") == [], "its schedule is off"
    assert set(why(clock, "paris")) == {"paris was removed; load the code location again."}
    assert clock.partitions("counted") == ["202506110000"]
    clock.reload()
    clock.run("2025-06-12T01:30", "2025-06-12T02:00")
    assert clock.times("monthly") == [], "the others go on"


def test_a_tick_asks_for_the_members_that_are_left(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "catalog" / "exports" / "counted.yaml"
    (tmp_path / "catalog" / "datasets" / "events.yaml").write_text("source: {format: delta, uri: data/events}\n")
    file.write_text(file.read_text().replace("[orders]", "[orders, events]").replace("counted/", "counted/{dataset_id}/"))
    clock.reload()
    clock.run("2025-06-10T22:00", "2025-06-11T01:00")
    remove(tmp_path / "catalog", "counted", "events")
    clock.run("2025-06-11T01:30", "2025-06-11T07:00")
    runs = clock.instance.get_runs(dg.RunsFilter(tags={"cdp/export": "counted"}))
    assert [(run.tags["dagster/partition"], run.status, {key.path[-1] for key in run.asset_selection or ()}) for run in runs] == [
        ("202506110600", QUEUED, {"orders"}),
        ("202506110000", CANCELED, {"orders", "events"}),
    ]


def test_a_sensor_of_an_older_load_asks_for_nothing_that_is_gone(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    follows = "schedule: {after: refresh}"
    scene = Scene.create(
        tmp_path,
        stored_instance,
        asked=f"datasets: [events]\n{follows}",
        out=f"datasets: [orders]\n{follows}",
        part=f"datasets: [events]\n{follows}",
    )
    assert [request.run_key.split("/")[0] for request in scene.evaluate() if request.run_key] == ["asked", "part"]
    (due,) = scene.ledger.due("acme", "asked")
    monkeypatch.setattr(Scene, "catalog", scene.catalog)  # loaded before anything is removed
    for export in ("asked", "out"):
        (tmp_path / "catalog" / "exports" / f"{export}.yaml").unlink()
    scene.refresh(3)
    assert [request.run_key.split("/")[0] for request in scene.evaluate() if request.run_key] == ["part"]
    assert [one.export for one in scene.ledger.due("acme")] == ["part"]
    assert scene.history("asked") == [(str(due.export_time), "skipped", "removed")]
    scene.evaluate()
    assert scene.history("out") == []
    assert scene.partitions("out") == []


@pytest.mark.timeout(400)
def test_renamed_and_removed_with_runs_queued(
    tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with (home / "dagster.yaml").open("a") as config:
        config.write("concurrency: {runs: {max_concurrent_runs: 0}}\n")  # the queue is held
    cron = 'schedule: {cron: "* * * * *"}'
    scene = Scene.create(
        tmp_path,
        stored_instance,
        out=f"datasets: [orders, events]\n{cron}",
        old=f"datasets: [orders]\n{cron}",
        keep='datasets: [orders]\nschedule: {daily_at: "02:00"}',
    )
    run_in_process(scene.catalog, stored_instance, "old")
    with daemon(scene, home):
        until(lambda: QUEUED in statuses(stored_instance, "out") and QUEUED in statuses(stored_instance, "old"), scene)
    remove(tmp_path / "catalog", "out")
    assert set(statuses(stored_instance, "out")) == {CANCELED}
    exports = tmp_path / "catalog" / "exports"
    declared = (exports / "old.yaml").read_text().replace(cron, 'schedule: {daily_at: "02:00"}\nformerly: old')
    (exports / "old.yaml").unlink()
    (exports / "new.yaml").write_text(declared)
    with daemon(scene, home):
        until(lambda: QUEUED not in statuses(stored_instance, "old"), scene)
    assert {run.status for run in stored_instance.get_runs()} == {CANCELED, dg.DagsterRunStatus.SUCCESS}
    assert {reason for _, _, reason in scene.history("out")} == {"removed"}
    assert {reason for _, _, reason in scene.history("old")} == {"removed"}
    assert scene.ledger.due("acme") == []
    deltalake.write_deltalake(tmp_path / "data" / "orders", pa.table({"id": [3]}), mode="append")
    (delivered,) = run_in_process(load(tmp_path / "catalog"), stored_instance, "new").outcomes
    assert delivered.delivery is not None
    assert (delivered.delivery.sequence, delivered.delivery.counts and delivered.delivery.counts.inserted) == (2, 1), "nothing is lost"
