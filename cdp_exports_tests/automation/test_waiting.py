"""A schedule's tick that falls due while what its export reads is being refreshed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from cdp_exports.entities.cadence import Cadence
from cdp_exports.ledger.records import SkipRecord
from cdp_exports_tests.automation.refreshed import WAREHOUSE, Scene

MINUTELY = 'datasets: [orders]\nschedule: {cron: "* * * * *"}'
NOTHING: list[str] = []


def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def key_of(time: datetime) -> str:
    return f"{time:%Y%m%d%H%M}"


def waiting(scene: Scene, at: datetime, export: str = "out") -> str:
    said = scene.schedule(export, at)
    assert isinstance(said, str)
    assert "waits for the end of the run" in said
    return said


def test_the_tick_that_waited_runs_once_the_refresh_has_ended(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    with scene.refreshing(3) as run_id:
        assert run_id in waiting(scene, tick)
        assert scene.tick() == NOTHING
        assert scene.history("out") == [(key_of(tick), "waiting", "waiting_for_refresh")]
        assert scene.partitions("out") == [], "a partition is made of it when it runs"
        entry = scene.ledger.history("acme", "out")[0]
        assert isinstance(entry, SkipRecord)
        assert run_id in entry.message
    assert scene.tick() == [f"out/{key_of(tick)}"]
    assert scene.tick() == NOTHING
    assert scene.delivered("out") == [("orders", key_of(tick), 3)]
    assert scene.partitions("out") == [key_of(tick)]
    assert scene.history("out") == []


def test_dagster_shows_that_it_waits(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    key = dg.AssetKey(["dataset_exports", "out", "orders"])
    with scene.refreshing() as run_id:
        waiting(scene, tick)
        (record,) = stored_instance.fetch_observations(key, limit=5).records
        assert record.asset_observation is not None
        said = {name: value.value for name, value in record.asset_observation.metadata.items()}
        assert (said["cdp/outcome"], said["cdp/reason"]) == ("waiting", "waiting_for_refresh")
        assert said["cdp/export_time"] == key_of(tick)
        assert run_id in str(said["cdp/message"])
        (check,) = stored_instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(key, "delivered"), limit=5)
        assert check.status.value == "FAILED"
    scene.tick()


def test_two_ticks_that_wait_are_one_delivery(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    with scene.refreshing(3):
        waiting(scene, tick - timedelta(minutes=2))
        waiting(scene, tick)
    assert scene.tick() == [f"out/{key_of(tick)}"]
    assert scene.delivered("out") == [("orders", key_of(tick), 3)]
    assert scene.history("out") == [(key_of(tick - timedelta(minutes=2)), "skipped", "covered_by")]


def test_a_tick_after_the_refresh_takes_along_what_waited(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    """As where the sensor is switched off."""
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    with scene.refreshing(3):
        waiting(scene, tick - timedelta(minutes=2))
    assert isinstance(scene.schedule("out", tick), dg.RunRequest)
    assert scene.tick() == NOTHING
    assert scene.delivered("out") == [("orders", key_of(tick), 3)]
    assert scene.history("out") == [(key_of(tick - timedelta(minutes=2)), "skipped", "covered_by")]


def test_the_message_says_that_the_sensor_is_off(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cdp_exports.automation import holding

    scene = Scene.create(tmp_path, stored_instance, out=MINUTELY)
    asked: list[str] = []
    monkeypatch.setattr(holding, "sensor_is_off", lambda _, name: asked.append(name) or True)
    with scene.refreshing():
        assert "acme__dataset_refresh is switched off: switch it on" in waiting(scene, now())
    assert asked == ["acme__dataset_refresh"]


def test_a_run_by_hand_does_not_use_up_the_one_that_waits(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    from cdp_exports.assets.run import run_in_process

    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    with scene.refreshing(3):
        waiting(scene, tick - timedelta(minutes=2))
        by_hand = run_in_process(scene.catalog, stored_instance, "out")
        assert any("is being refreshed" in warning for warning in by_hand.outcomes[0].warnings), "it does not wait, it warns"
    (launched,) = scene.tick()
    later = launched.partition("/")[2]
    assert later > str(by_hand.export_time)
    assert scene.delivered("out") == [("orders", str(by_hand.export_time), 2), ("orders", later, 1)]
    assert scene.history("out") == [(key_of(tick - timedelta(minutes=2)), "skipped", "covered_by")]


@pytest.mark.parametrize("choice", ["skip", "last_good"])
def test_the_refresh_failed(tmp_path: Path, stored_instance: dg.DagsterInstance, choice: str) -> None:
    declared = f'datasets: [orders]\nschedule: {{cron: "* * * * *", on_upstream_failure: {choice}}}'
    scene, tick = Scene.create(tmp_path, stored_instance, out=declared), now()
    with scene.refreshing(fails=True):
        waiting(scene, tick - timedelta(minutes=2))
    ran = scene.tick()
    at = scene.schedule("out", tick)
    if choice == "skip":
        assert ran == NOTHING
        assert isinstance(at, str), "the next tick finds it as it was"
        assert "could not be refreshed: orders" in at
        assert [one[1:] for one in scene.history("out")] == [("skipped", "upstream_failed")] * 2
        assert scene.delivered("out") == []
        assert scene.partitions("out") == []
        scene.refresh()
        tick = now()
        scene.ledger.note_time("acme", "out", scene.ledger.mint("acme", "out"))
        assert isinstance(scene.schedule("out", tick), dg.RunRequest), "it recovered"
        assert len(scene.delivered("out")) == 1
    else:
        assert len(ran) == 1
        assert isinstance(at, dg.RunRequest)
        assert len(scene.delivered("out")) == 2
        assert scene.history("out") == []


@pytest.mark.parametrize("choice", ["skip", "last_good"])
def test_the_longest_wait(tmp_path: Path, stored_instance: dg.DagsterInstance, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdp_exports.automation import waiting as module

    declared = f'datasets: [orders]\nschedule: {{cron: "* * * * *", max_wait: 30m, on_upstream_failure: {choice}}}'
    scene, tick = Scene.create(tmp_path, stored_instance, out=declared), now()
    with scene.refreshing():
        waiting(scene, tick)
        assert scene.tick() == NOTHING
        monkeypatch.setattr(module, "span", lambda text: timedelta(0) if text == "30m" else None)
        ran = scene.tick()
    if choice == "skip":
        assert ran == NOTHING
        assert scene.history("out") == [(key_of(tick), "skipped", "upstream_late")]
        assert scene.partitions("out") == []
    else:
        assert ran == [f"out/{key_of(tick)}"]
        assert scene.delivered("out") == [("orders", key_of(tick), 2)]


def test_a_schedule_that_was_removed_while_it_waited(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY, other=MINUTELY), now()
    with scene.refreshing():
        waiting(scene, tick)
        scene.export("out", "datasets: [orders]")
    assert scene.tick() == NOTHING
    scene.export("out", MINUTELY)
    assert scene.history("out") == [(key_of(tick), "skipped", "inactive")]


def test_an_asset_that_is_materialized_while_its_run_goes_on_is_waited_for_no_longer(
    tmp_path: Path, stored_instance: dg.DagsterInstance
) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=MINUTELY)
    with scene.refreshing():
        stored_instance.report_runless_asset_event(dg.AssetMaterialization(WAREHOUSE))
        waiting(scene, now())  # somebody else's event ends no run
    assert len(scene.tick()) == 1


def test_the_span_of_a_cadence_is_what_is_waited() -> None:
    from cdp_exports.automation.waiting import Upstreams, judge

    cadence, began = Cadence(every="3h", max_wait="2h"), datetime(2026, 1, 1, tzinfo=UTC)
    busy = Upstreams(("run",), {})
    assert judge(cadence, busy, since=began, now=began + timedelta(hours=2)) == "wait"
    assert judge(cadence, busy, since=began, now=began + timedelta(hours=2, seconds=1)) == "upstream_late"
    assert judge(cadence, Upstreams((), {}), since=began, now=began) == "run"
    assert judge(cadence, Upstreams((), {"orders": "r"}), since=began, now=began) == "upstream_failed"
