"""An export run in this process, as the command line does."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRunStatus, EventLogEntry

from cdp_exports.assets.run import run_in_process
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, Occupied, TransientError
from cdp_exports_tests.assets.declared import catalog_at
from cdp_exports_tests.assets.scripted import Scripted

ORDERS = AssetKey(["dataset_exports", "both", "orders"])
OCCUPIED = Occupied("The folder belongs to another export.", next_step="Choose another folder.")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return catalog_at(tmp_path)


def test_it_is_a_run_like_any_other_and_quiet(
    catalog: Catalog, stored_instance: DagsterInstance, scripted: Scripted, capfd: pytest.CaptureFixture[str]
) -> None:
    progress: list[tuple[str, str, int, int | None]] = []
    ended = run_in_process(catalog, stored_instance, "both", progress=lambda *args: progress.append(args))
    assert [(outcome.member, outcome.status) for outcome in ended.outcomes] == [("orders", "committed"), ("events", "committed")]
    assert ended.error is None
    assert not ended.cancelled
    assert ("orders", "writing", 3, 3) in progress
    run = stored_instance.get_run_by_id(ended.run_id)
    assert run is not None
    assert (run.job_name, run.status, run.tags["cdp/export"]) == ("__ASSET_JOB", DagsterRunStatus.SUCCESS, "both")
    assert run.tags["dagster/partition"] == str(ended.export_time)
    assert stored_instance.get_dynamic_partitions("acme/both") == [str(ended.export_time)]
    assert stored_instance.get_materialized_partitions(ORDERS) == {str(ended.export_time)}
    assert capfd.readouterr() == ("", "")


def test_time_members_and_full_are_passed_on(catalog: Catalog, instance: DagsterInstance, scripted: Scripted) -> None:
    ended = run_in_process(catalog, instance, "both", export_time=ExportTime.parse("202601010000"), members=["events"], full=True)
    assert [outcome.member for outcome in ended.outcomes] == ["events"]
    (call,) = scripted.calls
    assert (call["time"], call["members"], call["full"]) == ("202601010000", ["events"], True)


def test_a_failure_is_handed_back_without_noise(
    catalog: Catalog, instance: DagsterInstance, scripted: Scripted, capfd: pytest.CaptureFixture[str]
) -> None:
    scripted.endings = {"orders": [OCCUPIED]}
    ended = run_in_process(catalog, instance, "both")
    assert [(outcome.member, outcome.status) for outcome in ended.outcomes] == [("orders", "failed"), ("events", "committed")]
    assert ended.error is None
    assert capfd.readouterr() == ("", "")
    run = instance.get_run_by_id(ended.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.FAILURE


@pytest.mark.usefixtures("scripted")
def test_mistakes_are_refused_before_anything_runs(catalog: Catalog, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKE_KEY", raising=False)
    tomorrow = ExportTime(datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(DeclarationError, match=r"no export 'bot' \(did you mean 'both'\?\)"):
        run_in_process(catalog, instance, "bot")
    with pytest.raises(DeclarationError, match=r"no member 'order' \(did you mean 'orders'\?\)"):
        run_in_process(catalog, instance, "both", members=["order"])
    with pytest.raises(DeclarationError, match="is in the future"):
        run_in_process(catalog, instance, "both", export_time=tomorrow)
    with pytest.raises(DeclarationError, match="LAKE_KEY is not set"):
        run_in_process(catalog, instance, "cloud")
    assert instance.get_runs() == []
    assert instance.get_dynamic_partitions("acme/both") == []


def test_an_interrupt_cancels_the_run(
    catalog: Catalog, instance: DagsterInstance, scripted: Scripted, capfd: pytest.CaptureFixture[str]
) -> None:
    scripted.meanwhile = lambda: os.kill(os.getpid(), signal.SIGINT)
    ended = run_in_process(catalog, instance, "both")
    assert ended.cancelled
    assert ended.outcomes == ()
    run = instance.get_run_by_id(ended.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.CANCELED
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("scripted")
def test_an_interrupt_while_dagster_records_cancels_the_run(
    catalog: Catalog, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = instance.event_log_storage.store_event

    def interrupted_store(event: EventLogEntry) -> None:
        store(event)
        if event.dagster_event is not None and event.dagster_event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(instance.event_log_storage, "store_event", interrupted_store)
    ended = run_in_process(catalog, instance, "both")
    assert (ended.cancelled, ended.error) == (True, None)
    assert [outcome.member for outcome in ended.outcomes] == ["orders"]
    run = instance.get_run_by_id(ended.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.CANCELED


def test_an_interrupt_ends_the_wait_before_a_retry(catalog: Catalog, instance: DagsterInstance, scripted: Scripted) -> None:
    scripted.endings = {"events": [TransientError("The store is busy.", next_step="It is tried again.")]}
    scripted.meanwhile = lambda: threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    ended = run_in_process(catalog, instance, "both", members=["events"])
    assert ended.cancelled
    assert len(scripted.calls) == 1


def test_a_fault_of_our_own_is_one_sentence(catalog: Catalog, instance: DagsterInstance, scripted: Scripted) -> None:
    def fall_over() -> None:
        raise RuntimeError("a fault of ours")

    scripted.meanwhile = fall_over
    ended = run_in_process(catalog, instance, "both")
    assert ended.error is not None
    assert ended.run_id in ended.error.next_step
    assert "\n" not in str(ended.error)
