"""A catalog as Dagster definitions, and the code location that workspace.yaml and `dg` load."""

from __future__ import annotations

import gc
import os
from functools import cache
from pathlib import Path

import dagster as dg

from cdp_exports.assets.datasets import dataset_assets
from cdp_exports.assets.exports import assets_of
from cdp_exports.assets.ledger import check_ledger
from cdp_exports.assets.resources import connection_resources
from cdp_exports.assets.segments import segment_assets
from cdp_exports.assets.state import check_state
from cdp_exports.automation.counting import counting_sensors
from cdp_exports.automation.crashed_runs import crashed_runs_sensor
from cdp_exports.automation.dataset_refresh import dataset_refresh_sensors
from cdp_exports.automation.expiring import expiry_schedules
from cdp_exports.automation.launchpad import launchpad_jobs
from cdp_exports.automation.profile_refresh import profile_refresh_sensors
from cdp_exports.automation.schedules import export_schedules
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.load import find_catalog, load
from cdp_exports.errors import DeclarationError
from cdp_exports.monitoring.connections import connection_definitions


def build_definitions(catalog: Catalog | Path | str) -> dg.Definitions:
    """Assets, schedules, sensors and resources of a catalog, to be used alone or merged into a project's own Definitions.

    The executor is left to the project; in-process is right for deliveries, which are one step each.

    Args:
        catalog: a loaded catalog, or the folder to load it from.

    Raises:
        DeclarationError: the catalog is wrong (all problems at once), or the runs cannot share its ledger or its state folder.
    """
    try:
        if not isinstance(catalog, Catalog):
            catalog = load(Path(catalog))
        check_ledger(catalog.environment, os.environ)
        check_state(catalog, os.environ)
    except DeclarationError as error:
        raise error.with_traceback(None) from None  # Dagster prints every frame; the list of problems is what helps
    exports = dg.Definitions(
        assets=[*dataset_assets(catalog), *segment_assets(catalog), *(assets_of(catalog, export_id) for export_id in catalog.exports)],
        jobs=launchpad_jobs(catalog),
        schedules=[*export_schedules(catalog), *expiry_schedules(catalog)],
        sensors=[
            *counting_sensors(catalog),
            *dataset_refresh_sensors(catalog),
            *profile_refresh_sensors(catalog),
            *crashed_runs_sensor(catalog),
        ],
        resources=connection_resources(catalog),
    )
    return dg.Definitions.merge(exports, connection_definitions(catalog))


@dg.definitions
@cache  # Dagster calls it twice in each process
def defs() -> dg.Definitions:
    """The definitions of the catalog that `CDP_EXPORTS_CATALOG` names, else of `catalog/` beside pyproject.toml."""
    # All that is made here and by Dagster from it lives as long as the process: at Python's usual pace a quarter of the
    # loading time goes into visiting it again and again.
    gc.set_threshold(100_000, 50, 50)
    return dg.Definitions.merge(build_definitions(find_catalog(os.environ)), dg.Definitions(executor=dg.in_process_executor))
