"""What a run tells Dagster."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from dagster import (
    AssetCheckSeverity,
    AssetKey,
    AssetMaterialization,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    ExecuteInProcessResult,
    JobDefinition,
)

from cdp_exports.assets import retrying
from cdp_exports.definitions import build_definitions
from cdp_exports.errors import Occupied, Skip, TransientError
from cdp_exports_tests.assets.declared import catalog_at
from cdp_exports_tests.assets.scripted import Scripted

ORDERS = AssetKey(["dataset_exports", "both", "orders"])
EVENTS = AssetKey(["dataset_exports", "both", "events"])
TIME = "202601010000"

SKIP = Skip("A later export time was delivered already.", next_step="Nothing to do.", reason="covered_by")
OCCUPIED = Occupied("The folder belongs to another export.", next_step="Choose another folder.")
BUSY = TransientError("The store is busy.", next_step="It is tried again.")


@pytest.fixture
def job(tmp_path: Path) -> JobDefinition:
    return build_definitions(catalog_at(tmp_path)).resolve_implicit_global_asset_job_def()


def materialize(
    job: JobDefinition, instance: DagsterInstance, *keys: AssetKey, time: str = TIME, full: bool | None = None
) -> ExecuteInProcessResult:
    instance.add_dynamic_partitions("acme/both", [time])
    config = {"ops": {"acme_both": {"config": {"full": full}}}} if full is not None else None
    return job.execute_in_process(
        instance=instance, partition_key=time, asset_selection=keys or (ORDERS, EVENTS), run_config=config, raise_on_error=False
    )


def checks(result: ExecuteInProcessResult) -> dict[str, tuple[bool, AssetCheckSeverity]]:
    return {event.asset_key.path[-1]: (event.passed, event.severity) for event in result.get_asset_check_evaluations()}


def run_of(result: ExecuteInProcessResult, instance: DagsterInstance) -> DagsterRun:
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def failure(result: ExecuteInProcessResult) -> str:
    (event,) = result.get_step_failure_events()
    data = event.step_failure_data
    assert data.user_failure_data is not None
    return data.user_failure_data.description or ""


def test_a_delivery_materializes_its_partition_with_numbers(job: JobDefinition, instance: DagsterInstance, scripted: Scripted) -> None:
    result = materialize(job, instance)
    assert result.success
    assert scripted.calls[0]["members"] == ["orders", "events"]
    assert checks(result) == {"orders": (True, AssetCheckSeverity.ERROR), "events": (True, AssetCheckSeverity.ERROR)}
    event = instance.get_latest_materialization_event(ORDERS)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == TIME
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    expected = {
        "dagster/partition_row_count": 3,
        "dagster/uri": f"file:///outbox/orders/{TIME}",
        "cdp/manifest": f"file:///outbox/orders/{TIME}/_manifest",
        "cdp/files": 1,
        "cdp/bytes": 99,
        "cdp/rows_inserted": 3,
        "cdp/rows_updated": 0,
        "cdp/rows_deleted": 0,
        "cdp/version_from": 4,
        "cdp/version_to": 5,
        "cdp/change_source": "delta-cdf",
        "cdp/mode": "incremental",
        "cdp/sequence": 2,
        "cdp/sent": True,
        "cdp/environment": "acme",
    }
    assert {name: metadata[name] for name in expected} == expected


def test_one_member_may_be_chosen_and_a_full_asked_for(job: JobDefinition, instance: DagsterInstance, scripted: Scripted) -> None:
    assert materialize(job, instance, EVENTS, full=True).success
    assert [(call["members"], call["full"]) for call in scripted.calls] == [(["events"], True)]


def test_a_skip_is_green_and_says_why(job: JobDefinition, instance: DagsterInstance, scripted: Scripted) -> None:
    scripted.endings = {"orders": [SKIP]}
    result = materialize(job, instance)
    assert result.success
    assert checks(result)["orders"] == (False, AssetCheckSeverity.WARN)
    (check,) = [event for event in result.get_asset_check_evaluations() if event.asset_key == ORDERS]
    assert check.metadata["cdp/reason"].value == "covered_by"
    assert check.metadata["cdp/next_step"].value == "Nothing to do."
    assert instance.get_materialized_partitions(ORDERS) == set()
    assert instance.get_materialized_partitions(EVENTS) == {TIME}
    (observed,) = [event for event in result.all_events if event.event_type == DagsterEventType.ASSET_OBSERVATION]
    assert observed.asset_observation_data.asset_observation.partition == TIME


def test_a_failure_stops_no_other_member_and_is_not_tried_again(job: JobDefinition, instance: DagsterInstance, scripted: Scripted) -> None:
    scripted.endings = {"orders": [OCCUPIED]}
    result = materialize(job, instance)
    assert not result.success
    assert len(scripted.calls) == 1
    assert checks(result) == {"orders": (False, AssetCheckSeverity.ERROR), "events": (True, AssetCheckSeverity.ERROR)}
    assert failure(result) == "failed (permanent): both/orders: The folder belongs to another export. Choose another folder."
    assert instance.get_materialized_partitions(EVENTS) == {TIME}
    assert run_of(result, instance).tags["dagster/retry_on_asset_or_op_failure"] == "false", "nor by another run"
    (check,) = [event for event in result.get_asset_check_evaluations() if event.asset_key == ORDERS]
    assert check.metadata["cdp/permanent"].value is True


def test_what_may_pass_is_tried_again(
    job: JobDefinition, instance: DagsterInstance, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)
    scripted.endings = {"orders": [BUSY, BUSY, None]}
    result = materialize(job, instance)
    assert result.success
    assert len(scripted.calls) == 3
    assert instance.get_materialized_partitions(ORDERS) == {TIME}


def test_trying_again_ends(job: JobDefinition, instance: DagsterInstance, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)
    scripted.endings = {"orders": [BUSY]}
    result = materialize(job, instance)
    assert not result.success
    assert len(scripted.calls) == 1 + retrying.MAX_RETRIES
    assert failure(result) == "failed after 4 tries: both/orders: The store is busy. It is tried again."
    assert run_of(result, instance).tags["dagster/retry_on_asset_or_op_failure"] == "true", "by another run, as run_retries says"
    said = [
        log.user_message for log in instance.all_logs(result.run_id) if log.level == logging.WARNING and "of 4 failed" in log.user_message
    ]
    assert [message.partition(" failed")[0] for message in said] == ["Try 1 of 4", "Try 2 of 4", "Try 3 of 4"]
    (check, *_) = [event for event in result.get_asset_check_evaluations() if event.asset_key == ORDERS]
    assert check.metadata["cdp/permanent"].value is False


def test_waits_grow_from_try_to_try_and_from_run_to_run_and_differ() -> None:
    def between(tries: int, runs: int) -> tuple[float, float]:
        waits = [retrying.wait_seconds(tries, runs) for _ in range(300)]
        assert len(set(waits)) > 200, "runs that failed together do not come back together"
        return min(waits), max(waits)

    for tries, runs, least, most in [(0, 0, 2.5, 7.5), (2, 0, 10, 30), (0, 1, 20, 60), (2, 2, 30, 90)]:
        shortest, longest = between(tries, runs)
        assert least <= shortest < longest <= most
        assert longest - shortest > (most - least) / 2


@pytest.mark.parametrize("after", [1, 2])
def test_who_fails_again_and_again_is_reported(tmp_path: Path, instance: DagsterInstance, scripted: Scripted, after: int) -> None:
    catalog = catalog_at(tmp_path)
    environment = catalog.environment.model_copy(update={"failing_after": after})
    job = build_definitions(replace(catalog, environment=environment)).resolve_implicit_global_asset_job_def()
    scripted.endings, scripted.recorded = {"orders": [OCCUPIED]}, True
    for number, time in enumerate(["202601010000", "202601010000", "202601020000"], start=1):
        result = materialize(job, instance, time=time)
        times = 1 if number < 3 else 2
        assert run_of(result, instance).tags["cdp/failures_in_a_row"] == str(times), "an export time counts once"
        (check,) = [event for event in result.get_asset_check_evaluations() if event.asset_key == ORDERS]
        assert check.metadata["cdp/failures_in_a_row"].value == times
        errors = [log.user_message for log in instance.all_logs(result.run_id) if "in a row" in log.user_message]
        assert bool(errors) == (times >= after)


def test_a_terminal_failure_beside_a_transient_one_is_not_tried_again(
    job: JobDefinition, instance: DagsterInstance, scripted: Scripted
) -> None:
    scripted.endings = {"orders": [BUSY], "events": [OCCUPIED]}
    assert not materialize(job, instance).success
    assert len(scripted.calls) == 1


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("yesterday", "'yesterday' is not an export time. Write the UTC minute as YYYYMMDDHHMM, for example 202612010200."),
        ("202613010000", "'202613010000' is not an export time."),
        ("209901010000", "The export time 209901010000 is in the future"),
    ],
)
@pytest.mark.usefixtures("scripted")
def test_a_typed_key_that_is_no_export_time_delivers_nothing(job: JobDefinition, instance: DagsterInstance, key: str, said: str) -> None:
    result = materialize(job, instance, time=key)
    assert not result.success
    assert said in failure(result)
    assert not result.get_asset_materialization_events()
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.error is not None
    assert event.step_failure_data.error.cause is None


def test_dagsters_newest_delivery_is_remembered(job: JobDefinition, instance: DagsterInstance, scripted: Scripted) -> None:
    materialize(job, instance, ORDERS, time="202601010000")
    materialize(job, instance, ORDERS, time="202601020000")
    instance.report_runless_asset_event(AssetMaterialization(ORDERS, partition="202605050000"))  # by hand, in the UI
    materialize(job, instance, time="202601030000")
    assert scripted.calls[-1]["known"] == {"orders": "202601020000"}


def test_a_run_that_is_stopped_on_request_ends_cancelled(job: JobDefinition, instance: DagsterInstance, scripted: Scripted) -> None:
    def stop() -> None:
        (run,) = instance.get_runs()
        instance.report_run_canceling(run)
        os.kill(os.getpid(), signal.SIGINT)

    scripted.meanwhile = stop
    materialize(job, instance)
    (run,) = instance.get_runs()
    assert run.status == DagsterRunStatus.CANCELED
