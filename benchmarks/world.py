"""A catalog with one export of one table or segment, its ledger and its destination, in a folder that another process can open."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import profiles, tables

if TYPE_CHECKING:
    from cdp_exports.delivery.context import Context

EXPORT = "measured"


def declare(folder: Path, table: Path, *, connection: Mapping[str, Any] | None = None, **export: Any) -> Path:
    """Write a catalog that exports the line items; the connection is a local folder unless another is declared."""
    dataset = {"source": {"format": "delta", "uri": str(table)}, "key": list(tables.KEY)}
    return _write(
        folder,
        {
            "datasets/lineitem.yaml": dataset,
            "connections/out.yaml": connection or {"type": "local", "folder": "out"},
            f"exports/{EXPORT}.yaml": {"kind": "dataset", "connection": "out", "datasets": ["lineitem"], **export},
        },
    )


def declare_segment(folder: Path, table: Path, segment: Mapping[str, Any], export: Mapping[str, Any], **more: Any) -> Path:
    """Write a catalog that exports a segment of the profiles to a local folder."""
    source = {"format": "delta", "uri": str(table)}
    dataset = {"source": source, "key": [profiles.KEY], "role": "profile", "columns": profiles.COLUMNS}
    exported = {"kind": "segment", "connection": "out", "segments": ["chosen"], "fields": profiles.FIELDS, **export, **more}
    return _write(
        folder,
        {
            "datasets/profiles.yaml": dataset,
            "segments/chosen.yaml": {"of": "profiles", **segment},
            "connections/out.yaml": {"type": "local", "folder": "out"},
            f"exports/{EXPORT}.yaml": exported,
        },
    )


def _write(folder: Path, declared: Mapping[str, Mapping[str, Any]]) -> Path:
    import yaml

    shutil.rmtree(folder, ignore_errors=True)
    for name, values in {"environment.yaml": {"name": "bench"}, **declared}.items():
        path = folder / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(values)))
    return folder


def emptied(folder: Path) -> Path:
    """With the catalog alone."""
    for name in ("out", "state"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in folder.glob("ledger.*"):
        file.unlink()
    return folder


def keep(folder: Path) -> None:
    """Remember what was delivered until now."""
    _copy_ledger(folder / "ledger.db", folder / "ledger.kept")


def back(folder: Path, export_time: str) -> Path:
    """As it was when kept: without this delivery."""
    _copy_ledger(folder / "ledger.kept", folder / "ledger.db")
    shutil.rmtree(_delivery(folder, export_time), ignore_errors=True)
    for file in (folder / "state").rglob("*.changes.parquet"):
        file.unlink()
    return folder


def _copy_ledger(one: Path, other: Path) -> None:
    with closing(sqlite3.connect(one)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)


def opened(folder: Path) -> Context:
    from cdp_exports.catalog.load import load
    from cdp_exports.delivery.context import Context
    from cdp_exports.destinations.open import open_audience, open_files
    from cdp_exports.entities.local_connection import LocalConnection
    from cdp_exports.ledger.ledger import Ledger
    from cdp_exports.sources.open import open_source

    catalog = load(folder / "catalog")
    return Context(
        catalog=catalog,
        ledger=Ledger.open(f"sqlite:///{folder}/ledger.db"),
        open_source=lambda dataset: open_source(catalog.datasets[dataset], catalog.root, os.environ),
        open_state=lambda: open_files(LocalConnection(type="local", folder="state"), catalog.root, os.environ),
        open_destination=lambda connection: open_files(catalog.connections[connection], catalog.root, os.environ),
        open_audience=lambda connection: open_audience(catalog.connections[connection], catalog.root, os.environ),
    )


def delivered(folder: Path, export_time: str) -> list[Path]:
    """The files of a delivery to the local folder, as its manifest lists them."""
    at = _delivery(folder, export_time)
    return [at / file["path"] for file in json.loads((at / "_manifest").read_bytes())["files"]]


def way(folder: Path) -> str | None:
    """How the last increment of the segment was found."""
    delivery = opened(folder).ledger.last_committed("bench", (EXPORT,), ("chosen",))
    return delivery.pin.way if delivery else None


def _delivery(folder: Path, export_time: str) -> Path:
    (member,) = (folder / "out").iterdir()
    return member / f"exportTime={export_time}"
