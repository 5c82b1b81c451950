"""An export as assets: one export is one step, one member one asset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    In,
    MaterializeResult,
    Nothing,
    OpDefinition,
    Out,
)
from pydantic import BaseModel

from cdp_exports.assets.code_version import declaration_hash
from cdp_exports.assets.delivering import DeliveryConfig, Watcher, run_export
from cdp_exports.assets.events import DELIVERED, DELIVERED_MEANS, Describe
from cdp_exports.assets.keys import GROUPS, export_key, op_name, pool_name, resource_key, run_tags
from cdp_exports.assets.partitions import export_times
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.capabilities import capabilities_of

CONFIG = DeliveryConfig.to_config_schema()
IN = In(Nothing)
OUT = Out(Nothing, is_required=False)


def export_assets(
    catalog: Catalog,
    export_id: str,
    members: Mapping[str, AssetSpec],
    reads: Callable[[str], Sequence[str]],
    describe: Describe,
    watcher: Watcher,
) -> AssetsDefinition:
    """The assets of an export, delivered by one step; any part of them may be selected. `members`: a spec each; `reads`: the
    datasets that a member reads.

    What `@multi_asset` would make, put together by hand: the decorator examines its function anew for every export,
    which takes four times as long and is felt in a catalog of a thousand.
    """
    environment, connection = catalog.environment.name, catalog.exports[export_id].connection
    checks = {
        f"{member}_{DELIVERED}": AssetCheckSpec(DELIVERED, asset=spec.key, description=DELIVERED_MEANS) for member, spec in members.items()
    }
    upstream = inputs(members.values())

    def deliver_export(dagster: AssetExecutionContext, _: Any) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
        return run_export(dagster, catalog, export_id, reads, describe, watcher)

    step = OpDefinition(
        deliver_export,
        name=op_name(environment, export_id),
        ins=dict.fromkeys(upstream, IN),
        outs=dict.fromkeys([*members, *checks], OUT),
        config_schema=CONFIG,
        required_resource_keys={resource_key(connection)},
        pool=pool_name(environment, connection),
    )
    return AssetsDefinition(
        node_def=step,
        keys_by_input_name=upstream,
        keys_by_output_name={member: spec.key for member, spec in members.items()},
        check_specs_by_output_name=checks,
        specs=list(members.values()),
        can_subset=True,  # no backfill policy: a run for each partition. With one, even of one a run, Dagster names it no partition
    )


def inputs(specs: Iterable[AssetSpec]) -> dict[str, AssetKey]:
    """What a step reads, by the names of its inputs."""
    keys = sorted({dep.asset_key for spec in specs for dep in spec.deps})
    return {f"upstream_{index}": key for index, key in enumerate(keys)}


def member_spec(
    catalog: Catalog,
    export_id: str,
    member: str,
    *,
    deps: Sequence[AssetKey],
    declared: Iterable[BaseModel],
    description: str | None,
    metadata: Mapping[str, str],
) -> AssetSpec:
    """The asset of one member. `declared`: what else decides what it delivers, beside the export and its connection."""
    export = catalog.exports[export_id]
    connection = catalog.connections[export.connection]
    to_audience = capabilities_of(connection.type).members is not None
    return AssetSpec(
        export_key(export.kind, export_id, member),
        deps=deps,
        group_name=GROUPS[export.kind],
        kinds={connection.type, *(() if to_audience else (export.format.type,))},
        tags={**run_tags(catalog, export_id), "cdp/connection_type": connection.type},
        owners=export.owners,
        description=export.description or description,
        skippable=True,
        partitions_def=export_times(catalog.environment.name, export_id),
        code_version=declaration_hash([export, connection, *declared]),
        metadata={
            **({} if to_audience else {"cdp/path": export.path}),
            "cdp/mode": export.mode,
            **metadata,
            **({} if to_audience else {"cdp/format": f"{export.format.type}, {export.format.compression}"}),
            "cdp/partition": "The export time: a UTC minute that has begun, YYYYMMDDHHMM.",
            # Dagster's page of an asset names no schedule of the implicit job
            **({"cdp/schedule": op_name(catalog.environment.name, export_id)} if export.schedule else {}),
        },
    )
