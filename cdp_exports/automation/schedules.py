"""One schedule per export with a cadence; its toggle in Dagster is the export's on and off."""

from __future__ import annotations

from dagster import DefaultScheduleStatus, RunRequest, ScheduleDefinition, ScheduleEvaluationContext, SkipReason

from cdp_exports.assets.keys import op_name, partitions_name, run_tags
from cdp_exports.assets.ledger import open_ledger
from cdp_exports.automation.asking import run_request
from cdp_exports.automation.gaps import note_missed
from cdp_exports.automation.holding import hold
from cdp_exports.automation.implicit_job import IMPLICIT_ASSET_JOB
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.still import still_declared
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger


def export_schedules(catalog: Catalog) -> list[ScheduleDefinition]:
    """The schedules of all exports whose cadence counts time."""
    return [
        _schedule(catalog, export_id, cadence)
        for export_id, export in catalog.exports.items()
        if (cadence := export.schedule) is not None and cadence.after is None
    ]


def _schedule(catalog: Catalog, export_id: str, cadence: Cadence) -> ScheduleDefinition:
    export = catalog.exports[export_id]
    partitions = partitions_name(catalog.environment.name, export_id)
    tags = run_tags(catalog, export_id)
    crons, zone = cadence.to_crons(catalog.environment.time_zone)

    def evaluate(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        tick = context.scheduled_execution_time
        if not cadence.contains(tick):
            return SkipReason(f"{tick:%Y-%m-%d %H:%M} is outside this schedule's start and end.")
        members = still_declared(catalog, export_id, export.members)
        if not members:
            return SkipReason(f"{export_id} was removed; load the code location again.")
        ledger = open_ledger(catalog.environment, context.instance)
        note_missed(catalog, ledger, context.instance, export_id, cadence, ExportTime(tick))
        export_time = _name_tick(catalog, export_id, ExportTime(tick), ledger)
        if held := hold(catalog, ledger, context.instance, export_id, export_time):
            return SkipReason(held)
        context.instance.add_dynamic_partitions(partitions, [str(export_time)])
        return run_request(catalog, ledger, export_id, export_time, members, run_key=str(ExportTime(tick)))

    return ScheduleDefinition(
        name=op_name(catalog.environment.name, export_id),
        job_name=IMPLICIT_ASSET_JOB,
        cron_schedule=crons[0] if len(crons) == 1 else crons,
        execution_timezone=zone,
        execution_fn=evaluate,
        default_status=DefaultScheduleStatus.RUNNING if export.active else DefaultScheduleStatus.STOPPED,
        description=export.description,
        tags=tags,
    )


def _name_tick(catalog: Catalog, export_id: str, tick: ExportTime, ledger: Ledger) -> ExportTime:
    """The export time of a tick: its own minute, or a minted one where a later one exists or the ledger's clock is not there yet.

    A tick that is evaluated once more after a crash gets the same.
    """
    environment = catalog.environment.name
    formerly = catalog.exports[export_id].formerly
    newest = ledger.newest_time(environment, export_id, *([formerly] if formerly else []))
    if (newest is None or newest <= tick) and tick.at <= ledger.now():
        ledger.note_time(environment, export_id, tick)
        return tick
    return ledger.mint(environment, export_id, formerly)
