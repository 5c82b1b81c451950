"""Rules between objects: references lead somewhere, names are taken once, no two members deliver into one folder."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.explain import At
from cdp_exports.catalog.places import Place, below, place_of, shown
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.templates import folder_pattern, member_folder
from cdp_exports.errors import DeclarationError

Names = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Finding:
    """One broken rule: the object (its folder in the catalog and its id), the path of the key, and what was expected."""

    folder: str
    id: str
    at: At
    message: str


def check(catalog: Catalog, names: Names) -> Iterator[Finding]:
    """All broken rules between the objects of a catalog, references aside.

    `names`: by folder, the ids of all files, also of those whose content is wrong.
    """
    for folder, objects in (("datasets", catalog.datasets), ("exports", catalog.exports)):
        yield from _renames(folder, objects, names[folder])
    yield from _asset_keys(catalog.datasets)
    yield from _shared_folders(catalog)


def dangling(value: Mapping[str, Any], names: Names) -> Iterator[tuple[At, str]]:
    """References of an export, as it stands in its file, that lead nowhere."""
    connection, datasets = value.get("connection"), value.get("datasets")
    if isinstance(connection, str) and connection not in names["connections"]:
        yield ("connection",), _absent("connection", connection, names["connections"])
    for index, dataset in enumerate(cast("list[object]", datasets) if isinstance(datasets, list) else []):
        if isinstance(dataset, str) and dataset not in names["datasets"]:
            yield ("datasets", index), _absent("dataset", dataset, names["datasets"])


def _absent(word: str, name: str, names: Collection[str]) -> str:
    hint = nearest(name, names) or (f" (there are: {', '.join(sorted(names)[:10])})" if names else f" (there are no {word}s yet)")
    return f"There is no {word} {name!r}{hint}."


def _renames(folder: str, objects: Mapping[str, Dataset | DatasetExport], names: Collection[str]) -> Iterator[Finding]:
    claimed: dict[str, str] = {}
    for name, declared in objects.items():
        old = declared.formerly
        if old is None:
            continue
        if old in names:
            yield Finding(folder, name, ("formerly",), f"`formerly`: {old!r} is still here; only an id that is gone can have been renamed.")
        elif old in claimed:
            yield Finding(folder, name, ("formerly",), f"`formerly`: {claimed[old]!r} was formerly {old!r} already; only one can be.")
        claimed.setdefault(old, name)


def _asset_keys(datasets: Mapping[str, Dataset]) -> Iterator[Finding]:
    taken: dict[tuple[str, ...], str] = {("datasets", name): name for name, dataset in datasets.items() if dataset.asset_key is None}
    for name, dataset in datasets.items():
        if dataset.asset_key is not None and (other := taken.setdefault(dataset.asset_key, name)) != name:
            key = "/".join(dataset.asset_key)
            yield Finding("datasets", name, ("asset_key",), f"`asset_key`: the dataset {other!r} has {key!r} already; each needs its own.")


@dataclass(frozen=True, order=True)
class _Member:
    export: str
    index: int
    dataset: str


def _shared_folders(catalog: Catalog) -> Iterator[Finding]:
    """Members that would deliver into, above or below another's folder.

    Sorted, the folders below a folder follow it directly: one pass with a stack of the folders that contain the current one.
    """
    places = {name: place_of(connection, catalog.root) for name, connection in catalog.connections.items()}
    folders: list[tuple[Place, _Member]] = []
    for export_id, export in catalog.exports.items():
        if (place := places.get(export.connection)) is None:
            continue
        for index, dataset in enumerate(export.datasets):
            try:
                own = _folders(catalog.environment.name, export_id, export, dataset)
            except DeclarationError as error:
                yield Finding("exports", export_id, _path_key(export, index), str(error))
            else:
                folders += [(below(place, folder), _Member(export_id, index, dataset)) for folder in own]
    containing: list[tuple[Place, _Member]] = []
    reported: set[frozenset[_Member]] = set()
    for folder, member in sorted(folders):
        while containing and folder[: len(containing[-1][0])] != containing[-1][0]:
            containing.pop()
        other = next((held for held in containing if held[1] != member), None)
        containing.append((folder, member))
        if other and (pair := frozenset((member, other[1]))) not in reported:
            reported.add(pair)
            at = _path_key(catalog.exports[member.export], member.index)
            yield Finding("exports", member.export, at, _shared(folder, member, *other))


def _folders(environment: str, export_id: str, export: DatasetExport, dataset: str) -> set[str]:
    """The member's own folder, and that of its deliveries with the time left open."""
    values = {
        "environment": environment,
        "connection_id": export.connection,
        "export_id": export_id,
        "dataset_id": dataset,
        "member_id": dataset,
    }
    return {member_folder(export.path, values), folder_pattern(export.path, values)}


def _path_key(export: DatasetExport, index: int) -> At:
    return ("path",) if "path" in export.model_fields_set else ("datasets", index)


def _shared(folder: Place, member: _Member, other_folder: Place, other: _Member) -> str:
    same = "the folder" if folder == other_folder else "a folder inside that"
    return (
        f"{member.dataset!r} would be delivered into {same} of {other.dataset!r} of the export {other.export!r}, {shown(other_folder)}; "
        "each member needs its own, for example {export_id}/{dataset_id}/exportTime={export_time} as `path`."
    )
