"""Run an export in this process on a Dagster instance, for the command line: the run shows in the UI like any other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dagster import AssetExecutionContext, DagsterExecutionInterruptedError, DagsterInstance, Definitions, ExecuteInProcessResult

from cdp_exports.assets.delivering import Watcher
from cdp_exports.assets.exports import assets_of
from cdp_exports.assets.keys import export_key, op_name, partitions_name, run_tags
from cdp_exports.assets.ledger import open_ledger
from cdp_exports.assets.resources import check_secrets, connection_resources
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.context import Progress, silent
from cdp_exports.delivery.member import chosen, export_of
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export import Export
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, TerminalError


@dataclass(frozen=True)
class Run:
    """A run that ended. `outcomes` holds each member's last outcome, and none of a member the run did not come to.

    `error` is what ended the run before or between members; `cancelled` says that somebody stopped it.
    """

    run_id: str
    export_time: ExportTime
    outcomes: tuple[Outcome, ...]
    error: CdpExportsError | None
    cancelled: bool


def run_in_process(
    catalog: Catalog,
    instance: DagsterInstance,
    export_id: str,
    *,
    export_time: ExportTime | None = None,
    members: Sequence[str] | None = None,
    full: bool = False,
    progress: Progress = silent,
    log_level: str = "CRITICAL",
    resources: Mapping[str, Any] | None = None,
) -> Run:
    """Execute the code location's implicit asset job for one export at one export time (default: a new one).

    `log_level` is what Dagster prints on this terminal; the instance records everything whatever it is. `resources`: those of a
    code location, where it may have put its own in the place of a connection's.

    Raises:
        DeclarationError: no such export or member, a secret's variable is not set, an export time in the future.
        TransientError: the ledger cannot be reached.
    """
    export = export_of(catalog, export_id)
    selected = chosen(export_id, export, members)
    alone = _alone(catalog, export_id, export)
    check_secrets(alone, os.environ)
    environment = catalog.environment.name
    ledger = open_ledger(catalog.environment, instance)
    if export_time is None:
        export_time = ledger.mint(environment, export_id, export.formerly)
    else:
        ledger.note_time(environment, export_id, export_time)
    instance.add_dynamic_partitions(partitions_name(environment, export_id), [str(export_time)])
    terminal = _Terminal(progress)
    declared = connection_resources(alone)
    provided = {key: resources[key] for key in declared if key in resources} if resources else {}
    definitions = Definitions(assets=[assets_of(alone, export_id, terminal)], resources={**declared, **provided})
    config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": log_level}}}}
    if full:
        config["ops"] = {op_name(environment, export_id): {"config": {"full": True}}}
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config=config,
        instance=instance,
        partition_key=str(export_time),
        asset_selection=[export_key(export.kind, export_id, member) for member in selected],
        tags=run_tags(catalog, export_id),
        raise_on_error=False,
    )
    cancelled = terminal.cancelled
    if not cancelled and _interrupted(result):
        cancelled = True
        instance.report_run_canceled(result.dagster_run)
    return Run(
        run_id=result.run_id,
        export_time=export_time,
        outcomes=tuple(terminal.outcomes.values()),
        error=terminal.error or (None if cancelled else _unexplained(result, terminal)),
        cancelled=cancelled,
    )


class _Terminal(Watcher):
    """Keeps what the command line reports when the run has ended."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.outcomes: dict[str, Outcome] = {}
        self.error: CdpExportsError | None = None
        self.cancelled = False

    def progress(self, member: str, step: str, done: int, total: int | None) -> None:
        self._progress(member, step, done, total)

    def ended(self, outcome: Outcome) -> None:
        self.outcomes[outcome.member] = outcome
        self.error = None  # an earlier try's

    def broke_off(self, error: CdpExportsError) -> None:
        self.error = error

    def interrupted(self, dagster: AssetExecutionContext) -> None:
        # Dagster takes an interrupt that nobody asked it for as a failure; here the person at the terminal asked.
        self.cancelled = True
        dagster.instance.report_run_canceling(dagster.run)


def _alone(catalog: Catalog, export_id: str, export: Export) -> Catalog:
    """Of exports and connections only these: a run starts as fast in a catalog of a thousand exports, and asks for no secret of another."""
    return replace(catalog, exports={export_id: export}, connections={export.connection: catalog.connections[export.connection]})


def _interrupted(result: ExecuteInProcessResult) -> bool:
    """Whether an interrupt ended the run outside of the step, where nobody of us is at work."""
    errors = [getattr(event.event_specific_data, "error", None) for event in result.all_events if event.is_failure]
    return any(error is not None and error.cls_name == DagsterExecutionInterruptedError.__name__ for error in errors)


def _unexplained(result: ExecuteInProcessResult, terminal: _Terminal) -> CdpExportsError | None:
    """What ended a run that neither delivered nor said why: something in Dagster or a fault of this package."""
    if result.success or any(outcome.status == "failed" for outcome in terminal.outcomes.values()):
        return None
    causes = [event.message for event in result.all_events if event.is_failure and event.message]
    return TerminalError(causes[0] if causes else "The run failed.", next_step=f"Dagster has its log: run {result.run_id}.")
