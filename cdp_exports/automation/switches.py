"""Whether an export's schedule is on. Dagster's instance is the truth; the declaration is only its default.

Instance states and the places that schedules are loaded from are no public API of Dagster's, so they are used in this file alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster._core.remote_origin import RemoteRepositoryOrigin
    from dagster._core.scheduler.instigation import InstigatorState

    from cdp_exports.catalog.catalog import Catalog


def schedules_on(catalog: Catalog, instance: DagsterInstance) -> dict[str, bool | None]:
    """By export: True or False, None where it has no schedule. After a refresh `active` alone decides."""
    from cdp_exports.assets.keys import op_name

    switched: dict[str, bool] = {}
    for state in _states(instance):
        # DECLARED_IN_CODE: nobody has touched the toggle, `active` decides
        if state.status.value in {"RUNNING", "STOPPED"}:
            switched[state.instigator_name] = switched.get(state.instigator_name, False) or state.status.value == "RUNNING"
    on: dict[str, bool | None] = {}
    for export_id, export in catalog.exports.items():
        if export.schedule is None:
            on[export_id] = None
        elif export.schedule.after:  # what may stand in the instance is of a schedule that it had before
            on[export_id] = export.active
        else:
            on[export_id] = switched.get(op_name(catalog.environment.name, export_id), export.active)
    return on


def switch(catalog: Catalog, instance: DagsterInstance, exports: Iterable[str], folders: Iterable[Path], *, on: bool) -> list[str]:
    """Switch the schedules of these exports, as their toggles in Dagster do; the exports whose state was another before.

    A schedule that is switched on makes up for nothing that it missed while it was off. `folders`: where to look for the
    workspace.yaml or pyproject.toml that says what the daemon loads, where the instance has never seen these schedules.

    Raises:
        DeclarationError: which code location the schedules are in is not known; none was switched.
    """
    from dagster._core.remote_origin import RemoteInstigatorOrigin
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, ScheduleInstigatorData
    from dagster._time import get_current_timestamp

    from cdp_exports.assets.keys import op_name

    before = schedules_on(catalog, instance)
    changed = [export_id for export_id in exports if before[export_id] is not on]
    if not changed:
        return []
    places = _places(catalog, instance) or _declared_places(folders)
    known = {state.selector_id: state for state in _states(instance)}
    for export_id in changed:
        cadence = catalog.exports[export_id].schedule
        assert cadence is not None
        crons, _ = cadence.to_crons(catalog.environment.time_zone)
        data = ScheduleInstigatorData(crons[0] if len(crons) == 1 else list(crons), get_current_timestamp() if on else None)
        status = InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED
        for place in places:
            origin = RemoteInstigatorOrigin(place, op_name(catalog.environment.name, export_id))
            state = InstigatorState(origin, InstigatorType.SCHEDULE, status, data)
            if stored := known.get(state.selector_id):
                instance.update_instigator_state(stored.with_status(status).with_data(data))
            else:
                instance.add_instigator_state(state)
    return changed


def _states(instance: DagsterInstance) -> list[InstigatorState]:
    return [state for state in instance.all_instigator_state() if state.instigator_type.value == "SCHEDULE"]


def _places(catalog: Catalog, instance: DagsterInstance) -> list[RemoteRepositoryOrigin]:
    """Where the instance has seen schedules of this catalog, or the sensor that every daemon starts."""
    from cdp_exports.assets.keys import op_name
    from cdp_exports.automation.crashed_runs import crashed_runs_name

    environment = catalog.environment.name
    names = {op_name(environment, export_id) for export_id in catalog.exports} | {crashed_runs_name(environment)}
    seen = [state for state in instance.all_instigator_state() if state.instigator_name in names]
    return list({state.repository_selector_id: state.origin.repository_origin for state in seen}.values())


def _declared_places(folders: Iterable[Path]) -> list[RemoteRepositoryOrigin]:
    """The one code location that the nearest workspace.yaml or pyproject.toml names."""
    from dagster import DagsterError
    from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
    from dagster._core.remote_origin import RemoteRepositoryOrigin
    from dagster._core.workspace.load_target import PyProjectFileTarget, WorkspaceFileTarget

    unknown = "Switch one schedule in the Dagster UI, or start its daemon, once; then Dagster knows."
    for folder in folders:
        workspace, project = folder / "workspace.yaml", folder / "pyproject.toml"
        if not workspace.is_file() and not project.is_file():
            continue
        target = WorkspaceFileTarget([str(workspace)]) if workspace.is_file() else PyProjectFileTarget(str(project))
        try:
            origins = target.create_origins()
        except (DagsterError, OSError, ValueError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DeclarationError(f"Dagster cannot read {folder}: {said}", next_step="Correct workspace.yaml.") from None
        if len(origins) == 1:
            return [RemoteRepositoryOrigin(origins[0], SINGLETON_REPOSITORY_NAME)]
        if origins:
            raise DeclarationError(f"{workspace} names {len(origins)} code locations; which one has these exports?", next_step=unknown)
    raise DeclarationError("Which code location has these exports is not known: there is no workspace.yaml.", next_step=unknown)
