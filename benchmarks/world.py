"""A catalog with one export of one table, its ledger and its destination, in a folder that another process can open."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tables import KEY

if TYPE_CHECKING:
    from cdp_exports.delivery.context import Context

EXPORT = "lineitem_out"
DATASET = "lineitem"


def declare(folder: Path, table: Path, *, connection: Mapping[str, Any] | None = None, **export: Any) -> Path:
    """Write the catalog; the connection is a local folder unless another is declared."""
    import yaml

    declared = {
        "environment.yaml": {"name": "bench"},
        f"datasets/{DATASET}.yaml": {"source": {"format": "delta", "uri": str(table)}, "key": list(KEY)},
        "connections/out.yaml": connection or {"type": "local", "folder": "out"},
        f"exports/{EXPORT}.yaml": {"kind": "dataset", "connection": "out", "datasets": [DATASET], **export},
    }
    shutil.rmtree(folder, ignore_errors=True)
    for name, values in declared.items():
        path = folder / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(values)))
    return folder


def keep(folder: Path) -> None:
    """Remember what was delivered until now."""
    _copy_ledger(folder / "ledger.db", folder / "ledger.kept")


def back(folder: Path, export_time: str) -> Path:
    """As it was when kept: without this delivery."""
    _copy_ledger(folder / "ledger.kept", folder / "ledger.db")
    shutil.rmtree(folder / "out" / DATASET / f"exportTime={export_time}", ignore_errors=True)
    return folder


def _copy_ledger(one: Path, other: Path) -> None:
    with closing(sqlite3.connect(one)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)


def opened(folder: Path) -> Context:
    from cdp_exports.catalog.load import load
    from cdp_exports.delivery.context import Context
    from cdp_exports.destinations.open import open_destination
    from cdp_exports.entities.connection import LocalConnection
    from cdp_exports.ledger.ledger import Ledger
    from cdp_exports.sources.open import open_source

    catalog = load(folder / "catalog")
    return Context(
        catalog=catalog,
        ledger=Ledger.open(f"sqlite:///{folder}/ledger.db"),
        open_source=lambda dataset: open_source(catalog.datasets[dataset], catalog.root, os.environ),
        open_state=lambda: open_destination(LocalConnection(type="local", folder="state"), catalog.root, os.environ),
        open_destination=lambda connection: open_destination(catalog.connections[connection], catalog.root, os.environ),
    )


def delivered(folder: Path, export_time: str) -> list[Path]:
    """The files of a delivery to the local folder, as its manifest lists them."""
    at = folder / "out" / DATASET / f"exportTime={export_time}"
    return [at / file["path"] for file in json.loads((at / "_manifest").read_bytes())["files"]]
