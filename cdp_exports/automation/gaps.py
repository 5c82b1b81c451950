"""Times of a cadence that nobody evaluated: the daemon was down, the machine off, or no code location was loaded."""

from __future__ import annotations

from itertools import islice, takewhile

from dagster import DagsterInstance

from cdp_exports.assets.keys import op_name
from cdp_exports.automation.toggles import on_since
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger

MOST = 10_000
"""How many missed times are written down of one gap; a month of every five minutes is 8,640."""


def cadence_text(catalog: Catalog, cadence: Cadence) -> str:
    """What may not change if the cadence is to be the same: when it ticks, not how it waits."""
    ticking = cadence.model_dump_json(exclude={"on_upstream_failure", "max_wait"}, exclude_none=True)
    return ticking if cadence.time_zone or cadence.every else f"{ticking} {catalog.environment.time_zone}"


def note_missed(catalog: Catalog, ledger: Ledger, instance: DagsterInstance, export_id: str, cadence: Cadence, tick: ExportTime) -> None:
    """Write down the times that passed before this tick and that nobody evaluated: Dagster makes up for the last one only.

    They begin at the later of the export's newest export time and the moment its schedule was switched on or changed.
    """
    environment, export = catalog.environment.name, catalog.exports[export_id]
    schedule = op_name(environment, export_id)
    unchanged_since = ledger.cadences_since(environment, {export_id: cadence_text(catalog, cadence)})[export_id]
    newest = ledger.newest_time(environment, export_id, *([export.formerly] if export.formerly else []))
    begin = max(filter(None, (unchanged_since, on_since(instance, schedule), newest and newest.at)))
    times = takewhile(lambda time: time < tick.at, cadence.times_after(catalog.environment.time_zone, begin))
    missed = [ExportTime(time) for time in islice(times, MOST)]
    if missed:
        between = f"{missed[0].at:%Y-%m-%d %H:%M} and {tick.at:%Y-%m-%d %H:%M} UTC"
        why = f"Nobody evaluated the schedule between {between}: dagster-daemon did not run."
        ledger.missed(environment, export_id, export.members, missed, why=why, noticed_by=schedule)
