"""Ticks of the refresh sensor over many exports, measured one after the other in one process: nothing due, all due, all asked for.

`python -m benchmarks.ticks FOLDER EXPORTS` prints seconds and counts as JSON. The sensor is evaluated as the code server does
it, on an instance and a ledger in SQLite; the daemon's part, to make runs of what is asked for, is done by hand and not measured.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from cdp_exports.assets.ledger import open_ledger
from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import Counts, Delivery, Pin, SourcePin, State

if TYPE_CHECKING:
    from cdp_exports.catalog.catalog import Catalog

SENSOR = "bench__dataset_refresh"
JOB = "__ASSET_JOB"
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="cdp_exports.definitions")), "__repository__"), JOB
)
SHARED = 20
DELIVERED = ExportTime.parse("202601010000")


def declare(folder: Path, exports: int) -> None:
    """A catalog whose exports follow the refreshes of two tables each: one of their own, and one that a twentieth of them reads, whose
    second commit is yet to come."""
    import deltalake
    import pyarrow as pa

    for number in (1, 2):
        deltalake.write_deltalake(folder / "template", pa.table({"id": [number]}), mode="append")
    for name in ("connections", "datasets", "exports"):
        (folder / "catalog" / name).mkdir(parents=True)
    (folder / "catalog" / "environment.yaml").write_text("name: bench\n")
    (folder / "catalog" / "connections" / "out.yaml").write_text("type: local\nfolder: out\n")
    for name in (*(f"own{number}" for number in range(exports)), *(f"shared{number}" for number in range(SHARED))):
        log = folder / "data" / name / "_delta_log"
        log.mkdir(parents=True)
        shutil.copy(folder / "template" / "_delta_log" / f"{0:020}.json", log)
        (folder / "catalog" / "datasets" / f"{name}.yaml").write_text(f"source: {{format: delta, uri: data/{name}}}\nkey: [id]\n")
    for number in range(exports):
        read = f"datasets: [own{number}, shared{number % SHARED}]\npath: '{{export_id}}/{{dataset_id}}/{{export_time}}'"
        export = f"kind: dataset\nconnection: out\n{read}\nschedule: {{after: refresh}}\n"
        (folder / "catalog" / "exports" / f"e{number}.yaml").write_text(export)


def refresh(folder: Path) -> None:
    """The shared tables have their second commit, so that every export is due."""
    commit = folder / "template" / "_delta_log" / f"{1:020}.json"
    for table in (folder / "data").glob("shared*"):
        shutil.copy(commit, table / "_delta_log")


@dataclass
class Ticks:
    """One code location; `seconds` of each tick."""

    catalog: Catalog
    instance: dg.DagsterInstance
    cursor: str | None = None
    seconds: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.repository = build_definitions(self.catalog).get_repository_def()

    def tick(self) -> list[str]:
        """One tick; the exports that it asks to run."""
        context = dg.build_sensor_context(self.instance, self.cursor, repository_def=self.repository, sensor_name=SENSOR)
        begun = time.perf_counter()
        with context:
            result = self.repository.get_sensor_def(SENSOR)(context)
        self.seconds.append(time.perf_counter() - begun)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for request in result.run_requests or []:
            tags = {**request.tags, "dagster/run_key": request.run_key or "", "dagster/sensor_name": SENSOR}
            queued = dg.DagsterRun(job_name=JOB, tags=tags, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=ORIGIN)
            self.instance.add_run(queued)
        return [request.tags["cdp/export"] for request in result.run_requests or []]


def as_delivered(catalog: Catalog, instance: dg.DagsterInstance) -> None:
    """As if every export had been delivered up to the first commit of its table."""
    from cdp_exports.sources.open import open_source

    head = open_source(catalog.datasets["own0"], catalog.root, {}).head()
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    def delivery(export_id: str, dataset: str) -> Delivery:
        source = SourcePin(
            dataset=dataset,
            table_id=head.table_id,
            after_version=None,
            after_commit=None,
            upto_version=head.version,
            upto_commit=head.commit,
            change_source=None,
        )
        pin = Pin(
            mode="full",
            sources=(source,),
            key=("id",),
            connection_id="out",
            connection={"type": "local", "folder": "out"},
            target="file:///out",
            owner_folder=dataset,
            folder=f"{dataset}/exportTime={DELIVERED}",
            file_name="part",
            format={},
            columns=(),
            definition={},
        )
        return Delivery(
            id=f"{export_id}-{dataset}",
            environment="bench",
            kind="dataset",
            export=export_id,
            member=dataset,
            export_time=DELIVERED,
            chain=f"{export_id}-{dataset}",
            sequence=1,
            base_export_time=DELIVERED,
            previous_export_time=None,
            state=State.COMMITTED,
            pin=pin,
            attempt_id=f"{export_id}-{dataset}-1",
            counts=Counts(received=1, delivered=1, inserted=1),
            run_id="benchmark",
            pinned_at=moment,
            committed_at=moment,
        )

    open_ledger(catalog.environment, instance).adopt(
        delivery(name, member) for name, export in catalog.exports.items() for member in export.members
    )


def main(folder: Path, exports: int) -> dict[str, float]:
    declare(folder, exports)
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    catalog = load(folder / "catalog")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        as_delivered(catalog, instance)
        ticks = Ticks(catalog, instance)
        while len(ticks.seconds) < 1 or ticks.cursor is not None:  # all tables are looked at for the first time
            assert ticks.tick() == []
        first = list(ticks.seconds)
        ticks.seconds.clear()
        for _ in range(5):
            assert ticks.tick() == []
        idle = list(ticks.seconds)
        ticks.seconds.clear()
        refresh(folder)
        asked: list[str] = []
        while len(asked) < exports or ticks.cursor is not None:
            found = ticks.tick()
            assert found or ticks.cursor is not None, f"{exports - len(asked)} exports were lost"
            asked += found
        assert sorted(asked) == sorted(catalog.exports), "each once"
        due = list(ticks.seconds)
        assert ticks.tick() == []
    return {"first": max(first), "first_ticks": len(first), "idle": median(idle), "due": max(due), "due_ticks": len(due)}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
