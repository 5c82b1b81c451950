"""Exports as everything after the catalog sees them: with what their connection decides."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.catalog.settled_members import settled_members
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.export import Export, SegmentExport
from cdp_exports.entities.templates import in_lower_case


def settled_exports(exports: Mapping[str, Export], connections: Mapping[str, Connection]) -> dict[str, Export]:
    """All exports, settled; one whose connection is missing stays as it is."""
    return {name: settled(export, connections.get(export.connection)) for name, export in exports.items()}


def settled(export: Export, connection: Connection | None) -> Export:
    """The export with what its connection decides; what the export itself says wins, where both may.

    What a `layout` or a `preset` says stands in the export already: it depends on the export alone (`entities.layouts`).
    """
    if connection is None:
        return export
    members = capabilities_of(connection.type).members
    if members is not None and isinstance(export, SegmentExport):
        return settled_members(export, members)
    if connection.lower_case:
        return export.model_copy(update={"path": in_lower_case(export.path)})
    return export
