"""What a tick asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DefaultScheduleStatus,
    RunRequest,
    ScheduleDefinition,
    SkipReason,
    build_schedule_context,
)

from cdp_exports.assets.ledger import open_ledger
from cdp_exports.automation.implicit_job import IMPLICIT_ASSET_JOB
from cdp_exports.automation.schedules import export_schedules
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.assets.declared import catalog_at
from cdp_exports_tests.assets.people import VIP, VIP_BUYERS, declare

EVERY_3H = Cadence(every="3h", start="2026-01-01T02:00Z", end="2026-01-02T23:00Z")
TICK = datetime(2026, 1, 1, 5, tzinfo=UTC)


def the_schedule(catalog: Catalog) -> ScheduleDefinition:
    (schedule,) = export_schedules(catalog)
    return schedule


def tick(catalog: Catalog, instance: DagsterInstance, at: datetime) -> RunRequest | SkipReason:
    repository = build_definitions(catalog).get_repository_def()
    with build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=repository) as context:
        data = the_schedule(catalog).evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else SkipReason(data.skip_message)


def times(instance: DagsterInstance) -> list[str]:
    return list(instance.get_dynamic_partitions("acme/both"))


def test_the_implicit_job_still_has_this_name(tmp_path: Path) -> None:
    job = build_definitions(catalog_at(tmp_path)).resolve_implicit_global_asset_job_def()
    assert job.name == IMPLICIT_ASSET_JOB


def test_a_schedule_is_named_and_switched_by_its_export(tmp_path: Path) -> None:
    schedule = the_schedule(catalog_at(tmp_path, schedule=EVERY_3H))
    assert schedule.name == "acme_both"
    assert schedule.cron_schedule == "0 2,5,8,11,14,17,20,23 * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status == DefaultScheduleStatus.RUNNING
    assert the_schedule(catalog_at(tmp_path, schedule=EVERY_3H, active=False)).default_status == DefaultScheduleStatus.STOPPED
    assert export_schedules(catalog_at(tmp_path)) == []


def test_a_tick_asks_for_its_own_minute(tmp_path: Path, stored_instance: DagsterInstance) -> None:
    request = tick(catalog_at(tmp_path, schedule=EVERY_3H), stored_instance, TICK)
    assert isinstance(request, RunRequest)
    assert request.partition_key == "202601010500"
    assert request.job_name is None or request.job_name == IMPLICIT_ASSET_JOB
    assert set(request.asset_selection or ()) == {AssetKey(["dataset_exports", "both", member]) for member in ("orders", "events")}
    assert (request.tags["cdp/family"], request.tags["cdp/export"]) == ("dataset", "both")
    assert times(stored_instance) == ["202601010500"]


def test_a_tick_of_a_segment_export_asks_for_its_segments(tmp_path: Path, stored_instance: DagsterInstance) -> None:
    declare(tmp_path)
    catalog = load(tmp_path / "catalog")
    schedules = {schedule.name: schedule for schedule in export_schedules(catalog)}
    with build_schedule_context(
        instance=stored_instance, scheduled_execution_time=TICK, repository_def=build_definitions(catalog).get_repository_def()
    ) as context:
        (request,) = schedules["acme_vip_to_crm"].evaluate_tick(context).run_requests or []
    assert set(request.asset_selection or ()) == {VIP, VIP_BUYERS}
    assert (request.tags["cdp/family"], request.tags["cdp/export"]) == ("profile", "vip_to_crm")
    assert list(stored_instance.get_dynamic_partitions("acme/vip_to_crm")) == ["202601010500"]


def test_a_tick_evaluated_again_after_a_crash_asks_for_the_same_minute(tmp_path: Path, stored_instance: DagsterInstance) -> None:
    catalog = catalog_at(tmp_path, schedule=EVERY_3H)
    requests = [tick(catalog, stored_instance, TICK) for _ in range(2)]
    assert [request.partition_key for request in requests if isinstance(request, RunRequest)] == ["202601010500"] * 2
    assert times(stored_instance) == ["202601010500"]


def test_a_tick_that_is_not_the_newest_gets_a_new_minute(tmp_path: Path, stored_instance: DagsterInstance) -> None:
    catalog = catalog_at(tmp_path, schedule=EVERY_3H)
    ledger = open_ledger(catalog.environment, stored_instance)
    ledger.note_time("acme", "both", ExportTime(TICK + timedelta(hours=1)))
    before = ExportTime(ledger.now())
    request = tick(catalog, stored_instance, TICK)
    assert isinstance(request, RunRequest)
    assert request.run_key == "202601010500"
    assert before <= ExportTime.parse(request.partition_key or "") <= ExportTime(ledger.now())


def test_a_tick_ahead_of_the_ledgers_clock_is_named_by_that_clock(tmp_path: Path, stored_instance: DagsterInstance) -> None:
    catalog = catalog_at(tmp_path, schedule=Cadence(every="3h"))
    ledger = open_ledger(catalog.environment, stored_instance)
    request = tick(catalog, stored_instance, ledger.now() + timedelta(minutes=2))
    assert isinstance(request, RunRequest)
    assert ExportTime.parse(request.partition_key or "") <= ExportTime(ledger.now())


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (datetime(2026, 1, 1, 1, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 1, 2, 0, tzinfo=UTC), True),
        (datetime(2026, 1, 2, 23, 0, tzinfo=UTC), True),
        (datetime(2026, 1, 2, 23, 1, tzinfo=UTC), False),
    ],
)
def test_start_and_end_are_both_inside(tmp_path: Path, stored_instance: DagsterInstance, at: datetime, inside: bool) -> None:
    asked = tick(catalog_at(tmp_path, schedule=EVERY_3H), stored_instance, at)
    assert isinstance(asked, RunRequest) is inside
    assert bool(times(stored_instance)) is inside
    if isinstance(asked, SkipReason):
        assert "outside this schedule's start and end" in (asked.skip_message or "")
