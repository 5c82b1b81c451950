"""A small world to deliver in: a catalog on disk, one Delta table, a ledger, a destination, and a receiver.

Everything is in a folder, so that another process can open the same world.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cdp_exports.catalog.load import load
from cdp_exports.delivery import holding
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.member import Member, members_of
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.open import open_audience, open_files
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.sources.open import open_source

if TYPE_CHECKING:
    import polars as pl

TIMES = [f"2026010100{minute:02d}" for minute in range(60)]
"""Export times, long past."""

EXPORT = "orders_out"
_MANIFEST = re.compile(r"(^|/)(_manifest|_manifests/[^/]+/[0-9]{12})$")
Row = tuple[Any, ...]


@dataclass
class World:
    """`connection` is the connection's declaration; `export` and `dataset` add to theirs."""

    folder: Path
    connection: Mapping[str, Any] = field(default_factory=lambda: {"type": "local", "folder": "out"})

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        connection: Mapping[str, Any] | None = None,
        export: Mapping[str, Any] | None = None,
        dataset: Mapping[str, Any] | None = None,
        environment: str = "test",
    ) -> World:
        world = cls(folder) if connection is None else cls(folder, connection)
        world.declare("environment.yaml", {"name": environment})
        world.declare("datasets/orders.yaml", {"source": {"format": "delta", "uri": "data/orders"}, "key": ["id"], **(dataset or {})})
        world.declare("connections/out.yaml", world.connection)
        world.declare(
            f"exports/{EXPORT}.yaml",
            {"kind": "dataset", "connection": "out", "datasets": ["orders"], "changes": "all", **(export or {})},
        )
        return world

    def declare(self, name: str, declaration: Mapping[str, Any]) -> None:
        path = self.folder / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(declaration)))
        self.__dict__.pop("context", None)

    @property
    def table(self) -> str:
        return str(self.folder / "data" / "orders")

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.folder}/ledger.db")

    @cached_property
    def context(self) -> Context:
        catalog = load(self.folder / "catalog")
        return Context(
            catalog=catalog,
            ledger=self.ledger,
            open_source=lambda dataset: open_source(catalog.datasets[dataset], catalog.root, os.environ),
            open_destination=lambda connection: open_files(catalog.connections[connection], catalog.root, os.environ),
            open_audience=lambda connection: open_audience(catalog.connections[connection], catalog.root, os.environ),
            open_state=lambda: open_files(LocalConnection(type="local", folder="state"), catalog.root, os.environ),
        )

    @property
    def member(self) -> Member:
        return members_of(self.context, next(iter(self.context.catalog.exports)))[0]

    @property
    def destination(self) -> FileDestination:
        return self.context.open_destination("out")

    # the source
    def write(self, rows: list[dict[str, Any]], *, mode: str = "append", feed: bool = True, **options: Any) -> None:
        """A commit; by default with the change data feed."""
        import deltalake
        import polars as pl

        frame = pl.DataFrame(rows, schema_overrides={"id": pl.Int64}) if rows else pl.DataFrame(schema={"id": pl.Int64, "v": pl.String})
        configuration = {"delta.enableChangeDataFeed": "true"} if feed else {}
        deltalake.write_deltalake(self.table, frame.to_arrow(), mode=mode, configuration=configuration, **options)  # type: ignore[call-overload]

    def delete(self, predicate: str) -> None:
        import deltalake

        deltalake.DeltaTable(self.table).delete(predicate)

    def update(self, predicate: str, **values: str) -> None:
        import deltalake

        deltalake.DeltaTable(self.table).update(predicate=predicate, updates=values)

    def rows(self) -> Counter[Row]:
        """The table as it is now, by its own reader."""
        import deltalake
        import polars as pl

        frame = pl.from_arrow(deltalake.DeltaTable(self.table).to_pyarrow_table())
        assert isinstance(frame, pl.DataFrame)
        return Counter(frame.select(sorted(frame.columns)).rows())

    # deliveries
    def deliver(self, export_time: str, *, run_id: str | None = None, **options: Any) -> Outcome:
        """One run; the export's only member."""
        export_id = next(iter(self.context.catalog.exports))
        outcomes = list(deliver(self.context, export_id, ExportTime.parse(export_time), run_id=run_id or str(uuid.uuid4()), **options))
        assert len(outcomes) == 1
        return outcomes[0]

    def deliver_after_lease(self, export_time: str, **options: Any) -> Outcome:
        """One run, once the lease of a run that died is free."""
        deadline = time.monotonic() + 30
        while True:
            outcome = self.deliver(export_time, **options)
            if outcome.skip is None or outcome.skip.reason != "already_running" or time.monotonic() > deadline:
                return outcome
            time.sleep(0.1)

    # the receiver
    def manifests(self) -> list[dict[str, Any]]:
        """Every manifest at the destination, oldest first."""
        paths = [stored.path for stored in self.destination.list("") if _MANIFEST.search(stored.path)]
        documents = [json.loads(self.destination.read(path) or b"") for path in paths]
        for document, path in zip(documents, paths, strict=True):
            document["folder"] = posixpath.normpath(posixpath.join(posixpath.dirname(path), document.get("folder", "")))
        return sorted(documents, key=lambda document: document["export_time"])

    def data_files(self) -> set[str]:
        """Data files at the destination, listed in a manifest or not."""
        return {stored.path for stored in self.destination.list("") if not any(part.startswith("_") for part in stored.path.split("/"))}

    def received(self) -> Counter[Row]:
        """What a receiver has who applies base and increments in order."""
        table: Counter[Row] = Counter()
        for document in self.manifests():
            if "covered_by" in document:
                continue
            if document["mode"] == "full":
                table = Counter()
            for change, row in self._changes(document):
                if change == "insert":
                    table[row] += 1
                elif change == "delete":
                    table[row] -= 1
                else:
                    key = row[_key_position(document)]
                    for old in [old for old in table if old[_key_position(document)] == key]:
                        del table[old]
                    table[row] += 1
        return +table

    def _changes(self, document: dict[str, Any]) -> list[tuple[str, Row]]:
        import io

        import polars as pl

        frames: list[pl.DataFrame] = []
        for file in document["files"]:
            content = b"".join(self.destination.stream(f"{document['folder']}/{file['path']}") or ())
            frames.append(pl.read_parquet(io.BytesIO(content)))
        rows: list[tuple[str, Row]] = []
        for frame in frames:
            changes = frame["_change_type"].to_list() if "_change_type" in frame.columns else ["insert"] * frame.height
            plain = frame.drop("_change_type", strict=False)
            rows += zip(changes, plain.select(sorted(plain.columns)).rows(), strict=True)
        return rows


def _key_position(document: dict[str, Any]) -> int:
    columns = sorted(column["name"] for column in document["schema"] if column["name"] != "_change_type")
    return columns.index("id")


def hurry(seconds: float = 1.0) -> None:
    """Short leases, so that tests need not wait for a run that died."""
    holding.LEASE_SECONDS = seconds
    holding.HEARTBEAT_SECONDS = seconds / 4
    holding.POLL_SECONDS = 0.05
