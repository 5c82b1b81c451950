"""The refresh sensor of profile exports."""

from __future__ import annotations

from dagster import SensorDefinition

from cdp_exports.automation.refresh_sensor import refresh_sensor
from cdp_exports.catalog.catalog import Catalog


def profile_refresh_sensors(catalog: Catalog) -> list[SensorDefinition]:
    """`<environment>__profile_refresh`, if any profile export has a schedule."""
    return refresh_sensor(catalog, catalog.segment_exports)
