"""What a destination can take: its formats, and its limits beside the export's."""

from __future__ import annotations

from collections.abc import Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_export
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.limits import effective_limits


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
    limits = effective_limits(export.limits, capabilities_of(connection_type))
    for key, bounds, own in (
        ("audience", limits.audience, export.limits.audience),
        ("delivery", limits.delivery, export.limits.delivery),
    ):
        if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
            whose = "connections of the type " + f"`{connection_type}` take"
            which = f"at most {bounds.max}" if own.max != bounds.max else f"at least {bounds.min}"
            declared = f"`min` is {own.min}" if own.max != bounds.max else f"`max` is {own.max}"
            yield of_export(name, ("limits", key), f"`limits.{key}`: {declared}, and {whose} {which}; nothing lies between them.")
    if export.limits.over == "truncate" and limits.audience.max is None:
        message = (
            f"`limits.over`: `truncate` needs to know how many members fit, and connections of the type `{connection_type}` have no limit "
            "of their own; declare one, `limits: {audience: {max: 10000}, ...}`."
        )
        yield of_export(name, ("limits", "over"), message)
