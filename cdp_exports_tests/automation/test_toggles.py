"""Toggles as Dagster keeps them. Its instance states are no public API: this fails when they change."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from cdp_exports.automation.switches import schedules_on, switch
from cdp_exports.automation.toggles import on_since, sensor_is_off
from cdp_exports_tests.automation.refreshed import Scene


def origin(name: str, location: str = "here") -> RemoteInstigatorOrigin:
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="m"), location_name=location)
    return RemoteInstigatorOrigin(RemoteRepositoryOrigin(code, "__repository__"), name)


@pytest.mark.parametrize(
    ("states", "off"),
    [([], False), (["STOPPED"], True), (["RUNNING"], False), (["DECLARED_IN_CODE"], False), (["STOPPED", "RUNNING"], False)],
)
def test_a_sensor_is_off_where_somebody_switched_it_off(stored_instance: DagsterInstance, states: list[str], off: bool) -> None:
    for place, state in enumerate(states):
        made = InstigatorState(
            origin("acme__dataset_refresh", str(place)), InstigatorType.SENSOR, InstigatorStatus(state), SensorInstigatorData()
        )
        stored_instance.add_instigator_state(made)
    assert sensor_is_off(stored_instance, "acme__dataset_refresh") is off
    assert not sensor_is_off(stored_instance, "acme__profile_refresh")


def test_since_when_a_schedule_is_on(stored_instance: DagsterInstance) -> None:
    moment = datetime(2026, 1, 1, 2, tzinfo=UTC)
    assert on_since(stored_instance, "acme_out") is None
    data = ScheduleInstigatorData("0 * * * *", moment.timestamp())
    stored_instance.add_instigator_state(InstigatorState(origin("acme_out"), InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data))
    assert on_since(stored_instance, "acme_out") == moment
    assert on_since(stored_instance, "acme_other") is None


def test_schedules_that_are_all_off_are_found_by_the_sensor_that_every_daemon_starts(
    tmp_path: Path, stored_instance: DagsterInstance
) -> None:
    catalog = Scene.create(tmp_path, stored_instance, out="datasets: [orders]\nschedule: {every: 3h}\nactive: false").catalog
    seen = InstigatorState(origin("acme__crashed_runs"), InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData())
    stored_instance.add_instigator_state(seen)
    assert switch(catalog, stored_instance, ["out"], [], on=True) == ["out"]
    assert schedules_on(catalog, stored_instance) == {"out": True}
