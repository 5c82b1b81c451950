"""Asking Dagster for a run of one export at one export time."""

from __future__ import annotations

from collections.abc import Sequence

from dagster import AddDynamicPartitionsRequest, RunRequest

from cdp_exports.assets.keys import export_key, run_tags
from cdp_exports.assets.partitions import export_times
from cdp_exports.automation.ordering import PRIORITY, priorities
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger


def run_request(
    catalog: Catalog, ledger: Ledger, export_id: str, export_time: ExportTime, members: Sequence[str], *, run_key: str
) -> RunRequest:
    """One run; asked for again with the same key, Dagster starts no second one."""
    export = catalog.exports[export_id]
    priority = priorities(catalog, ledger, [export_id]).get(export_id)
    return RunRequest(
        run_key=run_key,
        partition_key=str(export_time),
        asset_selection=[export_key(export.kind, export_id, member) for member in members],
        tags={**run_tags(catalog, export_id), **({} if priority is None else {PRIORITY: str(priority)})},
    )


def partition_request(catalog: Catalog, export_id: str, export_time: ExportTime) -> AddDynamicPartitionsRequest:
    """The partition of an export time; one that is there stays."""
    return export_times(catalog.environment.name, export_id).build_add_request([str(export_time)])
