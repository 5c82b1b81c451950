"""A catalog whose exports follow refreshes, its tables, an upstream that takes as long as a test says, and the daemon's part of a tick."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from textwrap import dedent

import dagster as dg
import deltalake
import pyarrow as pa

from cdp_exports.assets.ledger import open_ledger
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Delivery, SkipRecord, State

WAREHOUSE = dg.AssetKey(["warehouse", "orders"])

CATALOG = {
    "environment.yaml": "name: acme\n",
    "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [id]\nasset_key: [warehouse, orders]\n",
    "datasets/events.yaml": "source: {format: delta, uri: data/events}\nkey: [id]\n",
    "connections/outbox.yaml": "type: local\nfolder: outbox\n",
}


@dataclass
class Scene:
    """`tick` evaluates the sensor of dataset exports and does with it what the daemon does, up to `launch`."""

    root: Path
    instance: dg.DagsterInstance
    cursor: str | None = None
    sensor: str = "acme__dataset_refresh"
    said: str | None = None

    @classmethod
    def create(cls, root: Path, instance: dg.DagsterInstance, **exports: str) -> Scene:
        """`exports`: what each declares beside its kind and connection."""
        scene = cls(root, instance)
        for name, text in CATALOG.items():
            scene.declare(name, text)
        for name, text in exports.items():
            scene.export(name, text)
        scene.write("orders", 1, 2)
        scene.write("events", 1)
        return scene

    def declare(self, name: str, text: str) -> None:
        path = self.root / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")

    def export(self, name: str, text: str) -> None:
        path = f"path: '{name}/{{dataset_id}}/exportTime={{export_time}}'\n"
        self.declare(f"exports/{name}.yaml", f"kind: dataset\nconnection: outbox\n{path}{text}\n")

    def write(self, table: str, *ids: int) -> None:
        deltalake.write_deltalake(self.root / "data" / table, pa.table({"id": list(ids)}), mode="append")

    @property
    def catalog(self) -> Catalog:
        return load(self.root / "catalog")

    @property
    def ledger(self) -> Ledger:
        return open_ledger(self.catalog.environment, self.instance)

    # the upstream
    def _upstream(self, work: dg.AssetsDefinition) -> dg.JobDefinition:
        return dg.Definitions(assets=[work]).resolve_implicit_global_asset_job_def()

    def refresh(self, *ids: int, fails: bool = False) -> str:
        """The warehouse's own run, with rows; its id."""

        @dg.asset(key=WAREHOUSE)
        def orders() -> None:
            if ids:
                self.write("orders", *ids)
            if fails:
                raise dg.Failure("no", allow_retries=False)

        return self._upstream(orders).execute_in_process(instance=self.instance, raise_on_error=False).run_id

    @contextmanager
    def refreshing(self, *ids: int, fails: bool = False) -> Generator[str]:
        """The same, at work inside the block and ended behind it."""
        begun, may_end, run_id = threading.Event(), threading.Event(), list[str]()

        @dg.asset(key=WAREHOUSE)
        def orders() -> None:
            run_id.append(dg.AssetExecutionContext.get().run.run_id)
            begun.set()
            assert may_end.wait(60)
            if ids:
                self.write("orders", *ids)
            if fails:
                raise dg.Failure("no", allow_retries=False)

        job = self._upstream(orders)
        thread = threading.Thread(target=lambda: job.execute_in_process(instance=self.instance, raise_on_error=False))
        thread.start()
        assert begun.wait(60)
        try:
            yield run_id[0]
        finally:
            may_end.set()
            thread.join()

    # the daemon
    def evaluate(self) -> Sequence[dg.RunRequest]:
        """One tick of the sensor; it mints the partitions and launches nothing."""
        repository = build_definitions(self.catalog).get_repository_def()
        with dg.build_sensor_context(self.instance, self.cursor, repository_def=repository, sensor_name=self.sensor) as context:
            result = repository.get_sensor_def(self.sensor)(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.said = result.skip_reason.skip_message if result.skip_reason else None
        for request in result.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return result.run_requests or []

    def launch(self, request: dg.RunRequest) -> None:
        """As the daemon: nothing where a run of this key is there."""
        assert request.run_key
        tags = {"dagster/sensor_name": self.sensor, "dagster/run_key": request.run_key}
        if self.instance.get_runs(dg.RunsFilter(tags=tags)):
            return
        job = build_definitions(self.catalog).resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection or []),
            tags={**request.tags, **tags},
            raise_on_error=False,
        )

    def tick(self) -> list[str]:
        """One tick and its runs: `export/export time` of each."""
        requests = self.evaluate()
        for request in requests:
            self.launch(request)
        return [request.run_key or "" for request in requests]

    def schedule(self, export: str, at: datetime) -> dg.RunRequest | str:
        """A tick of an export's schedule; its message where it starts no run. What it asks for is launched."""
        repository = build_definitions(self.catalog).get_repository_def()
        with dg.build_schedule_context(self.instance, scheduled_execution_time=at, repository_def=repository) as context:
            data = repository.get_schedule_def(f"acme_{export}").evaluate_tick(context)
        if not data.run_requests:
            return data.skip_message or ""
        (request,) = data.run_requests
        job = build_definitions(self.catalog).resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection or []),
            tags={**request.tags, "dagster/schedule_name": f"acme_{export}"},
            raise_on_error=False,
        )
        return request

    # what came of it
    def partitions(self, export: str) -> list[str]:
        return sorted(self.instance.get_dynamic_partitions(f"acme/{export}"))

    def delivered(self, export: str) -> list[tuple[str, str, int]]:
        """Committed deliveries, oldest first: member, export time, rows. The manifest of each is there, and no other one."""
        committed = self.committed(export)
        manifests = {(path.parent.parent.name, path.parent.name[-12:]) for path in (self.root / "outbox" / export).rglob("_manifest")}
        assert manifests == {(member, time) for member, time, _ in committed}
        for member in {member for member, _, _ in committed}:
            key = dg.AssetKey(["dataset_exports", export, member])
            assert self.instance.get_materialized_partitions(key) == {time for of, time, _ in committed if of == member}
        return committed

    def committed(self, export: str) -> list[tuple[str, str, int]]:
        """By the ledger alone."""
        found = [entry for entry in self.ledger.history("acme", export) if isinstance(entry, Delivery)]
        return sorted(((one.member, str(one.export_time), one.counts.delivered) for one in found if one.counts), key=lambda one: one[1])

    def has_delivered(self, export: str) -> bool:
        """Whether a delivery is committed and Dagster has recorded it."""
        committed = [one for one in self.ledger.history("acme", export) if isinstance(one, Delivery) and one.state is State.COMMITTED]
        members = [dg.AssetKey(["dataset_exports", export, one.member]) for one in committed]
        return bool(members) and all(self.instance.get_latest_materialization_event(key) for key in members)

    def history(self, export: str) -> list[tuple[str, str, str]]:
        """What was not delivered, oldest first: export time, outcome, reason."""
        found = [entry for entry in self.ledger.history("acme", export) if isinstance(entry, SkipRecord)]
        return sorted((str(one.export_time), one.outcome, one.reason) for one in found)
