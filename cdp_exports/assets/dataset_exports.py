"""Dataset exports as assets: `dataset_exports/<export>/<dataset>`."""

from __future__ import annotations

from functools import partial

from dagster import AssetsDefinition, AssetSpec

from cdp_exports.assets.delivering import Watcher
from cdp_exports.assets.export_step import export_assets, member_spec
from cdp_exports.assets.keys import dataset_key
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export import DatasetExport
from cdp_exports.ledger.records import Delivery

_NOBODY = Watcher()


def dataset_export_assets(catalog: Catalog, export_id: str, export: DatasetExport, watcher: Watcher = _NOBODY) -> AssetsDefinition:
    """The assets of a dataset export. Each depends on its dataset and, where consent is required, on the connection's lists."""
    members = {member: _member(catalog, export_id, export, member) for member in export.members}
    return export_assets(catalog, export_id, members, partial(read_by_dataset_export, catalog, export), _numbers, watcher)


def _member(catalog: Catalog, export_id: str, export: DatasetExport, member: str) -> AssetSpec:
    dataset = catalog.datasets[member]
    return member_spec(
        catalog,
        export_id,
        member,
        deps=[dataset_key(catalog, dataset_id) for dataset_id in read_by_dataset_export(catalog, export, member)],
        declared=[dataset],
        description=dataset.description,
        metadata={"cdp/changes": export.changes},
    )


def read_by_dataset_export(catalog: Catalog, export: DatasetExport, member: str) -> tuple[str, ...]:
    """The datasets that delivering one reads: itself and, where consent is required, the connection's lists."""
    lists = catalog.connections[export.connection].suppress if export.consent else ()
    return tuple(dict.fromkeys([member, *(listed.dataset for listed in lists)]))


def _numbers(delivery: Delivery) -> dict[str, int]:
    counts = delivery.counts
    if counts is None:
        return {}
    return {
        "cdp/rows_inserted": counts.inserted,
        "cdp/rows_updated": counts.updated,
        "cdp/rows_deleted": counts.deleted,
        "cdp/rows_left_out": sum(counts.left_out.values()),
    }
