"""Connections in Dagster: an external asset each, with a check of whether it is in order, a job that runs them and its schedule."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetSelection,
    AssetSpec,
    DefaultScheduleStatus,
    Definitions,
    MetadataValue,
    ScheduleDefinition,
    TableColumn,
    TableRecord,
    TableSchema,
    define_asset_job,  # pyright: ignore[reportUnknownVariableType]  - Dagster leaves a part of its metadata untyped
    multi_asset_check,
)

from cdp_exports.catalog.catalog import Catalog

if TYPE_CHECKING:
    from cdp_exports.destinations.checking import Check

GROUP = "connections"
CHECK = "in_order"

_COLUMNS = TableSchema([TableColumn("step"), TableColumn("status"), TableColumn("seen"), TableColumn("next_step")])
_DAILY = "0 6 * * *"


def connection_key(connection_id: str) -> AssetKey:
    """A connection: `connections/<id>`."""
    return AssetKey([GROUP, connection_id])


def job_name(environment: str) -> str:
    """The job that checks connections, and its schedule; no id begins with `_`, so no export's schedule has this name."""
    return f"{environment}__check_connections"


def connection_definitions(catalog: Catalog) -> Definitions:
    """Nothing where there is no connection. The schedule is off until somebody switches it on."""
    if not catalog.connections:
        return Definitions()
    name = job_name(catalog.environment.name)
    keys = [connection_key(connection_id) for connection_id in catalog.connections]
    job = define_asset_job(
        name,
        AssetSelection.checks_for_assets(*keys),
        description="Signs in to every connection, writes a probe, reads it back and deletes it.",
    )
    schedule = ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=_DAILY,
        execution_timezone=catalog.environment.time_zone,
        default_status=DefaultScheduleStatus.STOPPED,
        description="Checks all connections, so that a key that expires is known before a delivery fails.",
    )
    return Definitions(assets=_assets(catalog), asset_checks=[_checks(catalog)], jobs=[job], schedules=[schedule])


def _assets(catalog: Catalog) -> list[AssetSpec]:
    return [
        AssetSpec(
            connection_key(connection_id),
            group_name=GROUP,
            kinds={connection.type},
            description=connection.description or f"Where exports go: a connection of the type `{connection.type}`.",
            tags={"cdp/environment": catalog.environment.name, "cdp/connection": connection_id},
        )
        for connection_id, connection in catalog.connections.items()
    ]


def _checks(catalog: Catalog) -> AssetChecksDefinition:
    """One step for all: one connection that is not in order keeps none from being checked."""
    specs = [
        AssetCheckSpec(CHECK, asset=connection_key(connection_id), description="Everything a delivery will need is tried once.")
        for connection_id in catalog.connections
    ]

    def in_order(context: AssetCheckExecutionContext) -> Iterator[AssetCheckResult]:
        from cdp_exports.destinations.checking import check_connections

        chosen = {selected.asset_key for selected in context.selected_asset_check_keys}
        connections = {name: connection for name, connection in catalog.connections.items() if connection_key(name) in chosen}
        for name, checks in check_connections(connections, catalog.root, os.environ).items():
            yield _result(connection_key(name), checks)

    in_order.__annotations__["context"] = AssetCheckExecutionContext  # Dagster does not read it as text
    return multi_asset_check(specs=specs, can_subset=True, name=f"{catalog.environment.name}__connections")(in_order)


def _result(key: AssetKey, checks: list[Check]) -> AssetCheckResult:
    """A warning is a check that did not pass, in yellow."""
    from cdp_exports.destinations.checking import worst

    status = worst(checks)
    said = " ".join(f"{check.step}: {check.message} {check.next_step}".strip() for check in checks if check.status != "ok")
    rows = [
        TableRecord({"step": check.step, "status": check.status, "seen": check.message, "next_step": check.next_step}) for check in checks
    ]
    return AssetCheckResult(
        passed=status == "ok",
        asset_key=key,
        check_name=CHECK,
        severity=AssetCheckSeverity.WARN if status == "warning" else AssetCheckSeverity.ERROR,
        description=said or "In order.",
        metadata={"steps": MetadataValue.table(rows, schema=_COLUMNS)},
    )
