"""An export of either kind as assets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from dagster import AssetsDefinition

from cdp_exports.assets.dataset_exports import dataset_export_assets, read_by_dataset_export
from cdp_exports.assets.delivering import Watcher
from cdp_exports.assets.profile_exports import profile_export_assets, read_by_profile_export
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export import DatasetExport

_NOBODY = Watcher()


def assets_of(catalog: Catalog, export_id: str, watcher: Watcher = _NOBODY) -> AssetsDefinition:
    """The assets of one export, one a member."""
    export = catalog.exports[export_id]
    if isinstance(export, DatasetExport):
        return dataset_export_assets(catalog, export_id, export, watcher)
    return profile_export_assets(catalog, export_id, export, watcher)


def datasets_read(catalog: Catalog, export_id: str, members: Sequence[str]) -> tuple[str, ...]:
    """The datasets that delivering these members reads."""
    export = catalog.exports[export_id]
    if isinstance(export, DatasetExport):
        read = [read_by_dataset_export(catalog, export, member) for member in members]
    else:
        read = [read_by_profile_export(catalog, export, member) for member in members]
    return tuple(dict.fromkeys(chain.from_iterable(read)))
