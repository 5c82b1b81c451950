"""Connections in Dagster's UI and on its schedule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from cdp_exports.definitions import build_definitions
from cdp_exports_tests.assets.declared import catalog_at
from cdp_exports_tests.assets.instances import instance

__all__ = ["instance"]

OUTBOX, LAKE = dg.AssetKey(["connections", "outbox"]), dg.AssetKey(["connections", "lake"])


def _evaluations(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dict[dg.AssetKey, dg.AssetCheckEvaluation]:
    ended = definitions.resolve_job_def("acme__check_connections").execute_in_process(instance=instance)
    assert ended.success
    return {evaluation.asset_key: evaluation for evaluation in ended.get_asset_check_evaluations()}


def test_one_connection_that_is_not_in_order_keeps_none_from_being_checked(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKE_KEY", raising=False)
    found = _evaluations(build_definitions(catalog_at(tmp_path)), instance)
    assert found[OUTBOX].passed
    assert found[OUTBOX].description == "In order."
    assert not found[LAKE].passed
    assert found[LAKE].severity is dg.AssetCheckSeverity.ERROR
    assert found[LAKE].description == (
        "settings: The environment variable LAKE_KEY is not set. "
        "Set LAKE_KEY where the run executes, or name another variable in the catalog."
    )
    steps = found[OUTBOX].metadata["steps"]
    assert isinstance(steps, dg.TableMetadataValue)
    assert {record.data["status"] for record in steps.records} == {"ok"}
    assert list((tmp_path / "outbox").iterdir()) == []


def test_what_will_not_last_is_a_warning(tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    from cdp_exports.destinations import checking

    clock = checking.Check("clock", "warning", "The destination's clock is 7 minutes behind this machine's.", "Set it.")
    monkeypatch.setattr(checking, "check_connection", lambda *_: [clock])
    evaluation = _evaluations(build_definitions(catalog_at(tmp_path)), instance)[OUTBOX]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.description == "clock: The destination's clock is 7 minutes behind this machine's. Set it."


def test_a_person_checks_one_connection(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """As the button in the UI does."""
    definitions = build_definitions(catalog_at(tmp_path))
    selection = dg.AssetSelection.checks(dg.AssetCheckKey(OUTBOX, "in_order"))
    job = dg.define_asset_job("one", selection)
    ended = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("one").execute_in_process(instance=instance)
    assert [evaluation.asset_key for evaluation in ended.get_asset_check_evaluations()] == [OUTBOX]


def test_the_schedule_is_off_and_in_the_environments_time(tmp_path: Path) -> None:
    catalog = catalog_at(tmp_path)
    catalog = replace(catalog, environment=catalog.environment.model_copy(update={"time_zone": "Europe/Paris"}))
    [schedule] = [one for one in build_definitions(catalog).schedules or () if one.name == "acme__check_connections"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == "Europe/Paris"


def test_a_catalog_without_connections(tmp_path: Path) -> None:
    catalog = replace(catalog_at(tmp_path), connections={}, exports={})
    definitions = build_definitions(catalog)
    assert not [job for job in definitions.jobs or () if job.name == "acme__check_connections"]
