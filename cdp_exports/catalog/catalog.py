"""A checked catalog: every reference in it leads somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdp_exports.entities.connection import Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.export import DatasetExport


@dataclass(frozen=True)
class Catalog:
    """What users declared, by id. Relative paths in it count from `root`, the parent of the catalog's folder."""

    root: Path
    environment: Environment
    connections: Mapping[str, Connection]
    datasets: Mapping[str, Dataset]
    exports: Mapping[str, DatasetExport]
