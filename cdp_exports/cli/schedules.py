"""Whether an export's schedule is on. Dagster's instance is the truth; the declaration is only its default.

Instance states are no public API of Dagster's, so they are read in this file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from cdp_exports.catalog.catalog import Catalog


def schedules_on(catalog: Catalog, instance: DagsterInstance) -> dict[str, bool | None]:
    """By export: True or False, None where it has no schedule."""
    from cdp_exports.assets.keys import op_name

    switched: dict[str, bool] = {}
    for state in instance.all_instigator_state():
        # DECLARED_IN_CODE: nobody has touched the toggle, `active` decides
        if state.instigator_type.value == "SCHEDULE" and state.status.value in {"RUNNING", "STOPPED"}:
            switched[state.instigator_name] = switched.get(state.instigator_name, False) or state.status.value == "RUNNING"
    return {
        export_id: switched.get(op_name(catalog.environment.name, export_id), export.active) if export.schedule else None
        for export_id, export in catalog.exports.items()
    }


def cadence_said(catalog: Catalog, export_id: str) -> str:
    """When an export happens, in a few words."""
    cadence = catalog.exports[export_id].schedule
    if cadence is None:
        return "on demand"
    zone = catalog.environment.time_zone
    return (
        f"every {cadence.every}"
        if cadence.every
        else f"daily at {cadence.daily_at} {zone}"
        if cadence.daily_at
        else f"{cadence.cron} {zone}"
    )
