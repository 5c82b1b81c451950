"""Export times that fell due while what they read was being refreshed: do they still wait, run now, or not at all?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dagster import AssetCheckEvaluation, AssetCheckSeverity, AssetKey, AssetObservation, DagsterInstance

from cdp_exports.assets.events import DELIVERED
from cdp_exports.assets.keys import dataset_key, export_key
from cdp_exports.assets.refreshing import IDLE, Refresh
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.refresh import span
from cdp_exports.ledger.due import Due
from cdp_exports.ledger.records import SkipRecord


@dataclass(frozen=True)
class Upstreams:
    """How the datasets of one export stand. `failed`: by dataset, the run that should have refreshed it."""

    running: tuple[str, ...]
    failed: Mapping[str, str]


def upstreams(catalog: Catalog, datasets: Iterable[str], standing: Mapping[AssetKey, Refresh]) -> Upstreams:
    """How these datasets stand. `standing`: how their assets do."""
    found = {name: standing.get(dataset_key(catalog, name), IDLE) for name in datasets}
    running = dict.fromkeys(run for refresh in found.values() for run in refresh.running)
    return Upstreams(tuple(running), {name: refresh.failed for name, refresh in found.items() if refresh.failed})


Verdict = Literal["run", "wait", "upstream_failed", "upstream_late"]


def judge(cadence: Cadence, upstream: Upstreams, *, since: datetime, now: datetime) -> Verdict:
    """What becomes of an export time that fell due at `since`."""
    late = now - since > span(cadence.max_wait)
    if upstream.running and not late:
        return "wait"
    if cadence.on_upstream_failure == "last_good" or not (upstream.running or upstream.failed):
        return "run"
    return "upstream_late" if upstream.running else "upstream_failed"


def skipped(
    one: Due, reason: str, by: str, at: datetime, upstream: Upstreams | None = None, instead: ExportTime | None = None
) -> list[SkipRecord]:
    """What stands in the history of an export time that does not run. `by`: the schedule or sensor that decided."""
    runs = ", ".join(dict.fromkeys([*(upstream.running if upstream else ()), *(upstream.failed.values() if upstream else ())]))
    again = f"Refresh it again; the next export time takes everything along. To deliver what is there: `cdp-exports run {one.export}`."
    message, next_step = {
        "upstream_failed": (f"What it reads could not be refreshed: {', '.join(upstream.failed if upstream else ())} (run {runs}).", again),
        "upstream_late": (f"What it reads is still being refreshed (run {runs}), after the longest wait that its schedule allows.", again),
        "inactive": (
            "Its schedule was switched off, ended or removed while it waited.",
            "Nothing to do: the next delivery takes its rows along.",
        ),
        "removed": ("It was removed from the catalog before it ran.", "Nothing to do. What was delivered before stays."),
        "covered_by": (f"It waited for a refresh; its rows go with {instead}.", "Nothing to do: nothing is missing."),
    }[reason]
    return [
        SkipRecord(
            environment=one.environment,
            export=one.export,
            member=member,
            export_time=one.export_time,
            reason=reason,
            message=message,
            next_step=next_step,
            run_id=by,
            at=at,
        )
        for member in one.members
    ]


def tell(catalog: Catalog, instance: DagsterInstance, records: Collection[SkipRecord]) -> None:
    """Show in Dagster that nothing was delivered, or not yet: an observation and the check of each member. No partition is made of it."""
    for record in records:
        if record.export not in catalog.exports:
            continue
        key = export_key(catalog.exports[record.export].kind, record.export, record.member)
        metadata = {
            "cdp/outcome": record.outcome,
            "cdp/export_time": str(record.export_time),
            "cdp/reason": record.reason,
            "cdp/message": record.message,
            "cdp/next_step": record.next_step,
        }
        instance.report_runless_asset_event(AssetObservation(key, description=record.message, metadata=metadata))
        instance.report_runless_asset_event(
            AssetCheckEvaluation(
                asset_key=key,
                check_name=DELIVERED,
                passed=False,
                severity=AssetCheckSeverity.WARN,
                description=record.message,
                metadata=metadata,
            )
        )
