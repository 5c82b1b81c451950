"""Exports that follow the refresh of what they read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from deltalake import DeltaTable

from cdp_exports.definitions import build_definitions
from cdp_exports_tests.automation.refreshed import WAREHOUSE, Scene

ORDERS = "datasets: [orders]\nschedule: {after: refresh}"
EVENTS = "datasets: [events]\nschedule: {after: refresh}"
BOTH = "datasets: [orders, events]\nschedule: {after: refresh}"
ALL = "datasets: [orders, events]\nschedule: {after: {refresh: all}}"
NOTHING: list[str] = []


def test_a_table_that_another_system_writes(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    (first,) = scene.tick()
    assert scene.tick() == NOTHING
    scene.write("events", 2, 3)
    scene.write("events", 4)
    (second,) = scene.tick()
    assert scene.tick() == NOTHING, "two writes in one interval are one run"
    times = [key.partition("/")[2] for key in (first, second)]
    assert scene.delivered("out") == [("events", times[0], 1), ("events", times[1], 3)]
    assert scene.partitions("out") == times
    assert scene.history("out") == []


def test_dagster_is_told_of_each_version_once(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    scene.tick()
    scene.tick()
    scene.write("events", 2, 3)
    scene.tick()
    records = stored_instance.fetch_materializations(dg.AssetKey(["datasets", "events"]), limit=10).records
    said = [record.asset_materialization.metadata for record in records if record.asset_materialization]
    assert [(one["cdp/version"].value, one["dagster/row_count"].value) for one in said] == [(1, 3), (0, 1)]


def test_compaction_starts_no_run(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    scene.write("events", 2)
    assert len(scene.tick()) == 1
    DeltaTable(tmp_path / "data" / "events").optimize.compact()
    DeltaTable(tmp_path / "data" / "events").delete("id > 100")
    assert scene.tick() == NOTHING
    scene.write("events", 3)
    assert len(scene.tick()) == 1


def test_an_asset_of_its_own_is_the_only_signal(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=ORDERS)
    assert scene.tick() == NOTHING, "the table is there, and nobody has said that it was refreshed"
    scene.refresh()
    (first,) = scene.tick()
    scene.write("orders", 3)
    assert scene.tick() == NOTHING, "written, and not materialized"
    scene.refresh(4)
    (second,) = scene.tick()
    scene.refresh()
    assert scene.tick() == NOTHING, "materialized, and nothing was written"
    times = [key.partition("/")[2] for key in (first, second)]
    assert scene.delivered("out") == [("orders", times[0], 2), ("orders", times[1], 2)]


def test_an_observation_is_a_signal_too(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=ORDERS)
    stored_instance.report_runless_asset_event(dg.AssetObservation(WAREHOUSE))
    assert len(scene.tick()) == 1


def test_nothing_runs_while_a_refresh_does(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=BOTH)
    scene.refresh()
    assert len(scene.tick()) == 1
    scene.write("events", 2)
    with scene.refreshing(3) as run_id:
        assert scene.tick() == NOTHING
        assert scene.said == f"out is due and waits for the run {run_id}."
    (key,) = scene.tick()
    time = key.partition("/")[2]
    assert [one for one in scene.delivered("out") if one[1] == time] == [("events", time, 1), ("orders", time, 1)]


def test_only_what_changed_is_delivered(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=BOTH)
    scene.refresh()
    scene.tick()
    scene.write("events", 2)
    scene.tick()
    assert [member for member, _, _ in scene.delivered("out")] == ["events", "orders", "events"]


def test_all_waits_for_all(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=ALL)
    assert scene.tick() == NOTHING
    scene.refresh()
    assert len(scene.tick()) == 1
    scene.refresh(3)
    assert scene.tick() == NOTHING
    scene.write("events", 2)
    assert len(scene.tick()) == 1
    assert len(scene.delivered("out")) == 4


@pytest.mark.parametrize("choice", ["skip", "last_good"])
def test_a_refresh_that_failed(tmp_path: Path, stored_instance: dg.DagsterInstance, choice: str) -> None:
    scene = Scene.create(
        tmp_path, stored_instance, out=f"datasets: [orders, events]\nschedule: {{after: refresh, on_upstream_failure: {choice}}}"
    )
    scene.refresh()
    scene.tick()
    failed = scene.refresh(fails=True)
    assert scene.tick() == NOTHING, "nothing changed"
    scene.write("events", 2)
    ran = scene.tick()
    scene.tick()
    if choice == "last_good":
        assert len(ran) == 1
        assert scene.history("out") == []
        return
    assert ran == NOTHING
    (skip,) = scene.history("out")
    assert skip[1:] == ("skipped", "upstream_failed"), "once, however often the sensor ticks"
    assert failed in scene.ledger.history("acme", "out")[0].message  # type: ignore[union-attr]
    assert skip[0] not in scene.partitions("out")
    scene.refresh()
    assert len(scene.tick()) == 1, "it recovered, though it brought nothing"
    assert len(scene.delivered("out")) == 3


def test_what_failed_waits_for_the_next_refresh(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    occupied = tmp_path / "outbox" / "out" / "events"
    occupied.mkdir(parents=True)
    (occupied / "_owner").write_text('{"environment": "another", "export": "x", "member": "y"}')
    assert len(scene.tick()) == 1
    assert scene.tick() == NOTHING
    assert [one[1:] for one in scene.history("out")] == [("failed", "occupied")]
    (occupied / "_owner").unlink()
    assert scene.tick() == NOTHING, "a person runs it, or the next refresh does"
    scene.write("events", 2)
    assert len(scene.tick()) == 1
    assert [rows for _, _, rows in scene.delivered("out")] == [2]


def test_killed_between_minting_and_launching(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    (lost,) = scene.evaluate()  # and the daemon dies
    (again,) = scene.evaluate()
    assert (again.run_key, again.partition_key) == (lost.run_key, lost.partition_key)
    scene.launch(again)
    (seen_too_early,) = [again]
    scene.launch(seen_too_early)
    assert scene.tick() == NOTHING
    assert len(scene.delivered("out")) == 1
    assert scene.partitions("out") == [lost.partition_key]


def test_killed_before_dagster_was_told(tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from cdp_exports.automation import noticing

    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    key = dg.AssetKey(["datasets", "events"])
    with monkeypatch.context() as dying:
        dying.setattr(noticing.Noticing, "_report", lambda *_: 1 / 0)
        with pytest.raises(Exception, match="division by zero"):
            scene.evaluate()
    assert len(scene.tick()) == 1, "that it was noticed stands in the ledger"
    assert stored_instance.get_latest_materialization_event(key) is None, "another sensor may be at it now"
    monkeypatch.setattr(noticing, "_FORGOTTEN", timedelta(0))
    scene.tick()
    scene.tick()
    assert len(stored_instance.fetch_materializations(key, limit=9).records) == 1


def test_an_export_that_is_switched_off_or_over_follows_nothing(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(
        tmp_path,
        stored_instance,
        off=f"{EVENTS}\nactive: false",
        over="datasets: [events]\nschedule: {after: refresh, end: 2026-01-01T00:00Z}",
        early="datasets: [events]\nschedule: {after: refresh, start: 2999-01-01T00:00Z}",
    )
    assert scene.tick() == NOTHING


def test_a_table_that_cannot_be_read_holds_up_nobody_else(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=EVENTS, broken="datasets: [nowhere]\nschedule: {after: refresh}")
    scene.declare("datasets/nowhere.yaml", "source: {format: delta, uri: data/nowhere}\n")
    assert [key.partition("/")[0] for key in scene.tick()] == ["out"]


def test_many_that_are_due_are_spread_over_ticks(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_exports.automation import refresh_sensor

    monkeypatch.setattr(refresh_sensor, "LAUNCHES", 2)
    scene = Scene.create(tmp_path, stored_instance, **{f"out_{number}": EVENTS for number in range(5)})
    ticks = [[key.partition("/")[0] for key in scene.tick()] for _ in range(4)]
    assert [len(keys) for keys in ticks] == [2, 2, 1, 0]
    assert len({name for keys in ticks for name in keys}) == 5


def test_a_run_that_is_at_work_is_waited_for_and_one_that_died_is_not(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from cdp_exports.automation import refresh_sensor

    scene = Scene.create(tmp_path, stored_instance, out=EVENTS)
    scene.tick()
    job = build_definitions(scene.catalog).resolve_implicit_global_asset_job_def()
    stored_instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={"cdp/family": "dataset", "cdp/export": "out"})
    scene.write("events", 2)
    assert scene.tick() == NOTHING
    monkeypatch.setattr(refresh_sensor, "START", timedelta(0))
    held = scene.ledger.acquire("acme", "out", run_id="r", export_time=scene.ledger.mint("acme", "out"), seconds=60)
    assert held is not None
    assert scene.tick() == NOTHING, "it has the lease"
    scene.ledger.release(held)
    assert len(scene.tick()) == 1


def test_a_tick_that_has_no_time_left_goes_on_in_the_next(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_exports.automation import noticing

    names = [f"table_{number}" for number in range(3)]
    scene = Scene.create(
        tmp_path, stored_instance, **{f"out_{name}": f"datasets: [{name}]\nschedule: {{after: refresh}}" for name in names}
    )
    for name in names:
        scene.declare(f"datasets/{name}.yaml", f"source: {{format: delta, uri: data/{name}}}\n")
        scene.write(name, 1)
    clock = iter(range(1000))
    monkeypatch.setattr(noticing, "SECONDS", 1.5)
    monkeypatch.setattr(noticing, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # one table a tick
    assert [scene.tick() and scene.cursor for _ in range(3)] == ["table_0", "table_1", "table_2"]
    assert [len(scene.delivered(f"out_{name}")) for name in names] == [1, 1, 1]
