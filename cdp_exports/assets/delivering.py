"""What one run does: deliver one export at one export time and tell Dagster how each member ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetRecordsFilter,
    Config,
    DagsterExecutionInterruptedError,
    DagsterInstance,
    MaterializeResult,
)
from pydantic import Field

from cdp_exports.assets import events
from cdp_exports.assets.alive import alive
from cdp_exports.assets.backfilling import BACKFILL, is_decided, skipped_before
from cdp_exports.assets.failing import failures_in_a_row
from cdp_exports.assets.keys import dataset_key, export_key, resource_key, run_tags
from cdp_exports.assets.opening import step_context
from cdp_exports.assets.refreshing import active_runs, refreshes
from cdp_exports.assets.retrying import end_step
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, DeclarationError


class DeliveryConfig(Config):
    """What a person may choose for one run."""

    full: bool = Field(default=False, description="Deliver everything and start a new chain.")


class Watcher:
    """Who looks on from this process; by default nobody does."""

    def progress(self, member: str, step: str, done: int, total: int | None) -> None:
        """Rows so far, and rows expected where that is known."""

    def ended(self, outcome: Outcome) -> None:
        """A member ended; after a retry it may end again."""

    def broke_off(self, error: CdpExportsError) -> None:
        """The run ended before it came to a member, or between two."""

    def interrupted(self, dagster: AssetExecutionContext) -> None:
        """Somebody stops this process."""


def run_export(
    dagster: AssetExecutionContext,
    catalog: Catalog,
    export_id: str,
    reads: Callable[[str], Sequence[str]],
    describe: events.Describe,
    watcher: Watcher,
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """Deliver the selected members.

    Yields a materialization for each committed member and a check result for every member. A skip leaves the run green.

    Raises:
        Failure: a member failed in a way that trying again cannot help; the others were delivered.
        RetryRequested: all that failed may pass by itself.
    """
    failed: list[CdpExportsError] = []
    export = catalog.exports[export_id]
    members = [member for member in export.members if export_key(export.kind, export_id, member) in dagster.selected_asset_keys]
    try:
        with alive(dagster, catalog, export_id, members):
            try:
                yield from _deliver(dagster, catalog, export_id, members, reads, describe, watcher, failed)
            except CdpExportsError as error:
                watcher.broke_off(error.of(export=export_id))
                failed.append(error)
            if failed:
                end_step(dagster, failed)
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        watcher.interrupted(dagster)
        raise


def _deliver(
    dagster: AssetExecutionContext,
    catalog: Catalog,
    export_id: str,
    members: Sequence[str],
    reads: Callable[[str], Sequence[str]],
    describe: events.Describe,
    watcher: Watcher,
    failed: list[CdpExportsError],
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    export = catalog.exports[export_id]
    tag_run(dagster, run_tags(catalog, export_id))
    export_time = _export_time(dagster)
    resources = {export.connection: getattr(dagster.resources, resource_key(export.connection))}
    context = step_context(catalog, dagster.instance, resources, watcher.progress)
    unfinished = _unfinished(dagster, catalog, {dataset for member in members for dataset in reads(member)})
    skipped = list(skipped_before(context, export_id, export_time, members)) if BACKFILL in dagster.run.tags else []
    asked = [member for member in members if member not in {outcome.member for outcome in skipped}]
    delivered = deliver(
        context,
        export_id,
        export_time,
        run_id=dagster.run.run_id,
        members=asked,
        full=DeliveryConfig(**dagster.op_execution_context.op_config).full,
        known_elsewhere=known_to_dagster(dagster.instance, catalog, export_id, asked),
    )
    for ended in chain(skipped, delivered if asked else ()):
        outcome = replace(ended, warnings=(*ended.warnings, *unfinished))
        watcher.ended(outcome)
        if outcome.error is not None and outcome.status == "failed":
            failed.append(outcome.error)
        yield from _tell(dagster, context, export_key(export.kind, export_id, outcome.member), outcome, describe)


def _unfinished(dagster: AssetExecutionContext, catalog: Catalog, datasets: Collection[str]) -> list[str]:
    """What to say to a person who asks while a dataset is being refreshed: a run by hand does not wait."""
    if dagster.run.tags.keys() & {"dagster/schedule_name", "dagster/sensor_name", BACKFILL}:
        return []
    keys = {dataset_key(catalog, dataset): dataset for dataset in sorted(datasets)}
    standing = refreshes(dagster.instance, list(keys), active_runs(dagster.instance))
    return [
        f"{dataset} is being refreshed (run {', '.join(standing[key].running)}): what was there before is delivered."
        for key, dataset in keys.items()
        if standing[key].running
    ]


def tag_run(dagster: AssetExecutionContext, tags: Mapping[str, str]) -> None:
    """Tag a run that a person or a backfill started; those of schedules and of the command line have their tags."""
    if missing := {name: value for name, value in tags.items() if dagster.run.tags.get(name) != value}:
        dagster.instance.add_run_tags(dagster.run.run_id, missing)


def _export_time(dagster: AssetExecutionContext) -> ExportTime:
    if not dagster.selected_asset_keys:
        raise DeclarationError("The check `delivered` only reports on a delivery.", next_step="Materialize its asset instead.")
    if not dagster.has_partition_key:
        raise DeclarationError("A run delivers one export time, and this one names none.", next_step="Choose one partition.")
    return ExportTime.parse(dagster.partition_key)


def _tell(
    dagster: AssetExecutionContext, context: Context, key: AssetKey, outcome: Outcome, describe: events.Describe
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    if outcome.status == "committed" and outcome.delivery is not None:
        attempts = len(context.ledger.attempts(outcome.delivery.id))
        yield events.materialization(key, outcome, outcome.delivery, describe, run_id=dagster.run.run_id, attempts=attempts)
    if outcome.status == "skipped":
        dagster.log_event(events.observation(key, outcome))
        if BACKFILL in dagster.run.tags and is_decided(outcome):
            yield events.nothing_to_deliver(key, outcome)
    failures = failures_in_a_row(dagster, context, outcome)
    for sentence in (*outcome.warnings, *([str(outcome.error)] if outcome.error else [])):
        dagster.log.warning(sentence)
    if AssetCheckKey(key, events.DELIVERED) in dagster.selected_asset_check_keys:
        yield events.check_result(key, outcome, failures)


def known_to_dagster(instance: DagsterInstance, catalog: Catalog, export_id: str, members: Sequence[str]) -> Mapping[str, ExportTime]:
    """The newest export time of each member that Dagster holds a materialization of this environment for, former ids included.

    What people reported by hand, or what another environment of the same instance delivered, does not count.
    """
    environment = catalog.environment.name
    export = catalog.exports[export_id]
    declared = catalog.datasets if export.kind == "dataset" else catalog.segments
    known: dict[str, ExportTime] = {}
    for member in members:
        keys = [
            export_key(export.kind, former_export, former_member)
            for former_export in (export_id, export.formerly)
            for former_member in (member, declared[member].formerly)
            if former_export and former_member
        ]
        newest = [time for key in keys if (time := _newest(instance, key, environment)) is not None]
        if newest:
            known[member] = max(newest)
    return known


def _newest(instance: DagsterInstance, key: AssetKey, environment: str) -> ExportTime | None:
    for partition in sorted(instance.get_materialized_partitions(key), reverse=True):
        if _is_ours(instance, key, partition, environment):
            return ExportTime.parse(partition)
    return None


def _is_ours(instance: DagsterInstance, key: AssetKey, partition: str, environment: str) -> bool:
    found = instance.fetch_materializations(AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=1)
    for record in found.records:
        if record.asset_materialization is not None:
            value = record.asset_materialization.metadata.get("cdp/environment")
            return value is not None and value.value == environment
    return False
