"""A catalog with people in it: profiles, their orders, whom nothing may be sent to, three segments and exports of both kinds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import deltalake
import polars as pl
import pyarrow as pa
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult, JobDefinition

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions

CATALOG = {
    "environment.yaml": "name: acme\n",
    "datasets/profiles.yaml": """
        source: {format: delta, uri: data/profiles}
        role: profile
        key: [profile_id]
        columns: {profile_id: bigint, email: varchar, city: varchar, spent: double, opted_in: boolean}
        consent: {marketing: opted_in}
        """,
    "datasets/orders.yaml": """
        source: {format: delta, uri: data/orders}
        role: event
        key: [order_id]
        columns: {order_id: bigint, profile_id: bigint}
        """,
    "datasets/unsubscribed.yaml": """
        source: {format: delta, uri: data/unsubscribed}
        columns: {email: varchar}
        """,
    "segments/vip.yaml": "of: profiles\nwhere: spent > 100\nowners: [team:crm]\ndescription: Who spends much\n",
    "segments/buyers.yaml": "of: profiles\nsql: SELECT profile_id, max(order_id) AS newest FROM orders GROUP BY profile_id\n",
    "segments/vip_buyers.yaml": "all_of: [vip, buyers]\n",
    "connections/crm.yaml": """
        type: local
        folder: crm
        purpose: marketing
        suppress: [{dataset: unsubscribed, column: email, matches: email}]
        """,
    "connections/lake.yaml": "type: local\nfolder: lake\n",
    "exports/vip_to_crm.yaml": """
        kind: segment
        connection: crm
        segments: [vip, vip_buyers]
        fields: [{from: email, to: EMAIL, required: true}, {from: city}]
        limits: {audience: {max: 4}}
        schedule: {every: 3h}
        owners: [team:crm]
        """,
    "exports/orders_to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [orders]\nschedule: {every: 3h}\n",
}
Person = tuple[int, str | None, str, float, bool]
COLUMNS = {"profile_id": pa.int64(), "email": pa.string(), "city": pa.string(), "spent": pa.float64(), "opted_in": pa.bool_()}
PEOPLE: list[Person] = [
    (1, "ada@example.org", "Lyon", 500.0, True),
    (2, "bea@example.org", "Nice", 300.0, True),
    (3, "cleo@example.org", "Lyon", 50.0, True),
    (4, "dan@example.org", "Nice", 900.0, False),  # no consent
    (5, "eve@example.org", "Lyon", 700.0, True),  # unsubscribed
    (6, None, "Lyon", 800.0, True),  # no address
]
VIP = AssetKey(["profile_exports", "vip_to_crm", "vip"])
VIP_BUYERS = AssetKey(["profile_exports", "vip_to_crm", "vip_buyers"])


@dataclass
class People:
    """The catalog's folder, its tables, and the Dagster that runs its exports."""

    root: Path
    instance: DagsterInstance

    @property
    def catalog(self) -> Catalog:
        return load(self.root / "catalog")

    @property
    def job(self) -> JobDefinition:
        return build_definitions(self.catalog).resolve_implicit_global_asset_job_def()

    def deliver(self, export_time: str, *members: AssetKey) -> ExecuteInProcessResult:
        self.instance.add_dynamic_partitions("acme/vip_to_crm", [export_time])
        return self.job.execute_in_process(
            instance=self.instance, partition_key=export_time, asset_selection=members or (VIP,), raise_on_error=False
        )

    def count(self, *segments: str) -> ExecuteInProcessResult:
        keys = [AssetKey(["segments", segment]) for segment in segments]
        return self.job.execute_in_process(instance=self.instance, asset_selection=keys, raise_on_error=False)

    def said(self, key: AssetKey) -> dict[str, object]:
        event = self.instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    def delivered(self, export_time: str) -> pl.DataFrame:
        return pl.read_csv(self.root / "crm" / "vip" / f"exportTime={export_time}" / "*.csv.gz").sort("profile_id")


def declare(root: Path) -> None:
    """The catalog, written."""
    for name, text in CATALOG.items():
        path = root / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()), encoding="utf-8")


def people(root: Path, instance: DagsterInstance) -> People:
    """The catalog and its tables."""
    declare(root)
    write(root, "profiles", profiles(PEOPLE))
    write(root, "orders", pa.table({"order_id": [10, 11, 12], "profile_id": [1, 1, 3]}))
    write(root, "unsubscribed", pa.table({"email": ["eve@example.org"]}))
    return People(root, instance)


def write(root: Path, name: str, rows: pa.Table) -> None:
    """A table as it is from now on."""
    deltalake.write_deltalake(root / "data" / name, rows, mode="overwrite", configuration={"delta.enableChangeDataFeed": "true"})


def profiles(rows: list[Person]) -> pa.Table:
    return pa.table([pa.array(column, type) for column, type in zip(zip(*rows, strict=True), COLUMNS.values(), strict=True)], list(COLUMNS))
