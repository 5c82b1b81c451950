"""Folders: each member delivers into its own, and what is kept about receivers lies apart from what they get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.explain import At
from cdp_exports.catalog.finding import Finding, of_export
from cdp_exports.catalog.places import Place, below, shown
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.templates import folder_pattern, member_folder
from cdp_exports.errors import DeclarationError


@dataclass(frozen=True, order=True)
class _Member:
    export: str
    index: int
    name: str


def shared_folders(catalog: Catalog) -> Iterator[Finding]:
    """Members that would deliver into, above or below another's folder.

    Sorted, the folders below a folder follow it directly: one pass with a stack of the folders that contain the current one.
    """
    places = {name: connection.place(catalog.root) for name, connection in catalog.connections.items()}
    folders: list[tuple[Place, _Member]] = []
    for export_id, export in catalog.exports.items():
        if (place := places.get(export.connection)) is None:
            continue
        for index, member in enumerate(export.members):
            try:
                own = _folders(catalog.environment.name, export_id, export, member)
            except DeclarationError as error:
                yield of_export(export_id, _path_key(export, index), str(error))
            else:
                folders += [(below(place, folder), _Member(export_id, index, member)) for folder in own]
    containing: list[tuple[Place, _Member]] = []
    reported: set[frozenset[_Member]] = set()
    for folder, member in sorted(folders):
        while containing and folder[: len(containing[-1][0])] != containing[-1][0]:
            containing.pop()
        other = next((held for held in containing if held[1] != member), None)
        containing.append((folder, member))
        if other and (pair := frozenset((member, other[1]))) not in reported:
            reported.add(pair)
            export = catalog.exports[member.export]
            yield of_export(member.export, _path_key(export, member.index), _shared(export, folder, member, *other))


def _folders(environment: str, export_id: str, export: DatasetExport | SegmentExport, member: str) -> set[str]:
    """The member's own folder, and that of its deliveries with the time left open."""
    values = {
        "environment": environment,
        "connection_id": export.connection,
        "export_id": export_id,
        export.own_subject: member,
        "member_id": member,
    }
    return {member_folder(export.path, values), folder_pattern(export.path, values)}


def _path_key(export: DatasetExport | SegmentExport, index: int) -> At:
    return ("path",) if "path" in export.model_fields_set else (f"{export.kind}s", index)


def _shared(export: DatasetExport | SegmentExport, folder: Place, member: _Member, other_folder: Place, other: _Member) -> str:
    same = "the folder" if folder == other_folder else "a folder inside that"
    return (
        f"{member.name!r} would be delivered into {same} of {other.name!r} of the export {other.export!r}, {shown(other_folder)}; "
        f"each member needs its own, for example {{export_id}}/{{{export.own_subject}}}/exportTime={{export_time}} as `path`."
    )


def state_among_deliveries(catalog: Catalog) -> Iterator[Finding]:
    """A folder of `state` that is, contains or lies in the folder of a connection."""
    if catalog.environment.state is None:
        return
    state = catalog.environment.state.place(catalog.root)
    for name, connection in catalog.connections.items():
        place = connection.place(catalog.root)
        shorter = min(len(state), len(place))
        if state[:shorter] == place[:shorter]:
            how = "is" if state == place else "lies in" if place == state[:shorter] else "contains"
            yield Finding(
                "environment.yaml",
                ("state", "folder"),
                f"`state`: {shown(state)} {how} the folder of the connection {name!r}, {shown(place)}; receivers would find there what "
                "is kept about them. Choose a folder of its own, beside those of all connections.",
            )
