"""Whether datasets are being refreshed, as Dagster's runs tell: those of this code location, and of any other one of the instance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from cdp_exports.assets.keys import FAMILY

_RUNNING = [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
"""A run that was created and never queued (`NOT_STARTED`) may be left behind by a crash for ever, so it counts for nothing."""


@dataclass(frozen=True)
class Refresh:
    """How one dataset stands. `running`: the runs that will materialize it and have not yet; `failed`: the newest run that
    should have and ended without, None where it was materialized since; `event`: the number of its newest event."""

    running: tuple[str, ...] = ()
    failed: str | None = None
    event: int | None = None


IDLE = Refresh()
NOTHING: Mapping[AssetKey, int | None] = {}


def active_runs(instance: DagsterInstance) -> list[DagsterRun]:
    """All runs that are queued or at work."""
    return list(instance.get_runs(RunsFilter(statuses=_RUNNING)))


def refreshes(
    instance: DagsterInstance,
    keys: Collection[AssetKey],
    active: Collection[DagsterRun],
    observed: Mapping[AssetKey, int | None] = NOTHING,
) -> dict[AssetKey, Refresh]:
    """How each asset stands, nothing of one that Dagster has never heard of. `active`: as `active_runs` found them; `observed`: the
    number of its newest observation, where that counts as a refresh."""
    if not keys:
        return {}
    running: dict[AssetKey, list[str]] = {key: [] for key in keys}
    for run in active:
        if FAMILY in run.tags:
            continue  # deliveries and counts refresh nothing
        for key in _still_to_come(instance, run) & running.keys():
            running[key].append(run.run_id)
    records = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(list(keys))}
    last_runs = {entry.last_run_id for entry in records.values() if entry.last_run_id}
    ended = _failed(instance, last_runs)
    found: dict[AssetKey, Refresh] = {}
    for key in keys:
        entry, failed, events = records.get(key), None, list[int]()
        if entry is not None:
            made = entry.last_materialization_record
            run = ended.get(entry.last_run_id or "")
            if run is not None and run.is_complete_and_waiting_to_retry:
                running[key].append(run.run_id)
            elif run is not None and (made is None or made.run_id != run.run_id):
                failed = run.run_id
            events = [number for number in (made and made.storage_id, observed.get(key)) if number is not None]
        found[key] = Refresh(tuple(running[key]), failed, max(events, default=None))
    return found


def _still_to_come(instance: DagsterInstance, run: DagsterRun) -> set[AssetKey]:
    """What a run was planned to materialize and has not; Dagster writes the plan down when the run is created."""
    planned = instance.get_asset_keys_for_run(run.run_id, {DagsterEventType.ASSET_MATERIALIZATION_PLANNED})
    if not planned:
        return set()
    return set(planned) - set(instance.get_asset_keys_for_run(run.run_id, {DagsterEventType.ASSET_MATERIALIZATION}))


def _failed(instance: DagsterInstance, run_ids: Collection[str]) -> Mapping[str, DagsterRun]:
    if not run_ids:
        return {}
    failed = RunsFilter(run_ids=list(run_ids), statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
    return {run.run_id: run for run in instance.get_runs(failed)}
