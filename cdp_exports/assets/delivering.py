"""What one run does: deliver one export at one export time and tell Dagster how each member ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetRecordsFilter,
    Config,
    DagsterExecutionInterruptedError,
    DagsterInstance,
    Failure,
    MaterializeResult,
    RetryRequested,
)
from pydantic import Field

from cdp_exports.assets import events
from cdp_exports.assets.keys import dataset_export_key, resource_key
from cdp_exports.assets.ledger import open_ledger
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, DeclarationError, TransientError

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.sources.source import Source

MAX_RETRIES = 3
"""How often a step tries again when nothing but transient failures stood in its way."""

FIRST_WAIT_SECONDS = 5.0
"""The wait before the first retry; each later one is twice as long."""


class DeliveryConfig(Config):
    """What a person may choose for one run."""

    full: bool = Field(default=False, description="Deliver the whole dataset and start a new chain.")


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
    dagster: AssetExecutionContext, catalog: Catalog, export_id: str, watcher: Watcher
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """Deliver the selected members.

    Yields a materialization for each committed member and a check result for every member. A skip leaves the run green.

    Raises:
        Failure: a member failed in a way that trying again cannot help; the others were delivered.
        RetryRequested: all that failed may pass by itself.
    """
    failed: list[CdpExportsError] = []
    try:
        try:
            yield from _deliver(dagster, catalog, export_id, watcher, failed)
        except CdpExportsError as error:
            watcher.broke_off(error.of(export=export_id))
            failed.append(error)
        if not failed:
            return
        if not all(isinstance(error, TransientError) for error in failed) or dagster.retry_number >= MAX_RETRIES:
            raise Failure("\n".join(map(str, failed)), metadata=events.error_metadata(failed[0]), allow_retries=False) from None
        time.sleep(FIRST_WAIT_SECONDS * 2**dagster.retry_number)  # here, where an interrupt ends it; Dagster's own wait sits it out
        raise RetryRequested(MAX_RETRIES) from None
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        watcher.interrupted(dagster)
        raise


def _deliver(
    dagster: AssetExecutionContext, catalog: Catalog, export_id: str, watcher: Watcher, failed: list[CdpExportsError]
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    export_time = _export_time(dagster)
    context = _context(dagster, catalog, export_id, watcher)
    members = [member for member in catalog.exports[export_id].members if _key(export_id, member) in dagster.selected_asset_keys]
    for outcome in deliver(
        context,
        export_id,
        export_time,
        run_id=dagster.run.run_id,
        members=members,
        full=DeliveryConfig(**dagster.op_execution_context.op_config).full,
        known_elsewhere=known_to_dagster(dagster.instance, catalog, export_id, members),
    ):
        watcher.ended(outcome)
        if outcome.error is not None and outcome.status == "failed":
            failed.append(outcome.error)
        yield from _tell(dagster, context, outcome)


def _export_time(dagster: AssetExecutionContext) -> ExportTime:
    if not dagster.selected_asset_keys:
        raise DeclarationError("The check `delivered` only reports on a delivery.", next_step="Materialize its asset instead.")
    if not dagster.has_partition_key:
        raise DeclarationError("A run delivers one export time, and this one names none.", next_step="Choose one partition.")
    return ExportTime.parse(dagster.partition_key)


def _context(dagster: AssetExecutionContext, catalog: Catalog, export_id: str, watcher: Watcher) -> Context:
    resources = dagster.resources

    def open_dataset(dataset_id: str) -> Source:
        from cdp_exports.sources.open import open_source

        return open_source(catalog.datasets[dataset_id], catalog.root, os.environ)

    def open_connection(connection_id: str) -> FileDestination:
        if connection_id == catalog.exports[export_id].connection:
            return getattr(resources, resource_key(connection_id)).open()
        from cdp_exports.destinations.open import open_destination

        # where a delivery was begun before the export moved to another connection
        return open_destination(catalog.connections[connection_id], catalog.root, os.environ)

    return Context(
        catalog=catalog,
        ledger=open_ledger(catalog.environment, dagster.instance),
        open_source=open_dataset,
        open_destination=open_connection,
        progress=watcher.progress,
    )


def _tell(dagster: AssetExecutionContext, context: Context, outcome: Outcome) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    key = _key(outcome.export, outcome.member)
    if outcome.status == "committed" and outcome.delivery is not None:
        attempts = len(context.ledger.attempts(outcome.delivery.id))
        yield events.materialization(key, outcome, outcome.delivery, run_id=dagster.run.run_id, attempts=attempts)
    if outcome.status == "skipped":
        dagster.log_event(events.observation(key, outcome))
    for sentence in (*outcome.warnings, *([str(outcome.error)] if outcome.error else [])):
        dagster.log.warning(sentence)
    if AssetCheckKey(key, events.DELIVERED) in dagster.selected_asset_check_keys:
        yield events.check_result(key, outcome)


def known_to_dagster(instance: DagsterInstance, catalog: Catalog, export_id: str, members: Sequence[str]) -> Mapping[str, ExportTime]:
    """The newest export time of each member that Dagster holds a materialization of this environment for, former ids included.

    What people reported by hand, or what another environment of the same instance delivered, does not count.
    """
    environment = catalog.environment.name
    known: dict[str, ExportTime] = {}
    for member in members:
        keys = [
            dataset_export_key(export, dataset)
            for export in (export_id, catalog.exports[export_id].formerly)
            for dataset in (member, catalog.datasets[member].formerly)
            if export and dataset
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


def _key(export_id: str, member: str) -> AssetKey:
    return dataset_export_key(export_id, member)
