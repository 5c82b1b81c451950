"""JSON Schema of what a catalog may hold, one for each kind of object, for editors and other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cdp_exports.catalog.load import KINDS
from cdp_exports.entities.environment import Environment

DECLARED: dict[str, Any] = {"environment": Environment, **{folder.removesuffix("s"): declared for folder, declared in KINDS.items()}}
"""What each kind of file declares."""


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema (draft 2020-12) of each kind of object.

    >>> sorted(schemas())
    ['connection', 'dataset', 'environment', 'export', 'segment']
    """
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {kind: dialect | TypeAdapter(declared).json_schema() for kind, declared in DECLARED.items()}


def write_schemas(catalog: Path) -> list[Path]:
    """Write `.schema/<kind>.json` into a catalog's folder; the files written.

    Editors with the YAML language server use one if a file begins with `# yaml-language-server: $schema=../.schema/export.json`.
    """
    folder = catalog / ".schema"
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for kind, schema in schemas().items():
        file = folder / f"{kind}.json"
        file.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        written.append(file)
    return written
