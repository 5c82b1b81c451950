"""The sensor that notices runs whose process died with nobody left to say so.

Dagster's default launcher starts runs as children of the code server, which reports a child that dies. Where both die at
once (the machine goes down, a container is killed) the run stays `STARTED` for ever: run monitoring asks launchers only that
can tell, and this one cannot. So every run tells the ledger that it is alive; one that falls silent is reported as failed,
and `run_retries` in dagster.yaml starts it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, DefaultSensorStatus, RunsFilter, SensorDefinition, SkipReason
from dagster import SensorEvaluationContext as Context

from cdp_exports.assets.keys import GROUPS
from cdp_exports.assets.ledger import open_ledger
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import CRASHED, SkipRecord, State
from cdp_exports.ledger.runs import AtWork

SILENT_SECONDS = 60.0
"""A run that is alive is seen every 15 seconds."""

START = timedelta(minutes=5)
"""How long a run may take from its start until it is seen for the first time, between two tries, and from its step's end to its own."""

FORGOTTEN, RECENT = timedelta(minutes=1), timedelta(minutes=30)
"""When a failed run that Dagster was to start again counts as passed over, and until when it is looked for."""

_WILL_RETRY, _RETRIED_BY, _TOLD_AGAIN = "dagster/will_retry", "dagster/auto_retry_run_id", "cdp/told_again"

DIED = "Its process died: it was killed, or its machine went down."


def crashed_runs_name(environment: str) -> str:
    """The name of the sensor; no id begins with `_`, so no export's schedule has it."""
    return f"{environment}__crashed_runs"


def crashed_runs_sensor(catalog: Catalog) -> list[SensorDefinition]:
    """`<environment>__crashed_runs`, on by default, of the exports of both families."""
    if not catalog.exports:
        return []

    def evaluate(context: Context) -> SkipReason:
        ledger = open_ledger(catalog.environment, context.instance)
        # In two ticks in a row: where the ledger was away for a while, everybody was silent.
        before = json.loads(context.cursor or "{}")
        silent = {one.run_id: one for one in ledger.silent_runs(catalog.environment.name, seconds=SILENT_SECONDS)}
        seen = {run_id: one.seen_at.isoformat() for run_id, one in silent.items()}
        died = [one for run_id, one in silent.items() if before.get(run_id) == seen[run_id]]
        context.update_cursor(json.dumps({run_id: at for run_id, at in seen.items() if run_id not in {one.run_id for one in died}}))
        said = [_give_up(context.instance, ledger, one) for one in died]
        said += [_report(context.instance, run) for run in _idle(catalog, ledger, context.instance)]
        said += [_tell_again(context.instance, run) for run in _passed_over(catalog, ledger, context.instance)]
        for sentence in filter(None, said):
            context.log.error(sentence)
        return SkipReason(" ".join(filter(None, said)) or "All runs are alive.")

    sensor = SensorDefinition(
        name=crashed_runs_name(catalog.environment.name),
        evaluation_fn=evaluate,
        minimum_interval_seconds=30,
        default_status=DefaultSensorStatus.RUNNING,
        description="Reports runs of exports whose process died, so that Dagster starts them again.",
    )
    return [sensor]


def _passed_over(catalog: Catalog, ledger: Ledger, instance: DagsterInstance) -> list[DagsterRun]:
    """Failed runs that are to start again and were not. Dagster writes a failure down before it marks the run as failed, and its daemon
    passes one over that it reads in between."""
    now = ledger.now()
    tags = {"cdp/environment": catalog.environment.name, _WILL_RETRY: "true"}
    failed = RunsFilter(statuses=[DagsterRunStatus.FAILURE], tags=tags, updated_after=now - RECENT)
    return [
        record.dagster_run
        for record in instance.get_run_records(failed)
        if not {_RETRIED_BY, _TOLD_AGAIN} & record.dagster_run.tags.keys()
        and record.end_time is not None
        and record.end_time < (now - FORGOTTEN).timestamp()
    ]


def _tell_again(instance: DagsterInstance, run: DagsterRun) -> str:
    instance.add_run_tags(run.run_id, {_TOLD_AGAIN: "true"})
    instance.report_run_failed(run, "It was to start again and did not: its failure is reported once more.")
    return f"{run.tags.get('cdp/export')}: run {run.run_id} was to start again and did not; its failure is reported once more."


def _give_up(instance: DagsterInstance, ledger: Ledger, one: AtWork) -> str:
    run = instance.get_run_by_id(one.run_id)
    said = _report(instance, run) if run is not None and run.status is DagsterRunStatus.STARTED else ""
    crashed = run is not None and run.status in {DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE}  # the code server may have seen it
    ledger.run_died(one, _records(ledger, one) if crashed else ())
    return said


def _records(ledger: Ledger, one: AtWork) -> Iterator[SkipRecord]:
    """What stands in the history of each member that was not delivered."""
    for member in one.members:
        delivery = ledger.delivery(one.environment, (one.export,), (member,), one.export_time)
        if delivery is None or delivery.state is not State.COMMITTED:
            yield SkipRecord(
                environment=one.environment,
                export=one.export,
                member=member,
                export_time=one.export_time,
                outcome="failed",
                reason=CRASHED,
                message=DIED,
                next_step="Dagster starts it again where `run_retries` in dagster.yaml says so. Else: "
                f"`cdp-exports run {one.export} --at {one.export_time}`, which delivers the same rows.",
                run_id=one.run_id,
                at=ledger.now(),
            )


def _idle(catalog: Catalog, ledger: Ledger, instance: DagsterInstance) -> list[DagsterRun]:
    """Runs that died before their step, after it, or between two tries. Only runs of nothing but one export: others may be at work on
    something else."""
    started = RunsFilter(statuses=[DagsterRunStatus.STARTED], tags={"cdp/environment": catalog.environment.name})
    before = (ledger.now() - START).timestamp()
    old = {
        record.dagster_run.run_id: record.dagster_run
        for record in instance.get_run_records(started)
        if _is_of_one_export(record.dagster_run) and record.start_time is not None and record.start_time < before
    }
    return [old[one] for one in ledger.idle_runs(catalog.environment.name, list(old), seconds=START.total_seconds())] if old else []


def _is_of_one_export(run: DagsterRun) -> bool:
    exports = {tuple(key.path[:-1]) for key in run.asset_selection or ()}
    return len(exports) == 1 and exports <= {(group, run.tags.get("cdp/export")) for group in GROUPS.values()}


def _report(instance: DagsterInstance, run: DagsterRun) -> str:
    instance.report_run_failed(run, DIED)
    return f"{run.tags.get('cdp/export')}: run {run.run_id} was reported as failed. {DIED}"
