"""Schedules evaluated by Dagster's own scheduler, code server and all, while the clock is moved: nothing is mocked but the time."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._scheduler.scheduler import launch_scheduled_runs

from cdp_exports.automation.switches import schedules_on, switch
from cdp_exports.catalog.load import load

EXPORT = "kind: dataset\nconnection: outbox\ndatasets: [orders]\npath: {id}/{{export_time}}\nschedule: {cadence}\n"
CADENCES = {
    "paris": '{daily_at: ["01:30", "02:30"]}',
    "new_york": '{daily_at: "01:30", time_zone: America/New_York}',
    "sydney": '{weekly_on: [sunday], at: "02:30", time_zone: Australia/Sydney}',
    "monthly": '{monthly_on: [30, last], at: "02:30"}',
    "counted": "{every: 6h}",
    "ending": '{daily_at: "12:00", time_zone: UTC, start: 2025-03-30T12:00Z, end: 2025-03-31T12:00Z}',
}


class Clock:
    """A daemon's scheduler whose clock is moved in steps of half an hour."""

    def __init__(self, context: WorkspaceProcessContext) -> None:
        self.context = context
        self.instance = context.instance
        self._known: dict[str, Any] = {}

    def run(self, start: str, end: str) -> None:
        now = _at(start)
        while now <= _at(end):
            errors = [error for error in launch_scheduled_runs(self.context, logging.getLogger("clock"), now, self._known) if error]
            assert errors == []
            now += timedelta(minutes=30)

    def ticks(self, export: str) -> list[InstigatorTick]:
        """Oldest first."""
        states = [state for state in self.instance.all_instigator_state() if state.instigator_name == f"acme_{export}"]
        return [tick for state in states for tick in reversed(self.instance.get_ticks(state.instigator_origin_id, state.selector_id))]

    def times(self, export: str, day: str = "") -> list[str]:
        """The moments of its ticks that asked for a run, UTC."""
        asked = [tick for tick in self.ticks(export) if tick.status == TickStatus.SUCCESS]
        found = [f"{datetime.fromtimestamp(tick.timestamp, UTC):%m-%d %H:%M}" for tick in asked]
        return [moment.removeprefix(day).strip() for moment in found if moment.startswith(day)]

    def partitions(self, export: str) -> list[str]:
        return sorted(self.instance.get_dynamic_partitions(f"acme/{export}"))

    def reload(self) -> None:
        self.context.reload_code_location("exports")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def declare(root: Path, export: str, cadence: str) -> None:
    (root / "catalog" / "exports" / f"{export}.yaml").write_text(EXPORT.format(id=export, cadence=cadence))


@pytest.fixture
def clock(tmp_path: Path, home: Path, stored_instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    catalog = tmp_path / "catalog"
    for file, text in {
        "environment.yaml": "name: acme\ntime_zone: Europe/Paris\n",
        "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [id]\n",
        "connections/outbox.yaml": "type: local\nfolder: outbox\n",
    }.items():
        (catalog / file).parent.mkdir(parents=True, exist_ok=True)
        (catalog / file).write_text(text)
    (catalog / "exports").mkdir()
    for export, cadence in CADENCES.items():
        declare(tmp_path, export, cadence)
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from:\n  - python_module: {module_name: cdp_exports.definitions, location_name: exports}\n")
    monkeypatch.setenv("CDP_EXPORTS_CATALOG", str(catalog))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with create_test_daemon_workspace_context(WorkspaceFileTarget([str(workspace)]), stored_instance) as context:
        made = Clock(context)
        yield made
    del made.context, context
    with warnings.catch_warnings(action="ignore"):  # Dagster leaves its code server to end by itself, and Python says so
        gc.collect()


def test_no_run_is_missed_or_doubled_when_clocks_are_moved(clock: Clock) -> None:
    clock.run("2025-03-29T20:00", "2025-03-31T12:30")
    assert clock.times("paris") == ["03-30 00:30", "03-30 01:00", "03-30 23:30", "03-31 00:30"], "02:30 is skipped: right after the jump"
    assert clock.times("monthly") == ["03-30 01:00", "03-31 00:30"]
    assert clock.times("counted", "03-30") == ["00:00", "06:00", "12:00", "18:00"]
    assert clock.times("ending") == ["03-30 12:00", "03-31 12:00"], "start and end are inclusive"

    clock.run("2025-04-01T11:30", "2025-04-01T12:30")
    (skipped,) = (tick for tick in clock.ticks("ending") if tick.status == TickStatus.SKIPPED)
    assert datetime.fromtimestamp(skipped.timestamp, UTC) == _at("2025-04-01T12:00")
    assert "outside this schedule's start and end" in str(skipped.skip_reason)
    assert clock.partitions("ending") == ["202503301200", "202503311200"]

    clock.run("2025-04-05T13:00", "2025-04-05T18:00")
    assert clock.times("sydney", "04-05") == ["16:30"], "02:30 comes twice on the 6th: the second"
    clock.run("2025-10-04T13:00", "2025-10-04T18:00")
    assert clock.times("sydney", "10-04") == ["16:00"], "02:30 is skipped on the 5th"

    clock.run("2025-10-25T21:00", "2025-10-27T02:00")
    assert clock.times("paris", "10-2")[-4:] == ["5 23:30", "6 01:30", "7 00:30", "7 01:30"], "02:30 comes twice: the second"
    assert clock.times("counted", "10-26") == ["00:00", "06:00", "12:00", "18:00"]
    clock.run("2025-11-02T04:00", "2025-11-02T08:00")
    assert clock.times("new_york", "11-02") == ["06:30"], "01:30 comes twice: the second"

    for export in CADENCES:
        assert len(clock.partitions(export)) == len(clock.times(export)), "an export time for each tick that asked, none twice"


def test_a_changed_cadence_keeps_its_history_and_touches_no_other(clock: Clock, tmp_path: Path) -> None:
    clock.run("2025-06-10T22:00", "2025-06-11T07:00")
    before = {export: [tick.tick_id for tick in clock.ticks(export)] for export in CADENCES}
    assert clock.times("paris") == ["06-10 23:30", "06-11 00:30"]
    assert clock.times("counted") == ["06-11 00:00", "06-11 06:00"]

    declare(tmp_path, "paris", "{every: 3h}")
    clock.reload()
    clock.run("2025-06-11T07:30", "2025-06-11T13:00")
    assert clock.times("paris") == ["06-10 23:30", "06-11 00:30", "06-11 09:00", "06-11 12:00"], "nor are times before the change made up"
    assert [tick.tick_id for tick in clock.ticks("paris")][: len(before["paris"])] == before["paris"]
    assert clock.partitions("paris") == ["202506102330", "202506110030", "202506110900", "202506111200"]
    assert clock.times("counted") == ["06-11 00:00", "06-11 06:00", "06-11 12:00"]
    assert {export: [tick.tick_id for tick in clock.ticks(export)] for export in ("sydney", "monthly")} == {
        export: before[export] for export in ("sydney", "monthly")
    }

    catalog = load(tmp_path / "catalog")
    assert switch(catalog, clock.instance, ["paris", "counted"], [], on=False) == ["paris", "counted"]
    clock.run("2025-06-11T13:30", "2025-06-11T19:00")
    assert len(clock.times("paris")) == 4
    assert schedules_on(catalog, clock.instance) == {export: export not in ("paris", "counted") for export in sorted(CADENCES)}
    assert switch(catalog, clock.instance, ["paris", "monthly"], [], on=True) == ["paris"]
    (state,) = (state for state in clock.instance.all_instigator_state() if state.instigator_name == "acme_paris")
    assert state.status.value == "RUNNING"
    assert len(clock.times("counted")) == 3


def test_a_schedule_that_dagster_has_never_seen_is_switched(clock: Clock, tmp_path: Path) -> None:
    """Before a daemon ran: workspace.yaml says where the schedules are, and the daemon then finds them as they were switched."""
    catalog = load(tmp_path / "catalog")
    assert switch(catalog, clock.instance, ["counted", "monthly"], [tmp_path], on=False) == ["counted", "monthly"]
    clock.run("2025-06-10T22:00", "2025-06-11T01:00")
    assert clock.times("counted") == []
    assert clock.times("paris") == ["06-10 23:30", "06-11 00:30"]
    with freeze_time(_at("2025-06-11T13:10")):
        assert switch(catalog, clock.instance, ["counted"], [], on=True) == ["counted"]
    clock.run("2025-06-11T13:30", "2025-06-11T18:30")
    assert clock.times("counted") == ["06-11 18:00"], "06:00 and 12:00, which it missed while it was off, are not made up for"
