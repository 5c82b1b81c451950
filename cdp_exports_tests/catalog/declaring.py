"""Writes catalogs for tests, and reads what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdp_exports.catalog.load import load
from cdp_exports.errors import DeclarationError

VALID: Mapping[str, str] = {
    "environment.yaml": "name: acme\n",
    "connections/lake.yaml": "type: local\nfolder: exports\n",
    "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [order_id]\n",
    "datasets/customers.yaml": "source: {format: delta, uri: data/customers}\nkey: [customer_id]\n",
    "exports/to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [orders, customers]\n",
}


def write(parent: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """A valid catalog with these files added, replaced or (None) left out."""
    folder = parent / "catalog"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**VALID, **files}.items():
        if content is not None:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def problems(folder: Path) -> list[str]:
    """All problems, `file:line: sentence`; none for a good catalog."""
    try:
        load(folder)
    except DeclarationError as error:
        return [str(problem) for problem in error.problems]
    return []
