"""A tick that falls due while what its export reads is being refreshed, or could not be."""

from __future__ import annotations

from dagster import DagsterInstance

from cdp_exports.assets.exports import datasets_read
from cdp_exports.assets.keys import dataset_key, op_name
from cdp_exports.assets.refreshing import active_runs, refreshes
from cdp_exports.automation.refresh_sensor import sensor_name
from cdp_exports.automation.toggles import sensor_is_off
from cdp_exports.automation.waiting import judge, skipped, tell, upstreams
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.due import Due
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import SkipRecord


def hold(catalog: Catalog, ledger: Ledger, instance: DagsterInstance, export_id: str, export_time: ExportTime) -> str | None:
    """Why a tick starts no run now: it waits for a refresh, or what it reads could not be refreshed. None: it runs.

    A tick that runs takes those along that still wait.
    """
    environment, export = catalog.environment.name, catalog.exports[export_id]
    assert export.schedule is not None
    schedule, now = op_name(environment, export_id), ledger.now()
    datasets = datasets_read(catalog, export_id, export.members)
    standing = refreshes(instance, [dataset_key(catalog, dataset) for dataset in datasets], active_runs(instance))
    upstream = upstreams(catalog, datasets, standing)
    verdict = judge(export.schedule, upstream, since=now, now=now)
    if verdict == "run":
        for one in ledger.due(environment, export_id):
            if one.state == "waiting_for_refresh" and one.export_time < export_time:
                ledger.drop_due(one, skipped(one, "covered_by", schedule, now, instead=export_time))
        return None
    ledger.wait(environment, export_id, export_time, members=export.members, upstream_runs=upstream.running)
    waiting = next((one for one in ledger.due(environment, export_id) if one.export_time == export_time), None)
    if waiting is None:  # evaluated once more, and decided meanwhile
        return f"{export_time} was decided already: `cdp-exports history {export_id}` tells how."
    if verdict != "wait":
        records = skipped(waiting, verdict, schedule, now, upstream)
        if ledger.drop_due(waiting, records):
            tell(catalog, instance, records)
        return records[0].message
    tell(catalog, instance, _waiting_records(ledger, waiting))
    return _said(instance, waiting, sensor_name(environment, export.kind))


def _waiting_records(ledger: Ledger, waiting: Due) -> list[SkipRecord]:
    found = ledger.history(waiting.environment, waiting.export, limit=10 * len(waiting.members))
    return [one for one in found if isinstance(one, SkipRecord) and one.outcome == "waiting" and one.export_time == waiting.export_time]


def _said(instance: DagsterInstance, waiting: Due, sensor: str) -> str:
    runs = ", ".join(waiting.upstream_runs)
    said = f"{waiting.export_time} waits for the end of the run {runs}, which refreshes what it reads; {sensor} runs it then."
    if sensor_is_off(instance, sensor):
        said += f" But {sensor} is switched off: switch it on, or the next tick takes everything along."
    return said
