"""SQL of segments and their exports, judged by compiling it. What is wrong is told once, where it stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.explain import about
from cdp_exports.catalog.finding import Finding
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.compile import compile_audience
from cdp_exports.segments.members import compile_segment
from cdp_exports.segments.problems import CompileProblems


def wrong_sql(catalog: Catalog, segments: Mapping[str, Segment], datasets: Collection[str], told: Collection[Finding]) -> Iterator[Finding]:
    """What compiling finds beyond what was told. `segments`: those without mistakes, parts first; `datasets`: all that have a file.

    What reads a dataset with a mistake is left for when that is corrected.
    """
    places = {(finding.file, finding.at) for finding in told}
    unsure = {name for name in datasets if name not in catalog.datasets or any(file == f"datasets/{name}.yaml" for file, _ in places)}
    sure = set(catalog.datasets) - unsure
    right: set[str] = set()
    for name, segment in segments.items():
        if not right.issuperset(segment.parts) or catalog.dataset_of(name) in unsure or _mentions(segment.sql, unsure):
            continue
        try:
            compile_segment(name, catalog.segments, catalog.datasets)
            right.add(name)
        except CompileProblems as wrong:
            yield from _told(wrong, "", places)
    for name, export in catalog.segment_exports.items():
        connection = catalog.connections.get(export.connection)
        if connection is None or not _read_beside(export, connection) <= sure:
            continue
        for segment in export.segments:
            if segment in right:
                try:
                    compile_audience(segment, catalog.segments, catalog.datasets, export, connection, capabilities_of(connection.type))
                except CompileProblems as wrong:
                    yield from _told(wrong, name, places)


def _mentions(sql: str | None, datasets: Collection[str]) -> bool:
    return sql is not None and not set(re.findall(r"\w+", sql.lower())).isdisjoint(datasets)


def _read_beside(export: SegmentExport, connection: Connection) -> set[str]:
    """The datasets that an export reads besides those of its segments."""
    return {*(listed.dataset for listed in connection.suppress), *([export.project.dataset] if export.project else [])}


def _told(wrong: CompileProblems, export: str, places: Collection[tuple[str, tuple[str | int, ...]]]) -> Iterator[Finding]:
    for problem in wrong.problems:
        finding = Finding(f"{problem.kind}s/{problem.id or export}.yaml", problem.at, about(problem.at, problem.message))
        if (finding.file, finding.at) not in places:
            yield finding
