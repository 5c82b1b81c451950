"""Dataset exports as assets: one export is one step, one member one asset."""

from __future__ import annotations

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
    In,
    MaterializeResult,
    Nothing,
    OpDefinition,
    Out,
)

from cdp_exports.assets.delivering import DeliveryConfig, Watcher, run_export
from cdp_exports.assets.events import DELIVERED, DELIVERED_MEANS
from cdp_exports.assets.keys import DATASET_EXPORTS, dataset_export_key, dataset_key, op_name, pool_name, resource_key
from cdp_exports.assets.partitions import export_times
from cdp_exports.catalog.catalog import Catalog

_ONE_RUN_A_TIME = BackfillPolicy.multi_run(max_partitions_per_run=1)
_CONFIG = DeliveryConfig.to_config_schema()
_IN = In(Nothing)
_OUT = Out(Nothing, is_required=False)
_NOBODY = Watcher()


def dataset_export_assets(catalog: Catalog, export_id: str, watcher: Watcher = _NOBODY) -> AssetsDefinition:
    """The assets `dataset_exports/<export>/<dataset>`, delivered by one step; any part of them may be selected.

    What `@multi_asset` would make, put together by hand: the decorator examines its function anew for every export,
    which takes four times as long and is felt in a catalog of a thousand.
    """
    export = catalog.exports[export_id]
    environment = catalog.environment.name
    specs = {member: _member(catalog, export_id, member) for member in export.members}
    checks = {
        f"{member}_{DELIVERED}": AssetCheckSpec(DELIVERED, asset=spec.key, description=DELIVERED_MEANS) for member, spec in specs.items()
    }
    upstream = {f"dataset_{member}": dataset_key(catalog, member) for member in export.members}

    def deliver_export(dagster: AssetExecutionContext, _: Any) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
        return run_export(dagster, catalog, export_id, watcher)

    step = OpDefinition(
        deliver_export,
        name=op_name(environment, export_id),
        ins=dict.fromkeys(upstream, _IN),
        outs=dict.fromkeys([*specs, *checks], _OUT),
        config_schema=_CONFIG,
        required_resource_keys={resource_key(export.connection)},
        pool=pool_name(environment, export.connection),
    )
    return AssetsDefinition(
        node_def=step,
        keys_by_input_name=upstream,
        keys_by_output_name={member: spec.key for member, spec in specs.items()},
        check_specs_by_output_name=checks,
        specs=list(specs.values()),
        can_subset=True,
        backfill_policy=_ONE_RUN_A_TIME,
    )


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
        partitions_def=export_times(catalog.environment.name, export_id),
        code_version=_declaration_hash(catalog, export_id, member),
        metadata={
            "cdp/path": export.path,
            "cdp/mode": export.mode,
            "cdp/changes": export.changes,
            "cdp/format": f"{export.format.type}, {export.format.compression}",
            "cdp/partition": "The export time: a UTC minute that has begun, YYYYMMDDHHMM.",
            # Dagster's page of an asset names no schedule of the implicit job
            **({"cdp/schedule": op_name(catalog.environment.name, export_id)} if export.schedule else {}),
        },
    )


def _declaration_hash(catalog: Catalog, export_id: str, member: str) -> str:
    """Changes whenever what is declared of this delivery changes; secrets are in it by name only."""
    export = catalog.exports[export_id]
    parts = (export, catalog.connections[export.connection], catalog.datasets[member])
    declared = [part.model_dump(mode="json") for part in parts]
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()[:12]
