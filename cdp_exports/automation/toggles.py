"""What the instance knows of toggles, by name."""

from __future__ import annotations

from datetime import UTC, datetime

from dagster import DagsterInstance


def sensor_is_off(instance: DagsterInstance, name: str) -> bool:
    """Whether somebody switched a sensor off that is on by default, in every code location that has one of this name."""
    states = [state.status.value for state in instance.all_instigator_state() if state.instigator_name == name]
    return "STOPPED" in states and "RUNNING" not in states


def on_since(instance: DagsterInstance, schedule: str) -> datetime | None:
    """When a schedule was switched on, or first seen on by the daemon where its declaration switches it on."""
    moments = [
        moment
        for state in instance.all_instigator_state()
        if state.instigator_type.value == "SCHEDULE" and state.instigator_name == schedule
        if (moment := getattr(state.instigator_data, "start_timestamp", None)) is not None
    ]
    return datetime.fromtimestamp(max(moments), UTC) if moments else None
