"""Dataset exports as assets: one export is one step, one member one asset."""

# Without `from __future__ import annotations`: Dagster reads the annotation of `context` as an object.
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    multi_asset,
)

from cdp_exports.assets.delivering import CONFIG, Watcher, run_export
from cdp_exports.assets.events import DELIVERED
from cdp_exports.assets.keys import DATASET_EXPORTS, dataset_export_key, dataset_key, op_name, pool_name, resource_key
from cdp_exports.assets.partitions import export_times
from cdp_exports.catalog.catalog import Catalog

_ONE_RUN_A_TIME = BackfillPolicy.multi_run(max_partitions_per_run=1)
_NOBODY = Watcher()


def dataset_export_assets(catalog: Catalog, export_id: str, watcher: Watcher = _NOBODY) -> AssetsDefinition:
    """The assets `dataset_exports/<export>/<dataset>`, delivered by one step; any part of them may be selected."""
    export = catalog.exports[export_id]
    environment = catalog.environment.name
    specs = [_member(catalog, export_id, member) for member in export.members]

    @multi_asset(
        name=op_name(environment, export_id),
        specs=specs,
        check_specs=[AssetCheckSpec(DELIVERED, asset=spec.key) for spec in specs],
        can_subset=True,
        partitions_def=export_times(environment, export_id),
        backfill_policy=_ONE_RUN_A_TIME,
        pool=pool_name(environment, export.connection),
        config_schema=CONFIG,
        required_resource_keys={resource_key(export.connection)},
    )
    def deliver_export(context: AssetExecutionContext) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
        yield from run_export(context, catalog, export_id, watcher)

    return deliver_export


def _member(catalog: Catalog, export_id: str, member: str) -> AssetSpec:
    export = catalog.exports[export_id]
    connection = catalog.connections[export.connection]
    dataset = catalog.datasets[member]
    return AssetSpec(
        dataset_export_key(export_id, member),
        deps=[dataset_key(catalog, member)],
        group_name=DATASET_EXPORTS,
        kinds={export.format.type, connection.type},
        tags={"cdp/export": export_id, "cdp/connection": export.connection, "cdp/connection_type": connection.type},
        owners=export.owners,
        description=export.description or dataset.description,
        skippable=True,
        code_version=_declaration_hash(catalog, export_id, member),
        metadata={
            "cdp/connection": export.connection,
            "cdp/path": export.path,
            "cdp/mode": export.mode,
            "cdp/changes": export.changes,
            "cdp/format": export.format.type,
            "cdp/compression": export.format.compression,
            "cdp/environment": catalog.environment.name,
        },
    )


def _declaration_hash(catalog: Catalog, export_id: str, member: str) -> str:
    """Changes whenever what is declared of this delivery changes; secrets are in it by name only."""
    export = catalog.exports[export_id]
    parts = (export, catalog.connections[export.connection], catalog.datasets[member])
    declared = [part.model_dump(mode="json") for part in parts]
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:12]
