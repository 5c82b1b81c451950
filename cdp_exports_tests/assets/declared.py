"""Catalogs for tests, declared in Python."""

from __future__ import annotations

from pathlib import Path

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.dataset import Dataset, DeltaSource
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.entities.secret import Secret


def catalog_at(root: Path, *, schedule: Cadence | None = None, active: bool = True, ledger: Secret | None = None) -> Catalog:
    """`both` delivers `orders` and `events` to a local folder, `cloud` delivers `orders` to S3."""
    return Catalog(
        root=root,
        environment=Environment(name="acme", ledger=ledger),
        connections={
            "outbox": LocalConnection(type="local", folder="outbox"),
            "lake": S3Connection(
                type="s3",
                bucket="acme",
                region="eu-west-3",
                access_key_id=Secret(env="LAKE_KEY"),
                secret_access_key=Secret(env="LAKE_SECRET"),
            ),
        },
        datasets={
            "orders": Dataset(source=DeltaSource(format="delta", uri="data/orders"), key=("order_id",), owners=("team:sales",)),
            "events": Dataset(source=DeltaSource(format="delta", uri="data/events"), asset_key=("shop", "events")),
        },
        segments={},
        exports={
            "both": DatasetExport(
                kind="dataset", connection="outbox", datasets=("orders", "events"), schedule=schedule, active=active, owners=("team:crm",)
            ),
            "cloud": DatasetExport(kind="dataset", connection="lake", datasets=("orders",)),
        },
    )
