"""Audiences: each has one member of one export that fills it."""

from __future__ import annotations

from collections.abc import Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_export
from cdp_exports.catalog.places import Place
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.templates import resolve_audience_name


def shared_audiences(catalog: Catalog) -> Iterator[Finding]:
    """Segments of two exports that would fill one audience: each would remove whom the other added."""
    filled: dict[tuple[Place, str], tuple[str, str]] = {}
    for export_id, export in catalog.segment_exports.items():
        connection = catalog.connections.get(export.connection)
        if connection is None or capabilities_of(connection.type).members is None:
            continue
        for index, segment in enumerate(export.segments):
            values = {
                "environment": catalog.environment.name,
                "connection_id": export.connection,
                "export_id": export_id,
                "segment_id": segment,
                "member_id": segment,
            }
            name = resolve_audience_name(export.audience_name, values)
            other = filled.setdefault((connection.place(catalog.root), name), (export_id, segment))
            if other != (export_id, segment):
                at = ("audience_name",) if "audience_name" in export.model_fields_set else ("segments", index)
                yield of_export(
                    export_id,
                    at,
                    f"{segment!r} would fill the audience {name!r}, as {other[1]!r} of the export {other[0]!r} does, and each would remove "
                    'whom the other added; give it a name of its own, for example `audience_name: "{export_id} {segment_id}"`.',
                )
