"""Folders: each member delivers into its own, or under names of its own, and what is kept about receivers lies apart from what they get."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.explain import At
from cdp_exports.catalog.file_names import FileNames, file_names, that_could_be_equal
from cdp_exports.catalog.finding import Finding, of_export
from cdp_exports.catalog.places import Place, below, shown
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.model_json import NAME, model_path
from cdp_exports.entities.templates import folder_pattern, holds_time, member_folder
from cdp_exports.errors import DeclarationError


@dataclass(frozen=True, order=True)
class _Member:
    export: str
    index: int
    name: str


@dataclass(frozen=True, order=True)
class _Folder:
    """One that a member delivers into: its own, or one where files of others may stand too."""

    place: Place
    member: _Member
    shared: bool = False
    describes: bool = False  # it is no folder but the export's `model.json`, which may stand among its members

    def refuses(self, inner: _Folder) -> bool:
        """Whether the other must not stand here, or below."""
        if inner.describes and inner.member.export == self.member.export:
            return False
        return inner.member != self.member and (not self.shared or (not inner.shared and inner.place == self.place))


def shared_folders(catalog: Catalog) -> Iterator[Finding]:
    """Members that would deliver into, above or below another's own folder, or under the names of another's files.

    Sorted, the folders below a folder follow it directly: one pass with a stack of the folders that contain the current one.
    """
    places = {name: connection.place(catalog.root) for name, connection in catalog.connections.items()}
    folders: list[_Folder] = []
    named: defaultdict[Place, list[tuple[FileNames, _Member]]] = defaultdict(list)
    for export_id, export in catalog.exports.items():
        if (place := places.get(export.connection)) is None or capabilities_of(catalog.connections[export.connection].type).members:
            continue
        if export.model_json:
            path = model_path(export.path, _values(catalog.environment.name, export_id, export, ""))
            folders.append(_Folder(below(place, path), _Member(export_id, 0, NAME), describes=True))
        for index, name in enumerate(export.members):
            member, values = _Member(export_id, index, name), _values(catalog.environment.name, export_id, export, name)
            try:
                own, shared = _folders(export, values)
                names = file_names(export, values) if shared else None
            except DeclarationError as error:
                yield of_export(export_id, _path_key(export, index), str(error))
                continue
            folders += [_Folder(below(place, folder), member, shared) for folder in own]
            if names is not None:
                named[folders[-1].place].append((names, member))
    yield from _in_anothers(catalog, folders)
    for folder, names_there in named.items():
        for member, other in that_could_be_equal(names_there):
            yield of_export(member.export, _name_key(catalog.exports[member.export], member.index), _same_names(folder, member, other))


def _in_anothers(catalog: Catalog, folders: list[_Folder]) -> Iterator[Finding]:
    containing: list[_Folder] = []
    reported: set[frozenset[_Member]] = set()
    for folder in sorted(folders):
        while containing and folder.place[: len(containing[-1].place)] != containing[-1].place:
            containing.pop()
        other = next((outer for outer in containing if outer.refuses(folder)), None)
        containing.append(folder)
        if other and (pair := frozenset((folder.member, other.member))) not in reported:
            reported.add(pair)
            member, export = folder.member, catalog.exports[folder.member.export]
            yield of_export(
                member.export, _path_key(export, member.index), _shared(export, folder.place, member, other.place, other.member)
            )


def _values(environment: str, export_id: str, export: DatasetExport | SegmentExport, member: str) -> dict[str, str]:
    return {
        "environment": environment,
        "connection_id": export.connection,
        "export_id": export_id,
        export.own_subject: member,
        "member_id": member,
    }


def _folders(export: DatasetExport | SegmentExport, values: Mapping[str, str]) -> tuple[set[str], bool]:
    """The member's own folder, and that of its deliveries with the time left open; or the one folder that deliveries share."""
    deliveries = folder_pattern(export.path, values)
    return ({member_folder(export.path, values), deliveries}, False) if holds_time(export.path) else ({deliveries}, True)


def _path_key(export: DatasetExport | SegmentExport, index: int) -> At:
    return ("path",) if "path" in export.model_fields_set else (f"{export.kind}s", index)


def _name_key(export: DatasetExport | SegmentExport, index: int) -> At:
    return ("file_name",) if "file_name" in export.model_fields_set else _path_key(export, index)


def _same_names(folder: Place, member: _Member, other: _Member) -> str:
    return (
        f"Files of {member.name!r} could have the name of a file of {other.name!r} of the export {other.export!r} in the folder they "
        f"share, {shown(folder)}; put what tells them apart into `file_name`, for example {{export_id}}_{{member_id}}."
    )


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
