"""The refresh sensor of dataset exports."""

from __future__ import annotations

from dagster import SensorDefinition

from cdp_exports.automation.refresh_sensor import refresh_sensor
from cdp_exports.catalog.catalog import Catalog


def dataset_refresh_sensors(catalog: Catalog) -> list[SensorDefinition]:
    """`<environment>__dataset_refresh`, if any dataset export has a schedule."""
    return refresh_sensor(catalog, catalog.dataset_exports)
