"""Profile exports as assets: `profile_exports/<export>/<segment>`."""

from __future__ import annotations

from functools import partial
from typing import Any

from dagster import AssetsDefinition, AssetSpec, MetadataValue

from cdp_exports.assets import keys
from cdp_exports.assets.code_version import with_parts
from cdp_exports.assets.delivering import Watcher
from cdp_exports.assets.export_step import export_assets, member_spec
from cdp_exports.assets.funnel import funnel_metadata
from cdp_exports.assets.lineage import column_lineage, table_schema
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.pinned_audience import pinned_audience
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.export import SegmentExport
from cdp_exports.ledger.records import Delivery
from cdp_exports.segments.members import compile_segment

_NOBODY = Watcher()


def profile_export_assets(catalog: Catalog, export_id: str, export: SegmentExport, watcher: Watcher = _NOBODY) -> AssetsDefinition:
    """The assets of a segment export. Each depends on its segment and on what else is read: mapped columns, contacts, consent, lists."""

    def describe(delivery: Delivery) -> dict[str, str | int | MetadataValue[Any]]:
        audience = pinned_audience(delivery.pin)
        columns = {"dagster/column_lineage": column_lineage(catalog, audience)} if audience else {}
        return {**funnel_metadata(delivery), "dagster/column_schema": table_schema(delivery.pin), **columns}

    members = {member: _member(catalog, export_id, export, member) for member in export.members}
    return export_assets(catalog, export_id, members, partial(read_by_profile_export, catalog, export), describe, watcher)


def _member(catalog: Catalog, export_id: str, export: SegmentExport, member: str) -> AssetSpec:
    segment = catalog.segments[member]
    chosen_by = compile_segment(member, catalog.segments, catalog.datasets).datasets
    beside = [dataset for dataset in also_read(export, catalog.connections[export.connection]) if dataset not in chosen_by]
    return member_spec(
        catalog,
        export_id,
        member,
        deps=[keys.segment_key(member), *(keys.dataset_key(catalog, dataset) for dataset in beside)],
        declared=[*with_parts(catalog, member), *(catalog.datasets[dataset] for dataset in (*chosen_by, *beside))],
        description=segment.description,
        metadata={},
    )


def read_by_profile_export(catalog: Catalog, export: SegmentExport, member: str) -> tuple[str, ...]:
    """The datasets that delivering a segment reads: those that choose its members first."""
    chosen_by = compile_segment(member, catalog.segments, catalog.datasets).datasets
    return tuple(dict.fromkeys([*chosen_by, *also_read(export, catalog.connections[export.connection])]))


def also_read(export: SegmentExport, connection: Connection) -> list[str]:
    """The datasets that sending a segment may read beside those that choose its members: what fields and consent name is of the
    members or their contacts."""
    contacts = [export.project.dataset] if export.project else []
    return list(dict.fromkeys([*contacts, *(listed.dataset for listed in connection.suppress)]))
