"""SQL of segments and their exports, judged by compiling it. What is wrong is told once, where it stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.explain import At, about
from cdp_exports.catalog.finding import Finding
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.compile import compile_audience
from cdp_exports.segments.guarded import compile_guarded
from cdp_exports.segments.members import compile_segment, learn_predicates
from cdp_exports.segments.problems import CompileProblems


def wrong_sql(catalog: Catalog, segments: Mapping[str, Segment], datasets: Collection[str], told: Collection[Finding]) -> Iterator[Finding]:
    """What compiling finds beyond what was told. `segments`: those without mistakes, parts first; `datasets`: all that have a file.

    What reads a dataset with a mistake is left for when that is corrected.
    """
    places = {(finding.file, finding.at) for finding in told}
    files = {finding.file for finding in told}
    unsure = {name for name in datasets if name not in catalog.datasets or f"datasets/{name}.yaml" in files}
    learn_predicates(segments.values(), catalog.datasets)
    right: set[str] = set()
    for name, segment in segments.items():
        if not right.issuperset(segment.parts) or catalog.dataset_of(name) in unsure or _mentions(segment.sql, unsure):
            continue
        try:
            compile_segment(name, catalog.segments, catalog.datasets)
            right.add(name)
        except CompileProblems as wrong:
            yield from _told(wrong, "", places)
    sure = set(catalog.datasets) - unsure
    for name, export in catalog.exports.items():
        connection = catalog.connections.get(export.connection)
        if connection and _read_beside(export, connection) <= sure:
            for index, member in enumerate(export.members):
                try:
                    _compile(catalog, export, connection, member, right, sure)
                except CompileProblems as wrong:
                    yield from _told(wrong, name, places, None if isinstance(export, SegmentExport) else ("datasets", index))


def _compile(
    catalog: Catalog,
    export: DatasetExport | SegmentExport,
    connection: Connection,
    member: str,
    segments: Collection[str],
    datasets: Collection[str],
) -> None:
    can = capabilities_of(connection.type)
    if isinstance(export, SegmentExport):
        if member in segments:
            compile_audience(member, catalog.segments, catalog.datasets, export, connection, can)
    elif export.consent == "required" and member in datasets:
        compile_guarded(member, catalog.datasets, export, connection, can)


def _mentions(sql: str | None, datasets: Collection[str]) -> bool:
    return sql is not None and not set(re.findall(r"\w+", sql.lower())).isdisjoint(datasets)


def _read_beside(export: DatasetExport | SegmentExport, connection: Connection) -> set[str]:
    """The datasets that an export reads besides those of its segments."""
    contacts = {export.project.dataset} if isinstance(export, SegmentExport) and export.project else set[str]()
    return contacts | {listed.dataset for listed in connection.suppress}


def _told(wrong: CompileProblems, export: str, places: Collection[tuple[str, At]], member: At | None = None) -> Iterator[Finding]:
    """`member`: where an export without fields of its own is told what is wrong with it."""
    for problem in wrong.problems:
        at = member if member and problem.kind in ("export", "segment") else problem.at
        file = f"exports/{export}.yaml" if at is member or problem.id is None else f"{problem.kind}s/{problem.id}.yaml"
        if (file, at) not in places:
            yield Finding(file, at, about(at, problem.message))
