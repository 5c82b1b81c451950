"""A checked catalog: every reference in it leads somewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cdp_exports.entities.connection import Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.segment import Segment


@dataclass(frozen=True)
class Catalog:
    """What users declared, by id. Relative paths in it count from `root`, the parent of the catalog's folder."""

    root: Path
    environment: Environment
    connections: Mapping[str, Connection]
    datasets: Mapping[str, Dataset]
    segments: Mapping[str, Segment]
    exports: Mapping[str, DatasetExport | SegmentExport]
    folder: Path | None = None
    """Where its files are; None of one that was put together in Python."""

    @cached_property
    def dataset_exports(self) -> Mapping[str, DatasetExport]:
        """The exports of datasets."""
        return {name: export for name, export in self.exports.items() if isinstance(export, DatasetExport)}

    @cached_property
    def segment_exports(self) -> Mapping[str, SegmentExport]:
        """The exports of segments."""
        return {name: export for name, export in self.exports.items() if isinstance(export, SegmentExport)}

    def dataset_of(self, segment: str) -> str:
        """The id of the dataset whose rows are a segment's members; of a set operation, that of its parts."""
        declared = self.segments[segment]
        while declared.of is None:
            declared = self.segments[declared.parts[0]]
        return declared.of
