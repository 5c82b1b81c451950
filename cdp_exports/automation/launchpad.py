"""Jobs with a form: run one export now, or all whose schedule is on, from the launchpad of Dagster's UI.

Neither delivers anything by itself. Each delivery is a run of its own, on the same instance, as it is from the command line:
with its partition, its lineage and its lease. It runs beside the job, in its process, so that no daemon is needed and the job
ends as the delivery does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagster import (
    ConfigMapping,
    DagsterExecutionInterruptedError,
    Enum,
    EnumValue,
    Failure,
    Field,
    GraphDefinition,
    JobDefinition,
    MetadataValue,
    Noneable,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
)

from cdp_exports.assets.events import error_metadata
from cdp_exports.assets.ledger import open_ledger
from cdp_exports.assets.run import Run, run_in_process
from cdp_exports.automation.run_all import Ended, LeftOut, run_all
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.errors import CdpExportsError

_DONE = {"result": Out(Nothing)}
_ONCE = {"dagster/retry_on_asset_or_op_failure": "false"}
"""The deliveries' own runs tried again already."""

_NEVER_AGAIN = {"dagster/max_retries": "0"}
"""Where its process dies, another run of it would begin with those that were delivered; the others' schedules are on."""


def launchpad_jobs(catalog: Catalog) -> list[JobDefinition]:
    """`<environment>__run_export` and `<environment>__run_all`, if there is an export."""
    if not catalog.exports:
        return []
    return [_run_export(catalog), _run_all(catalog)]


def _run_export(catalog: Catalog) -> JobDefinition:
    name = f"{catalog.environment.name}__run_export"

    def run_export(dagster: OpExecutionContext, _: Any) -> Iterable[Output[None]]:
        chosen = dagster.op_config
        members = [chosen["member"]] if chosen["member"] else None
        try:
            ended = run_in_process(
                catalog,
                dagster.instance,
                chosen["export"],
                members=members,
                full=chosen["full"],
                resources=dagster.repository_def.get_top_level_resources(),
            )
        except CdpExportsError as error:
            raise Failure(str(error), metadata=error_metadata(error), allow_retries=False) from None
        _end(dagster, [Ended(chosen["export"], ended)])
        yield Output(None, metadata=_metadata(ended))

    exports = Enum(f"{name}_exports", [EnumValue(export) for export in catalog.exports])
    each = sorted({member for export in catalog.exports.values() for member in export.members})
    member = Noneable(Enum(f"{name}_members", [EnumValue(one) for one in each]))
    form = {
        "export": Field(exports, description="Which export."),
        "member": Field(member, is_required=False, default_value=None, description="One dataset or segment of it; empty: all of them."),
        "full": Field(bool, is_required=False, default_value=False, description="Deliver everything and begin a new chain."),
    }
    said = "Runs one export now, at a new export time, whether or not its schedule is on."
    return _job(name, form, run_export, said, _ONCE)


def _run_all(catalog: Catalog) -> JobDefinition:
    name = f"{catalog.environment.name}__run_all"

    def run_every(dagster: OpExecutionContext, _: Any) -> Iterable[Output[None]]:
        instance, resources = dagster.instance, dagster.repository_def.get_top_level_resources()

        def run(export_id: str, number: int, count: int) -> Run:
            dagster.log.info("%s of %s: %s", number, count, export_id)
            return run_in_process(catalog, instance, export_id, resources=resources)

        family = dagster.op_config["family"]
        try:
            ledger = open_ledger(catalog.environment, instance)
            every = list(run_all(catalog, instance, ledger, run, None if family == "both" else family))
        except CdpExportsError as error:
            raise Failure(str(error), metadata=error_metadata(error), allow_retries=False) from None
        left_out = [one for one in every if isinstance(one, LeftOut)]
        for one in left_out:
            dagster.log.info("%s is left out: %s", one.export, one.message)
        started = [one for one in every if isinstance(one, Ended)]
        _end(dagster, started)
        yield Output(
            None,
            metadata={
                "cdp/started": MetadataValue.json({one.export: one.run.run_id for one in started if one.run}),
                "cdp/left_out": MetadataValue.json({one.export: one.message for one in left_out}),
            },
        )

    families = Enum(f"{name}_families", [EnumValue("both"), EnumValue("dataset"), EnumValue("profile")])
    form = {"family": Field(families, is_required=False, default_value="both", description="Exports of datasets, of segments, or both.")}
    said = "Runs every export whose schedule is on, one after the other, each at a new export time."
    return _job(name, form, run_every, said, _NEVER_AGAIN)


def _job(name: str, form: Mapping[str, Any], compute: Any, description: str, tags: Mapping[str, str]) -> JobDefinition:
    """A job of one step, whose config is the form and nothing else."""
    step = f"{name}_now"

    def filled_in(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ops": {step: {"config": chosen}}}

    op = OpDefinition(compute, name=step, outs=_DONE, config_schema=form, description=description)
    graph = GraphDefinition(name=name, node_defs=[op], description=description)
    return graph.to_job(config=ConfigMapping(filled_in, config_schema=form), description=description, tags=tags)


def _end(dagster: OpExecutionContext, started: list[Ended]) -> None:
    """What did not deliver is said in a sentence each; a skip leaves the job green.

    Raises:
        Failure: a delivery failed.
        DagsterExecutionInterruptedError: somebody terminated the job.
    """
    failed: list[str] = []
    for one in started:
        errors = [outcome.error for outcome in one.run.outcomes if outcome.error] if one.run else []
        skipped = {id(outcome.error) for outcome in one.run.outcomes if outcome.status == "skipped"} if one.run else set[int]()
        errors += [error for error in (one.error, one.run.error if one.run else None) if error]
        for error in errors:
            if id(error) in skipped:
                dagster.log.warning(str(error.of(export=one.export)))
            else:
                failed.append(str(error.of(export=one.export)))
    if any(one.run is not None and one.run.cancelled for one in started):
        raise DagsterExecutionInterruptedError
    if failed:
        raise Failure("\n".join(failed), allow_retries=False) from None


def _metadata(ended: Run) -> dict[str, Any]:
    return {
        "cdp/run": MetadataValue.dagster_run(ended.run_id),
        "cdp/export_time": str(ended.export_time),
        "cdp/members": MetadataValue.json({outcome.member: outcome.status for outcome in ended.outcomes}),
    }
