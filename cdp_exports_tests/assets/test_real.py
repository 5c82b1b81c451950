"""Real tables, the real protocol and a real ledger, through Dagster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import deltalake
import polars as pl
import pyarrow as pa
import pytest
from dagster import AssetCheckSeverity, AssetKey, DagsterInstance, ExecuteInProcessResult

from cdp_exports.assets import ledger, retrying
from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports.destinations.local import LocalDestination
from cdp_exports.errors import TransientError

ORDERS = AssetKey(["dataset_exports", "orders_to_outbox", "orders"])
FIRST, SECOND, THIRD = "202601010000", "202601020000", "202601030000"


@dataclass
class Shop:
    """A table, an export of it, and the Dagster that runs it."""

    root: Path
    instance: DagsterInstance

    def append(self, *ids: int) -> None:
        deltalake.write_deltalake(self.root / "data" / "orders", pa.table({"id": list(ids)}), mode="append")

    def deliver(self, export_time: str, *, full: bool = False) -> ExecuteInProcessResult:
        self.instance.add_dynamic_partitions("acme/orders_to_outbox", [export_time])
        job = build_definitions(load(self.root / "catalog")).resolve_implicit_global_asset_job_def()
        config = {"ops": {"acme_orders_to_outbox": {"config": {"full": full}}}}
        return job.execute_in_process(
            instance=self.instance, partition_key=export_time, asset_selection=[ORDERS], run_config=config, raise_on_error=False
        )

    def delivered(self, export_time: str) -> list[int]:
        return pl.read_parquet(self.root / "outbox" / "orders" / f"exportTime={export_time}" / "*.parquet")["id"].sort().to_list()

    def said(self, name: str) -> object:
        event = self.instance.get_latest_materialization_event(ORDERS)
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization.metadata[name].value


@pytest.fixture
def shop(tmp_path: Path, instance: DagsterInstance) -> Shop:
    for name, text in {
        "environment.yaml": "name: acme\n",
        "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [id]\n",
        "connections/outbox.yaml": "type: local\nfolder: outbox\n",
        "exports/orders_to_outbox.yaml": "kind: dataset\nconnection: outbox\ndatasets: [orders]\n",
    }.items():
        path = tmp_path / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    made = Shop(tmp_path, instance)
    made.append(1, 2, 3)
    return made


def failure(result: ExecuteInProcessResult) -> str:
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data is not None
    return event.step_failure_data.user_failure_data.description or ""


def test_a_full_then_an_increment_then_the_same_again(shop: Shop) -> None:
    assert shop.deliver(FIRST).success
    assert (shop.delivered(FIRST), shop.said("cdp/mode"), shop.said("cdp/sequence")) == ([1, 2, 3], "full", 1)
    shop.append(4)
    assert shop.deliver(SECOND).success
    assert (shop.delivered(SECOND), shop.said("cdp/mode"), shop.said("dagster/partition_row_count")) == ([4], "incremental", 1)
    shop.append(5)
    assert shop.deliver(SECOND).success
    assert (shop.delivered(SECOND), shop.said("cdp/sent"), shop.said("cdp/sequence")) == ([4], False, 2)
    assert shop.deliver(THIRD, full=True).success
    assert (shop.delivered(THIRD), shop.said("cdp/mode"), shop.said("cdp/sequence")) == ([1, 2, 3, 4, 5], "full", 1)


def test_an_earlier_export_time_is_skipped(shop: Shop) -> None:
    assert shop.deliver(SECOND).success
    result = shop.deliver(FIRST)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity, check.metadata["cdp/reason"].value) == (False, AssetCheckSeverity.WARN, "covered_by")
    assert shop.instance.get_materialized_partitions(ORDERS) == {SECOND}


def test_a_lost_ledger_is_noticed_by_what_dagster_remembers(shop: Shop) -> None:
    assert shop.deliver(FIRST).success
    (shop.root / "ledger.db").rename(shop.root / "lost.db")
    (shop.root / "outbox").rename(shop.root / "emptied")
    ledger._open.cache_clear()
    result = shop.deliver(SECOND)
    assert not result.success
    assert FIRST in failure(result)
    assert "adopt" in failure(result)
    assert not (shop.root / "outbox" / "orders" / f"exportTime={SECOND}").exists()


@pytest.mark.parametrize("full", [False, True])
def test_a_retry_sends_what_was_pinned(shop: Shop, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    assert shop.deliver(FIRST).success
    shop.append(4)
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)
    opened = LocalDestination.open
    cut = [TransientError("The connection was cut.", next_step="It is tried again.")]

    def open_once_cut(self: LocalDestination, path: str) -> object:
        if cut:
            raise cut.pop()
        return opened(self, path)

    monkeypatch.setattr(LocalDestination, "open", open_once_cut)
    assert shop.deliver(SECOND, full=full).success
    assert shop.delivered(SECOND) == ([1, 2, 3, 4] if full else [4])
    assert shop.said("cdp/attempts") == 2
