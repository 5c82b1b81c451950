"""Which exports a CDM `model.json` can describe, and where it stands.

The Common Data Model's `model.json` lists entities, each with its attributes and the files that hold all of its rows, as CSV:
https://learn.microsoft.com/common-data-model/model-json
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from cdp_exports.entities.templates import folder_pattern

NAME = "model.json"

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_OF_EXPORTS = {"environment", "connection_id", "export_id"}


def problems(export: Mapping[str, Any]) -> list[str]:
    """Why an export cannot be described, as sentences; none if it can. It is given as plain data, its format with all options.

    >>> problems({"kind": "dataset", "format": {"type": "csv", "compression": "none"}, "path": "{export_id}/{dataset_id}"})
    []
    >>> problems({"kind": "dataset", "format": {"type": "parquet"}, "path": "{export_id}/{dataset_id}"})
    ['it describes plain CSV files only: write `format: {type: csv, compression: none}`']
    """
    found: list[str] = []
    options, increments = export["format"], export.get("mode", "incremental") != "full"
    if options.get("type") != "csv" or options.get("compression") != "none":
        found.append("it describes plain CSV files only: write `format: {type: csv, compression: none}`")
    elif options.get("escape", '"') != '"':
        found.append("its readers know quotes that are doubled only; leave `escape` out")
    if increments and (export["kind"] == "segment" or export.get("changes", "added") != "added"):
        found.append("its files are all the rows there are, so changes and exits cannot be told; write `mode: full`")
    elif increments and export.get("overwrite"):
        found.append("increments that replace each other are not all the rows there are; write `mode: full`, or leave `overwrite` out")
    if not _levels(export["path"]):
        found.append("it stands in the folder of the export: begin `path` with {export_id}, or another folder that its members share")
    return found


def model_path(path: str, values: Mapping[str, str]) -> str:
    """Where an export's `model.json` stands: in the folder that its members have in common.

    >>> model_path("{export_id}/{dataset_id}/{year}", {"export_id": "to_lake", "dataset_id": "orders"})
    'to_lake/model.json'
    """
    return f"{folder_pattern('/'.join(_levels(path)), values)}/{NAME}"


def _levels(path: str) -> list[str]:
    """The folders of a template that are the same for all members and all export times."""
    return list(takewhile(lambda part: _OF_EXPORTS.issuperset(_VARIABLE.findall(part)), path.split("/")))
