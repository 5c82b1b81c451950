"""Segments as assets `segments/<id>`: who depends on which dataset, and how many members there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    AutomationCondition,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    OpDefinition,
)

from cdp_exports.assets.code_version import declaration_hash, with_parts
from cdp_exports.assets.delivering import tag_run
from cdp_exports.assets.export_step import IN, OUT, inputs
from cdp_exports.assets.keys import FAMILIES, FAMILY, SEGMENTS, dataset_key, segment_key, segments_op_name
from cdp_exports.assets.lineage import column_lineage
from cdp_exports.assets.opening import step_context
from cdp_exports.assets.retrying import end_step
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.counting import SegmentCount, count_members
from cdp_exports.delivery.ending import unexpected
from cdp_exports.errors import CdpExportsError, Unexpected
from cdp_exports.segments.members import CompiledSegment, compile_segment

_TAGS = {FAMILY: FAMILIES["segment"]}

_CHANGED = cast("AutomationCondition[Any]", AutomationCondition.any_deps_updated() | AutomationCondition.code_version_changed())
_REFRESHED = _CHANGED.since_last_handled() & ~AutomationCondition.any_deps_in_progress() & ~AutomationCondition.in_progress()
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
    compiled = _compiled(catalog, segment_id)
    return AssetSpec(
        segment_key(segment_id),
        deps=[dataset_key(catalog, dataset_id) for dataset_id in compiled.datasets],
        group_name=SEGMENTS,
        kinds={segment.list.format if segment.list else "sql"},
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
    tag_run(dagster, _TAGS)
    selected = [segment_id for segment_id in catalog.segments if segment_key(segment_id) in dagster.selected_asset_keys]
    failed: list[CdpExportsError] = []
    try:
        context = step_context(catalog, dagster.instance, {})
        for segment_id, count in _counted(context, selected, failed):
            yield MaterializeResult(
                asset_key=segment_key(segment_id), metadata=_numbers(catalog, segment_id, count), data_version=_data_version(count)
            )
    except CdpExportsError as error:
        failed.append(error)
    if failed:
        end_step(dagster, failed)


def _counted(context: Context, selected: Sequence[str], failed: list[CdpExportsError]) -> Iterator[tuple[str, SegmentCount]]:
    """All segments at once; where a dataset fails, those that read the same ones at once, so that the others have their numbers."""
    try:
        yield from count_members(context, selected).items()
    except Exception as fault:  # noqa: BLE001  its own text may hold data
        error = (
            fault if isinstance(fault, CdpExportsError) else Unexpected(unexpected(fault).message, next_step="Report it with this line.")
        )
        together: dict[tuple[str, ...], list[str]] = {}
        for segment_id in selected:
            together.setdefault(_compiled(context.catalog, segment_id).datasets, []).append(segment_id)
        if len(together) == 1:
            failed.append(error)
            return
        for group in together.values():
            yield from _counted(context, group, failed)


def _data_version(count: SegmentCount) -> DataVersion:
    """The same after a count that found the same: its exports are not shown as out of date then."""
    return DataVersion(",".join([*(f"{dataset}:{version}" for dataset, version in sorted(count.versions.items())), str(count.members)]))


def _numbers(catalog: Catalog, segment_id: str, count: SegmentCount) -> dict[str, str | int | MetadataValue[Any]]:
    return {
        "cdp/members": count.members,
        "dagster/row_count": count.members,
        "cdp/versions": MetadataValue.json(dict(count.versions)),
        "dagster/column_lineage": column_lineage(catalog, _compiled(catalog, segment_id)),
        "cdp/environment": catalog.environment.name,
    }


def _compiled(catalog: Catalog, segment_id: str) -> CompiledSegment:
    return compile_segment(segment_id, catalog.segments, catalog.datasets)
