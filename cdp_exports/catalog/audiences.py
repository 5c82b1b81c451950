"""Exports to destinations that hold audiences: what such a destination must be told, and what means nothing to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_connection, of_export
from cdp_exports.entities.capabilities import Members, capabilities_of
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.nearest import nearest

_OF_FILES = ("layout", "preset", "path", "file_name", "format", "overwrite", "model_json", "status", "dots")
"""Keys of an export that say how files arrive; `layout` and `preset` first, which stand for the others."""

CONNECTIONS_OF_FILES = ("encrypt_to", "lower_case", "keep_for")
"""Keys of a connection that mean something where files are sent."""

_OF_AUDIENCES = ("audience_name", "fail_above")


def misdirected(catalog: Catalog) -> Iterator[Finding]:
    """Exports and connections that are declared for the other family of destinations, or lack what theirs must be told."""
    for name, connection in catalog.connections.items():
        if capabilities_of(connection.type).members:
            for key in CONNECTIONS_OF_FILES:
                if key in connection.model_fields_set:
                    yield of_connection(name, (key,), f"`{key}`: {_they(connection)} take no files; leave it out.")
    for name, export in catalog.exports.items():
        if connection := catalog.connections.get(export.connection):
            members, they = capabilities_of(connection.type).members, _they(connection)
            yield from _to_audience(name, export, they, members) if members else _to_files(name, export, they)


def _they(connection: Connection) -> str:
    return f"connections of the type `{connection.type}`"


def _to_files(name: str, export: DatasetExport | SegmentExport, they: str) -> Iterator[Finding]:
    for key in _OF_AUDIENCES:
        if key in export.model_fields_set:
            message = f"`{key}` means something where members are sent to an audience, and {they} take files; leave it out."
            yield of_export(name, (key,), message)


def _to_audience(name: str, export: DatasetExport | SegmentExport, they: str, members: Members) -> Iterator[Finding]:
    if isinstance(export, DatasetExport):
        message = (
            f"`connection`: {they} take the members of segments, and this export sends datasets. Choose a connection that takes files, "
            "or declare `kind: segment`."
        )
        yield of_export(name, ("connection",), message)
        return
    if export.mode == "full":
        message = f"`mode: full`: {they} are told what changed; leave it out, and send everybody again with `run {name} --full`."
        yield of_export(name, ("mode",), message)
    else:
        yield from _must_send(name, export, they)
    written = [key for key in _OF_FILES if key in export.model_fields_set and getattr(export, key) != "default"]
    for key in written[:1] if written[:1] in (["layout"], ["preset"]) else written:
        yield of_export(name, (key,), f"`{key}` says how files arrive, and {they} take no files; leave it out.")
    if export.include_key and "include_key" in export.model_fields_set and not members.takes_key:
        yield of_export(name, ("include_key",), f"`include_key: true`: {they} do not take the dataset's key; leave it out.")
    if members.fields is not None:
        yield from _fields(name, export, they, members)


def _must_send(name: str, export: SegmentExport, they: str) -> Iterator[Finding]:
    """An audience is a set: who isn't added isn't in it, and who isn't removed stays."""
    for word, why in (("entered", "nobody would ever be in the audience"), ("exited", "who leaves would stay in the audience")):
        if word not in export.send:
            yield of_export(name, ("send",), f"`send`: without `{word}` {why}; {they} need it.")


def _fields(name: str, export: SegmentExport, they: str, members: Members) -> Iterator[Finding]:
    known = [field.name for field in members.fields or ()]
    mapped: set[str] = set()
    for index, field in enumerate(export.fields):
        to = field.to or plain_name(field.source)
        if to is None:
            continue  # compiling asks for a name
        mapped.add(to)
        if to not in known:
            key = ("to",) if field.to else ()
            hint = nearest(to, known) or f"; they take {', '.join(known)}"
            yield of_export(name, ("fields", index, *key), f"`fields[{index}]`: {they} take no field {to!r}{hint}.")
    if mapped.issubset(known) and members.any_of and not any(required <= mapped for required in members.any_of):
        sets = "; or ".join(" and ".join(sorted(required)) for required in members.any_of)
        at = ("fields",) if export.fields else ()
        yield of_export(name, at, f"`fields`: {they} cannot tell who is meant without one of these: {sets}. Map it, with `to`.")


def plain_name(source: str | None) -> str | None:
    """The column's name where `from` is nothing but a column."""
    found = re.fullmatch(r'(?:\w+\.)?(?:(\w+)|"([^"]+)")', source or "")
    return found and (found[1] or found[2])
