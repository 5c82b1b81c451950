"""Reads a catalog and reports everything that is wrong with it, at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from yaml import Node

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.check import check
from cdp_exports.catalog.explain import At, explain
from cdp_exports.catalog.references import REFERENCES, dangling
from cdp_exports.catalog.settled import settled_exports
from cdp_exports.catalog.yaml import NotYaml, compose, line_at, read
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.export import Export
from cdp_exports.entities.model import ID_PATTERN
from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.segment import Segment
from cdp_exports.errors import DeclarationError, Problem

KINDS: Mapping[str, Any] = {"connections": Connection, "datasets": Dataset, "segments": Segment, "exports": Export}
"""The folders of a catalog and what their files declare."""

_ENVIRONMENT = "environment.yaml"


def find_catalog(environ: Mapping[str, str]) -> Path:
    """The catalog's folder: `CDP_EXPORTS_CATALOG`, else `catalog/` beside the nearest pyproject.toml, upwards from here.

    Raises:
        DeclarationError: neither is there.
    """
    if named := environ.get("CDP_EXPORTS_CATALOG"):
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "catalog").is_dir():
            return folder / "catalog"
    raise DeclarationError(
        f"There is no catalog: no folder from {here} upwards has a pyproject.toml with a folder `catalog` beside it.",
        next_step="Change to the project's folder, or name the catalog in CDP_EXPORTS_CATALOG.",
    )


def load(folder: Path, instead: Mapping[str, bytes | None] | None = None) -> Catalog:
    """The catalog in a folder, every reference in it checked.

    `instead`: what some of its files would hold, such as `exports/orders.yaml`, to judge a change before it is written; None of one
    that would be gone.

    Raises:
        DeclarationError: with all problems of all files.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise DeclarationError(
            [Problem(f"There is no folder {folder}.")],
            next_step="Create the catalog there, or name another in CDP_EXPORTS_CATALOG.",
        )
    return _Loading(folder, instead or {}).catalog()


class _Loading:
    """One pass over the files. Lines are looked up only in files with problems."""

    def __init__(self, folder: Path, instead: Mapping[str, bytes | None]) -> None:
        self._folder = folder
        self._instead = instead
        self._problems: list[Problem] = []
        self._contents: dict[str, bytes] = {}
        self._declared: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        self._names: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self._referring: list[tuple[str, str, Mapping[str, Any]]] = []  # folder, file, what stands in it

    def catalog(self) -> Catalog:
        entries = self._entries(self._folder)
        environment: Environment | None = None
        for entry in entries:
            if entry.name == _ENVIRONMENT:
                environment = self._object(entry.name, Environment)
            elif entry.name in KINDS and entry.is_dir():
                self._objects(entry.name)
            else:
                self._refuse(entry.name, _no_place(entry.name))
        if all(entry.name != _ENVIRONMENT for entry in entries):
            self._refuse(_ENVIRONMENT, "The file is missing; it names the environment: `name: acme`.")
        for folder, file, value in self._referring:
            self._refuse_at(file, dangling(folder, value, self._names))
        # with a wrong environment.yaml the other rules are still judged, in one that no catalog can have and that allows most
        known = environment or Environment.model_construct(name="?", audience="accounts")
        self._declared["exports"] = settled_exports(self._declared["exports"], self._declared["connections"])
        catalog = Catalog(self._folder.parent, known, **self._declared, folder=self._folder)
        for finding in check(catalog, self._names):
            self._refuse_at(finding.file, [(finding.at, finding.message)])
        if self._problems:
            raise DeclarationError(sorted(self._problems, key=lambda problem: (problem.file or "", problem.line or 0)))
        return catalog

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(folder.name, f"The folder cannot be read: {error.strerror}.")
            return []

    def _objects(self, kind: str) -> None:
        for entry in self._entries(self._folder / kind):
            file = f"{kind}/{entry.name}"
            if self._instead.get(file, b"") is None:
                continue
            name, suffix = Path(entry.name).stem, Path(entry.name).suffix
            if suffix not in (".yaml", ".yml") or entry.is_dir():
                self._refuse(file, f"Only files `<id>.yaml` belong in {kind}/; one object a file.")
                continue
            self._names[kind].add(name)
            if suffix == ".yml":
                self._refuse(file, f"Files end in .yaml; rename it to {name}.yaml.")
            if not re.fullmatch(ID_PATTERN, name):
                self._refuse(
                    file,
                    "The file's name is the object's id: lower-case letters, digits and `_`, beginning with a letter, at most 63.",
                )
            if (declared := self._object(file, KINDS[kind])) is not None:
                self._declared[kind][name] = declared

    def _object(self, file: str, kind: Any) -> Any:
        """The object in a file; None, and problems, if there is none."""
        try:
            content = self._contents[file] = self._instead.get(file) or (self._folder / file).read_bytes()
            value = read(content)
        except OSError as error:
            return self._refuse(file, f"The file cannot be read: {error.strerror}.")
        except NotYaml as error:
            for problem in error.problems:
                self._refuse(file, problem.message, problem.line)
            return None
        if (folder := file.partition("/")[0]) in REFERENCES:
            self._referring.append((folder, file, value))
        try:
            return _ADAPTERS[kind].validate_python(value, by_alias=True, by_name=False)
        except ValidationError as error:
            return self._refuse_at(file, explain(error, kind, value))

    def _refuse(self, file: str, message: str, line: int | None = None) -> None:
        shown = f"{self._folder.name}/{file}".encode(errors="replace").decode()
        self._problems.append(Problem(message, shown, line))

    def _refuse_at(self, file: str, found: Iterable[tuple[At, str]]) -> None:
        node: Node | None = None
        for at, message in found:
            node = node or compose(self._contents[file])
            self._refuse(file, message, line_at(node, at))


_ADAPTERS: Mapping[Any, TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (*KINDS.values(), Environment)}


def _no_place(name: str) -> str:
    if name in KINDS:
        return "This must be a folder with one file an object."
    hint = nearest(name, [_ENVIRONMENT, *KINDS])
    return f"This does not belong in a catalog{hint}: it holds {_ENVIRONMENT} and the folders {', '.join(KINDS)}."
