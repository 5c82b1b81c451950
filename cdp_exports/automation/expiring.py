"""Files whose time is over are removed every hour, whether their export runs or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagster import (
    DefaultScheduleStatus,
    Failure,
    GraphDefinition,
    JobDefinition,
    Nothing,
    OpDefinition,
    OpExecutionContext,
    Out,
    Output,
    ScheduleDefinition,
)

from cdp_exports.assets.events import error_metadata
from cdp_exports.assets.opening import step_context
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.errors import CdpExportsError


def expiry_schedules(catalog: Catalog) -> list[ScheduleDefinition]:
    """`<environment>__expire_files`, on by default, where a connection keeps files for a time only."""
    if not any(connection.keep_for for connection in catalog.connections.values()):
        return []
    job = _job(catalog)
    return [
        ScheduleDefinition(
            name=job.name,
            job=job,
            cron_schedule="23 * * * *",
            default_status=DefaultScheduleStatus.RUNNING,
            description="Removes delivered files that were kept for as long as `keep_for` of their connection says.",
        )
    ]


def _job(catalog: Catalog) -> JobDefinition:
    name = f"{catalog.environment.name}__expire_files"

    def expire_files(dagster: OpExecutionContext, _: Any) -> Iterable[Output[None]]:
        from cdp_exports.delivery.expiring import expire

        try:
            for delivery in expire(step_context(catalog, dagster.instance, {})):
                dagster.log.info("%s/%s at %s: files removed.", delivery.export, delivery.member, delivery.export_time)
        except CdpExportsError as error:
            raise Failure(str(error), metadata=error_metadata(error)) from None
        yield Output(None, "result")

    op = OpDefinition(compute_fn=expire_files, name=name, outs={"result": Out(Nothing)})
    return GraphDefinition(name=name, node_defs=[op]).to_job(description="Removes delivered files whose time is over.")
