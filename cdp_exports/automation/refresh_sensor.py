"""The sensor of one family of exports: it runs those that follow a refresh, and those that fell due during one.

All that must outlive a crash stands in the ledger: an export time is minted together with what it is for, and asked for
in every tick until its run is there. A run that is asked for twice is started once, by its key.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from dagster import (
    AssetKey,
    AssetSelection,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
)

from cdp_exports.assets.keys import FAMILIES, FAMILY, GROUPS, Kind, dataset_key
from cdp_exports.assets.ledger import open_ledger
from cdp_exports.assets.observations import Observations
from cdp_exports.assets.refreshing import Refresh, active_runs, refreshes
from cdp_exports.automation.asking import partition_request, run_request
from cdp_exports.automation.following import Refreshed, refreshed
from cdp_exports.automation.gaps import cadence_text
from cdp_exports.automation.noticing import Noticing
from cdp_exports.automation.ordering import priorities
from cdp_exports.automation.reads import Reads
from cdp_exports.automation.removal import withdraw_gone
from cdp_exports.automation.switches import schedules_on
from cdp_exports.automation.waiting import Upstreams, judge, skipped, tell, upstreams
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.still import still_declared
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.ledger.due import Due
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.signals import Signal

LAUNCHES = 50
"""How many runs one tick asks for: the longest due first, the others in the ticks that follow."""

DROPS = 200
"""How many export times one tick gives up; to tell Dagster of each takes a few hundredths of a second."""

START = timedelta(minutes=5)
"""How long a run may take from its start until it has the export's lease."""

SECONDS = 30
"""Between two ticks."""


def sensor_name(environment: str, kind: Kind) -> str:
    """The name of a family's sensor; no id begins with `_`, so no export's schedule has it."""
    return f"{environment}__{FAMILIES[kind]}_refresh"


def refresh_sensor(catalog: Catalog, exports: Mapping[str, DatasetExport] | Mapping[str, SegmentExport]) -> list[SensorDefinition]:
    """The sensor of exports of one kind; none where none has a schedule. On by default: without it nothing that waits is delivered."""
    scheduled = {export_id: export for export_id, export in exports.items() if export.schedule}
    if not scheduled:
        return []
    kind = next(iter(scheduled.values())).kind
    name, reads, observations = sensor_name(catalog.environment.name, kind), Reads(catalog), Observations()

    def evaluate(context: SensorEvaluationContext) -> SensorResult:
        return Tick(catalog, kind, scheduled, reads, observations, name, context).result()

    sensor = SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        asset_selection=AssetSelection.groups(GROUPS[kind]),
        minimum_interval_seconds=SECONDS,
        default_status=DefaultSensorStatus.RUNNING,
        description=f"Runs {FAMILIES[kind]} exports whose schedule is `after: refresh`, and those that waited for a refresh.",
        tags={FAMILY: FAMILIES[kind]},
    )
    return [sensor]


@dataclass
class Tick:
    """One evaluation. `exports`: those with a schedule."""

    catalog: Catalog
    kind: Kind
    exports: Mapping[str, DatasetExport | SegmentExport]
    reads: Reads
    observations: Observations
    sensor: str
    context: SensorEvaluationContext
    requests: list[tuple[Due, RunRequest]] = field(default_factory=list[tuple[Due, RunRequest]])
    said: list[str] = field(default_factory=list[str])
    dropped: int = 0

    @cached_property
    def ledger(self) -> Ledger:
        return open_ledger(self.catalog.environment, self.context.instance)

    @cached_property
    def environment(self) -> str:
        return self.catalog.environment.name

    @cached_property
    def active(self) -> list[DagsterRun]:
        return active_runs(self.context.instance)

    @cached_property
    def at_work(self) -> Mapping[str, list[DagsterRun]]:
        """Our runs that are queued or at work, by export."""
        found: dict[str, list[DagsterRun]] = {}
        for run in self.active:
            found.setdefault(run.tags.get("cdp/export", ""), []).append(run)
        return found

    @cached_property
    def now(self) -> datetime:
        return self.ledger.now()

    def result(self) -> SensorResult:
        timed = {name: export.schedule for name, export in self.exports.items() if export.schedule and not export.schedule.after}
        self.ledger.cadences_since(self.environment, {name: cadence_text(self.catalog, cadence) for name, cadence in timed.items()})
        self.said += withdraw_gone(self.catalog, self.context.instance, self.ledger, self.active, self.kind)
        open_ones = [one for one in self.ledger.due(self.environment) if self._is_ours(one)]
        following = {
            name: export.schedule
            for name, export in self.exports.items()
            if export.schedule and export.schedule.after and export.active and export.schedule.contains(self.now)
        }
        followed = {dataset for name in following for dataset in self.reads.of_all(name, self.exports[name].members)}
        standing = self._standing(followed | {dataset for one in open_ones for dataset in self._read_by(one)})
        noticing = Noticing(self.catalog, self.context.instance, self.ledger, standing, self.context.log)
        signals, cursor = noticing.notice(followed, self.context.cursor)
        launched = self._ask_again([one for one in open_ones if one.state == "requested"])
        self._settle([one for one in open_ones if one.state == "waiting_for_refresh"], standing)
        pending = {one.export for one in open_ones if one not in launched}
        self._follow({name: cadence for name, cadence in following.items() if name not in pending}, signals, standing)
        return SensorResult(
            run_requests=[request for _, request in self.requests],
            dynamic_partitions_requests=[partition_request(self.catalog, one.export, one.export_time) for one, _ in self.requests],
            skip_reason=None if self.requests else " ".join(self.said) or "Nothing is due.",
            cursor=cursor,
        )

    def _is_ours(self, one: Due) -> bool:
        """Whether it is of this family; what is no longer declared belongs to either."""
        declared = self.catalog.exports.get(one.export)
        return declared is None or declared.kind == self.kind

    def _read_by(self, one: Due) -> tuple[str, ...]:
        return self.reads.of_all(one.export, self._members(one)) if one.export in self.exports else ()

    def _members(self, one: Due) -> list[str]:
        """Those that are still declared."""
        return [member for member in self.exports[one.export].members if member in one.members]

    def _standing(self, datasets: Collection[str]) -> dict[AssetKey, Refresh]:
        instance, keys = self.context.instance, {name: dataset_key(self.catalog, name) for name in sorted(datasets)}
        observed = self.observations.newest(instance, [key for name, key in keys.items() if self.catalog.datasets[name].asset_key])
        return refreshes(instance, list(keys.values()), self.active, observed)

    # -- what was asked for
    def _ask_again(self, requested: Collection[Due]) -> list[Due]:
        """Until its run is there: Dagster may have died between the minting and the launch. Those whose run is there."""
        if not requested:
            return []
        keys = {_run_key(one): one for one in requested}
        seen = self.context.instance.get_runs(RunsFilter(tags={"dagster/sensor_name": self.sensor, "dagster/run_key": list(keys)}))
        launched = {run.tags["dagster/run_key"] for run in seen}
        for key, one in keys.items():
            if key in launched:
                self.ledger.move_due(one, "launched")
            elif one.export not in self.exports or not self._members(one):
                self._drop(one, "inactive")
            else:
                self._ask(one)
        return [one for key, one in keys.items() if key in launched]

    def _ask(self, one: Due) -> None:
        if len(self.requests) >= LAUNCHES:
            return
        members = still_declared(self.catalog, one.export, self._members(one))
        if not members:
            self._drop(one, "removed")
            return
        self.requests.append((one, run_request(self.catalog, self.ledger, one.export, one.export_time, members, run_key=_run_key(one))))

    def _drop(self, one: Due, reason: str, upstream: Upstreams | None = None, instead: Due | None = None) -> None:
        records = skipped(one, reason, self.sensor, self.now, upstream, instead.export_time if instead else None)
        self.dropped += 1
        if self.ledger.drop_due(one, records):
            tell(self.catalog, self.context.instance, records)
            self.said.append(f"{one.export} at {one.export_time}: {records[0].message}" if records else "")

    # -- what waits
    def _settle(self, waiting: Collection[Due], standing: Mapping[AssetKey, Refresh]) -> None:
        newest: dict[str, Due] = {}
        for one in sorted(waiting, key=lambda one: one.export_time):
            newest[one.export] = one
        on = schedules_on(self.catalog, self.context.instance) if waiting else {}
        for one in waiting:
            if self.dropped >= DROPS:
                return
            cadence = self.exports[one.export].schedule if one.export in self.exports else None
            if cadence is None or not on.get(one.export) or not self._members(one):
                self._drop(one, "inactive")
            elif newest[one.export] is not one:
                self._drop(one, "covered_by", instead=newest[one.export])
            else:
                self._judge(one, cadence, upstreams(self.catalog, self._read_by(one), standing))

    def _judge(self, one: Due, cadence: Cadence, upstream: Upstreams) -> None:
        verdict = judge(cadence, upstream, since=one.since, now=self.now)
        if verdict == "wait":
            if upstream.running != one.upstream_runs:
                self.ledger.wait_for(one, upstream.running)
            self.said.append(f"{one.export} at {one.export_time} waits for the run {', '.join(upstream.running)}.")
        elif verdict == "run":
            self._launch(one)
        else:
            self._drop(one, verdict, upstream)

    def _launch(self, one: Due) -> None:
        """At its own export time; at a new one where a run by hand has passed it, which would have taken nothing of the refresh along."""
        if len(self.requests) >= LAUNCHES:
            return
        formerly = self.exports[one.export].formerly
        newest = self.ledger.newest_time(self.environment, one.export, *([formerly] if formerly else []))
        if newest is not None and newest > one.export_time:
            later = self.ledger.request(self.environment, one.export, formerly, cause=one.cause, members=one.members, seen=one.seen)
            self._drop(one, "covered_by", instead=later)
            self._ask(later)
        elif self.ledger.move_due(one, "requested"):
            self._ask(one)

    # -- what follows a refresh
    def _follow(self, following: Mapping[str, Cadence], signals: Mapping[str, Signal], standing: Mapping[AssetKey, Refresh]) -> None:
        """Those whose datasets changed; what was asked for once, and failed or was skipped, waits for the next refresh or a person."""
        names = [name for export_id in following for name in (export_id, self.exports[export_id].formerly) if name]
        delivered = self.ledger.last_delivered(self.environment, names) if following else {}
        asked = self.ledger.last_due_of_refreshes(self.environment) if following else {}
        found: list[Refreshed] = []
        for export_id, cadence in following.items():
            assert cadence.after is not None
            one = refreshed(self.reads, export_id, self.exports[export_id], cadence.after, signals, delivered)
            if one is not None and not self._is_busy(export_id):
                found.append(one)
        first = priorities(self.catalog, self.ledger, [one.export for one in found])
        for one in sorted(found, key=lambda one: (-first.get(one.export, 0), one.since)):
            if len(self.requests) < LAUNCHES and self.dropped < DROPS:
                self._follow_one(one, following[one.export], asked.get(one.export), standing)

    def _is_busy(self, export_id: str) -> bool:
        """Whether a run of the export is queued or at work; one that died stays `STARTED` in Dagster, perhaps for ever."""
        runs = self.at_work.get(export_id, [])
        if not runs or any(run.status is DagsterRunStatus.QUEUED for run in runs):
            return bool(runs)
        if self.ledger.holder(self.environment, export_id) is not None:
            return True
        records = self.context.instance.get_run_records(RunsFilter(run_ids=[run.run_id for run in runs]))
        return any(datetime.now(UTC) - record.update_timestamp < START for record in records)

    def _follow_one(self, one: Refreshed, cadence: Cadence, before: Due | None, standing: Mapping[AssetKey, Refresh]) -> None:
        export = self.exports[one.export]
        upstream = upstreams(self.catalog, self.reads.of_all(one.export, export.members), standing)
        verdict = judge(cadence, upstream, since=one.since, now=self.now)
        if verdict == "wait":
            self.said.append(f"{one.export} is due and waits for the run {', '.join(upstream.running)}.")
        elif verdict == "run":
            if not still_declared(self.catalog, one.export, one.members):
                self.said.append(f"{one.export} was removed; load the code location again.")
            elif before is None or before.state == "dropped" or not one.seen.items() <= before.seen.items():
                request = self.ledger.request(
                    self.environment, one.export, export.formerly, cause="refresh", members=one.members, seen=one.seen
                )
                self._ask(request)
        else:
            seen = {
                **one.seen,
                **{f"failed {name}": run for name, run in upstream.failed.items()},
                **dict.fromkeys(upstream.running, "late"),
            }
            if before is None or before.seen != seen:
                refused = self.ledger.request(
                    self.environment,
                    one.export,
                    export.formerly,
                    cause="refresh",
                    state="waiting_for_refresh",
                    members=one.members,
                    seen=seen,
                )
                self._drop(refused, verdict, upstream)


def _run_key(one: Due) -> str:
    return f"{one.export}/{one.export_time}"
