"""What was to come of an export, or of one member of it, that is removed: found, and ended as skipped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from cdp_exports.assets.keys import FAMILIES, FAMILY, GROUPS, Kind, export_key, partitions_name
from cdp_exports.automation.waiting import tell
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.due import Due
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Lease, SkipRecord

REMOVED = "removed"
_BY = "cdp-exports remove"


@dataclass(frozen=True)
class ToCome:
    """What is still to come of an export. `holder`: whoever delivers it now, and goes on to the end."""

    queued: Sequence[DagsterRun]
    due: Sequence[Due]
    holder: Lease | None


def to_come(catalog: Catalog, instance: DagsterInstance, ledger: Ledger, export_id: str, members: Collection[str]) -> ToCome:
    """Queued runs that would deliver any of these members, and export times that wait with nothing but them to deliver."""
    environment, export = catalog.environment.name, catalog.exports[export_id]
    keys = {export_key(export.kind, export_id, member) for member in members}
    queued = [run for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.QUEUED])) if _is_of(run, keys, environment)]
    sets = partitions_name(environment, export_id)
    queued = [run for run in queued if instance.has_dynamic_partition(sets, run.tags.get("dagster/partition", ""))]
    waiting = [one for one in ledger.due(environment, export_id) if set(one.members) <= set(members)]
    return ToCome(queued, waiting, ledger.holder(environment, export_id))


def withdraw(catalog: Catalog, instance: DagsterInstance, ledger: Ledger, export_id: str, members: Collection[str], found: ToCome) -> None:
    """End it as skipped, in the ledger and in Dagster. `catalog`: as it was before.

    A queued run is withdrawn whole: a run of an asset that is no longer there fails, and what else it was to deliver goes with the
    next export time.
    """
    for one in found.due:
        records = [_record(ledger, one.environment, export_id, member, one.export_time, by=_BY, removed=members) for member in one.members]
        if ledger.drop_due(one, records):
            tell(catalog, instance, records)
    for run in found.queued:
        _cancel(catalog, instance, ledger, run, export_id, list(members_of_run(catalog, export_id, run)), members)


def withdraw_gone(catalog: Catalog, instance: DagsterInstance, ledger: Ledger, active: Iterable[DagsterRun], kind: Kind) -> list[str]:
    """The same for queued runs of what is no longer in the catalog, whoever took it out or renamed it; a sentence each."""
    said: list[str] = []
    for run in active:
        if run.status is not DagsterRunStatus.QUEUED or run.tags.get(FAMILY) != FAMILIES[kind]:
            continue
        export_id = run.tags.get("cdp/export")
        if export_id is None or run.tags.get("cdp/environment") != catalog.environment.name:
            continue
        asked = [key.path[-1] for key in run.asset_selection or () if key.path[:-1] == [GROUPS[kind], export_id]]
        declared = catalog.exports[export_id].members if export_id in catalog.exports else ()
        gone = [member for member in asked if member not in declared]
        if gone and _cancel(catalog, instance, ledger, run, export_id, asked, gone):
            said.append(f"{export_id}: run {run.run_id} was withdrawn from the queue, {' and '.join(gone)} was removed.")
    return said


def _cancel(
    catalog: Catalog,
    instance: DagsterInstance,
    ledger: Ledger,
    run: DagsterRun,
    export_id: str,
    members: Collection[str],
    removed: Collection[str],
) -> bool:
    """False: it was launched meanwhile."""
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status is not DagsterRunStatus.QUEUED:
        return False
    instance.report_run_canceling(run, f"{export_id} was removed from the catalog, or a part of it.")
    instance.report_run_canceled(run)
    export_time = ExportTime.parse(run.tags["dagster/partition"])
    records = [
        _record(ledger, catalog.environment.name, export_id, member, export_time, by=run.run_id, removed=removed) for member in members
    ]
    for record in records:
        ledger.skip(record)
    tell(catalog, instance, records)
    return True


def members_of_run(catalog: Catalog, export_id: str, run: DagsterRun) -> Iterator[str]:
    """The members that a run was to deliver."""
    export = catalog.exports[export_id]
    for member in export.members:
        if export_key(export.kind, export_id, member) in (run.asset_selection or ()):
            yield member


def _is_of(run: DagsterRun, keys: AbstractSet[AssetKey], environment: str) -> bool:
    """A run that somebody asked for in the UI has no tags yet."""
    return run.tags.get("cdp/environment", environment) == environment and not keys.isdisjoint(run.asset_selection or ())


def _record(
    ledger: Ledger, environment: str, export_id: str, member: str, export_time: ExportTime, *, by: str, removed: Collection[str]
) -> SkipRecord:
    if member in removed:
        message, next_step = "It was removed from the catalog before it ran.", "Nothing to do. What was delivered before stays."
    else:
        message = f"Its run was to deliver {' and '.join(sorted(removed))} too, which was removed from the export."
        next_step = f"The next export time takes its rows along; or `cdp-exports run {export_id} --member {member}` now."
    return SkipRecord(
        environment=environment,
        export=export_id,
        member=member,
        export_time=export_time,
        reason=REMOVED,
        message=message,
        next_step=next_step,
        run_id=by,
        at=ledger.now(),
    )
