"""Segments as assets `segments/<id>`: who depends on which dataset, and how many members there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, AssetSpec, AutomationCondition, MaterializeResult, MetadataValue, OpDefinition

from cdp_exports.assets.code_version import declaration_hash, with_parts
from cdp_exports.assets.delivering import tag_run
from cdp_exports.assets.export_step import IN, OUT, inputs
from cdp_exports.assets.keys import FAMILIES, FAMILY, SEGMENTS, dataset_key, segment_key, segments_op_name
from cdp_exports.assets.lineage import column_lineage
from cdp_exports.assets.opening import step_context
from cdp_exports.assets.retrying import end_step
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.errors import CdpExportsError
from cdp_exports.segments.members import compile_segment

_TAGS = {FAMILY: FAMILIES["segment"]}

_REFRESHED = (
    (AutomationCondition.any_deps_updated() | AutomationCondition.code_version_changed()).since_last_handled()
    & ~AutomationCondition.any_deps_in_progress()
    & ~AutomationCondition.in_progress()
)
"""When its number may be another one than at the last count."""


def segment_assets(catalog: Catalog) -> list[AssetsDefinition]:
    """All segments of a catalog, counted by one step that reads each dataset once; any part of them may be selected."""
    if not catalog.segments:
        return []
    specs = {segment_id: _segment(catalog, segment_id) for segment_id in catalog.segments}
    upstream = inputs(specs.values())

    def count_segments(dagster: AssetExecutionContext, _: Any) -> Iterator[MaterializeResult[Any]]:
        return _count(dagster, catalog)

    step = OpDefinition(
        count_segments,
        name=segments_op_name(catalog.environment.name),
        ins=dict.fromkeys(upstream, IN),
        outs=dict.fromkeys(specs, OUT),
    )
    counted = AssetsDefinition(
        node_def=step,
        keys_by_input_name=upstream,
        keys_by_output_name={segment_id: spec.key for segment_id, spec in specs.items()},
        specs=list(specs.values()),
        can_subset=True,
    )
    return [counted]


def _segment(catalog: Catalog, segment_id: str) -> AssetSpec:
    segment = catalog.segments[segment_id]
    compiled = compile_segment(segment_id, catalog.segments, catalog.datasets)
    return AssetSpec(
        segment_key(segment_id),
        deps=[dataset_key(catalog, dataset_id) for dataset_id in compiled.datasets],
        group_name=SEGMENTS,
        kinds={"segment"},
        tags={**_TAGS, "cdp/segment": segment_id},
        owners=segment.owners,
        description=segment.description,
        skippable=True,
        automation_condition=_REFRESHED,
        code_version=declaration_hash(
            [*with_parts(catalog, segment_id), *(catalog.datasets[dataset_id] for dataset_id in compiled.datasets)]
        ),
    )


def _count(dagster: AssetExecutionContext, catalog: Catalog) -> Iterator[MaterializeResult[Any]]:
    from cdp_exports.delivery.counting import count_members

    tag_run(dagster, _TAGS)
    selected = [segment_id for segment_id in catalog.segments if segment_key(segment_id) in dagster.selected_asset_keys]
    try:
        counts = count_members(step_context(catalog, dagster.instance, {}), selected)
    except CdpExportsError as error:
        end_step(dagster, [error])
    for segment_id in selected:
        count = counts[segment_id]
        compiled = compile_segment(segment_id, catalog.segments, catalog.datasets)
        yield MaterializeResult(
            asset_key=segment_key(segment_id),
            metadata={
                "cdp/members": count.members,
                "dagster/row_count": count.members,
                "cdp/versions": MetadataValue.json(dict(count.versions)),
                "dagster/column_lineage": column_lineage(catalog, compiled),
                "cdp/environment": catalog.environment.name,
            },
        )
