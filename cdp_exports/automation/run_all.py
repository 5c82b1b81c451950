"""Run all: every export whose schedule is on, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from cdp_exports.assets.keys import FAMILIES
from cdp_exports.assets.run import Run
from cdp_exports.automation.ordering import priorities
from cdp_exports.automation.refresh_sensor import sensor_name
from cdp_exports.automation.switches import schedules_on
from cdp_exports.automation.toggles import sensor_is_off
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.ending import unexpected
from cdp_exports.entities.cadence import Cadence
from cdp_exports.errors import CdpExportsError
from cdp_exports.ledger.ledger import Ledger

Family = Literal["dataset", "profile"]


@dataclass(frozen=True)
class LeftOut:
    """An export that was not run, and why. `reason`: on_demand, off, not_started, ended, sensor_off, already_running, interrupted."""

    export: str
    reason: str
    message: str


@dataclass(frozen=True)
class Ended:
    """An export that was run. `run` is None where the run could not begin, and `error` says why."""

    export: str
    run: Run | None
    error: CdpExportsError | None = None


def run_all(
    catalog: Catalog, instance: DagsterInstance, ledger: Ledger, run: Callable[[str, int, int], Run], family: Family | None = None
) -> Iterator[Ended | LeftOut]:
    """Run the exports of a family, or of both, whose schedule is on; `run` is given each with its number and how many there are.

    What an export ends with keeps no other one from running; only an interrupt does.
    """
    chosen = [name for name, export in catalog.exports.items() if family in (None, FAMILIES[export.kind])]
    why = _left_out(catalog, instance, chosen, ledger.now())
    yield from why.values()
    first = priorities(catalog, ledger, chosen)
    due = sorted((name for name in chosen if name not in why), key=lambda name: -first.get(name, 0))
    for number, export_id in enumerate(due, start=1):
        try:
            holder = _at_work(catalog, instance, ledger, export_id)
            ended = _busy(export_id, holder) if holder else Ended(export_id, run(export_id, number, len(due)))
        except CdpExportsError as error:
            ended = Ended(export_id, None, error)
        except Exception as fault:  # noqa: BLE001  its own text may hold data
            ended = Ended(export_id, None, unexpected(fault))
        except KeyboardInterrupt:  # before a run could begin, or when it had ended: what was delivered until now is still told
            yield from map(_interrupted, due[number - 1 :])
            return
        yield ended
        if isinstance(ended, Ended) and ended.run is not None and ended.run.cancelled:
            yield from map(_interrupted, due[number:])
            return


def _busy(export_id: str, holder: str) -> LeftOut:
    return LeftOut(export_id, "already_running", f"It is being delivered, or waits for its turn (run {holder}).")


def _interrupted(export_id: str) -> LeftOut:
    return LeftOut(export_id, "interrupted", "Interrupted before its turn.")


def _left_out(catalog: Catalog, instance: DagsterInstance, exports: list[str], now: datetime) -> dict[str, LeftOut]:
    on = schedules_on(catalog, instance)
    idle = {kind for kind in FAMILIES if sensor_is_off(instance, sensor_name(catalog.environment.name, kind))}
    found: dict[str, LeftOut] = {}
    for export_id in exports:
        export = catalog.exports[export_id]
        cadence = export.schedule
        if cadence is None:
            why = "on_demand", "It has no schedule: it runs on demand only."
        elif not on[export_id]:
            why = "off", "It is `active: false`." if cadence.after else "Its schedule is off."
        elif not cadence.contains(now):
            why = _outside(cadence, now)
        elif cadence.after and export.kind in idle:
            why = "sensor_off", f"It follows refreshes, and {sensor_name(catalog.environment.name, export.kind)} is off."
        else:
            continue
        found[export_id] = LeftOut(export_id, *why)
    return found


def _outside(cadence: Cadence, now: datetime) -> tuple[str, str]:
    if cadence.end is not None and not cadence.model_copy(update={"start": None}).contains(now):
        return "ended", f"Its schedule ended at {cadence.end}."
    return "not_started", f"Its schedule starts at {cadence.start}."


def _at_work(catalog: Catalog, instance: DagsterInstance, ledger: Ledger, export_id: str) -> str | None:
    """The run that holds the export, or that is queued for it: to wait for it would hold up all others."""
    if lease := ledger.holder(catalog.environment.name, export_id):
        return lease.run_id
    tags = {"cdp/environment": catalog.environment.name, "cdp/export": export_id}
    queued = instance.get_runs(RunsFilter(tags=tags, statuses=[DagsterRunStatus.QUEUED]), limit=1)
    return queued[0].run_id if queued else None
