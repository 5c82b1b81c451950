"""Segments are counted again when a dataset they read was refreshed; off until somebody switches it on in Dagster."""

from __future__ import annotations

from dagster import AssetSelection, AutomationConditionSensorDefinition, DefaultSensorStatus

from cdp_exports.assets.keys import FAMILIES, FAMILY, segment_key, segments_op_name
from cdp_exports.catalog.catalog import Catalog


def counting_sensors(catalog: Catalog) -> list[AutomationConditionSensorDefinition]:
    """The sensor of a catalog's segments, if it has any."""
    if not catalog.segments:
        return []
    tags = {FAMILY: FAMILIES["segment"]}
    sensor = AutomationConditionSensorDefinition(
        name=segments_op_name(catalog.environment.name),
        target=AssetSelection.assets(*map(segment_key, catalog.segments)),
        default_status=DefaultSensorStatus.STOPPED,
        description="Counts the members of segments again when a dataset they read was refreshed, or their definition changed.",
        tags=tags,
        run_tags=tags,
    )
    return [sensor]
