"""What a destination can take: its formats, and its limits beside the export's."""

from __future__ import annotations

from collections.abc import Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_export
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.limits import effective_limits
from cdp_exports.entities.mapping import Limits


def beyond_capacity(catalog: Catalog) -> Iterator[Finding]:
    """Exports that ask of a destination what it cannot do."""
    for name, export in catalog.exports.items():
        if (connection := catalog.connections.get(export.connection)) is None:
            continue
        if capabilities_of(connection.type).members is None:
            yield from _files(name, export, connection.type)
        if isinstance(export, SegmentExport):
            yield from _limits(name, export, connection.type)


def _files(name: str, export: DatasetExport | SegmentExport, connection_type: str) -> Iterator[Finding]:
    can = capabilities_of(connection_type)
    they = f"connections of the type `{connection_type}`"
    if export.format.type not in can.formats:
        message = f"`format`: {they} do not take `{export.format.type}`; they take {_words(can.formats)}."
        yield of_export(name, ("format", "type"), message)
    if can.compressions is not None and export.format.compression not in can.compressions:
        message = f"`format.compression`: {they} do not take `{export.format.compression}`; they take {_words(can.compressions)}."
        yield of_export(name, ("format", "compression"), message)
    if export.mode not in can.modes:
        yield of_export(name, ("mode",), f"`mode`: {they} do not take `{export.mode}` exports; they take {_words(can.modes)}.")
    if can.file_max is not None and (export.format.max_rows_per_file or can.file_max + 1) > can.file_max:
        message = f"`format.max_rows_per_file`: {they} take files of at most {can.file_max} rows; write it, or a smaller number."
        yield of_export(name, ("format", "max_rows_per_file"), message)


def _words(words: frozenset[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))


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
