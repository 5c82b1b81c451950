"""What a destination can take: its formats, and its limits beside the export's."""

from __future__ import annotations

from collections.abc import Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_export
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.limits import effective_limits
from cdp_exports.entities.mapping import Limits


def beyond_capacity(catalog: Catalog) -> Iterator[Finding]:
    """Exports that ask of a destination what it cannot do."""
    for name, export in catalog.exports.items():
        if (connection := catalog.connections.get(export.connection)) is None:
            continue
        formats = capabilities_of(connection.type).formats
        if export.format.type not in formats:
            known = ", ".join(f"`{word}`" for word in sorted(formats)) or "no files at all"
            message = f"`format`: connections of the type `{connection.type}` do not take `{export.format.type}`; they take {known}."
            yield of_export(name, ("format", "type"), message)
        if isinstance(export, SegmentExport):
            yield from _limits(name, export, connection.type)


def _limits(name: str, export: SegmentExport, connection_type: str) -> Iterator[Finding]:
    capabilities = capabilities_of(connection_type)
    destination = effective_limits(Limits(), capabilities)
    they = f"connections of the type `{connection_type}`"
    for key, own, theirs in (
        ("audience", export.limits.audience, destination.audience),
        ("delivery", export.limits.delivery, destination.delivery),
    ):
        if own.min is not None and theirs.max is not None and own.min > theirs.max:
            message = f"`limits.{key}.min` is {own.min}, and {they} take at most {theirs.max}; choose a smaller one, or leave it out."
            yield of_export(name, ("limits", key, "min"), message)
        if own.max is not None and theirs.min is not None and own.max < theirs.min:
            message = f"`limits.{key}.max` is {own.max}, and {they} take at least {theirs.min}; choose a greater one, or leave it out."
            yield of_export(name, ("limits", key, "max"), message)
    if export.limits.over == "truncate" and effective_limits(export.limits, capabilities).audience.max is None:
        message = (
            f"`limits.over`: `truncate` needs to know how many members fit, and {they} have no limit of their own; declare one, "
            "`limits: {audience: {max: 10000}, ...}`."
        )
        yield of_export(name, ("limits", "over"), message)
