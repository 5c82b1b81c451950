"""Which segments may go where: people and accounts, contacts in an account's place."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.finding import Finding, of_connection, of_export, of_segment
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.export import SegmentExport

_OF = {"profile": "people", "contact": "contacts", "account": "accounts"}
"""Whom a segment is of, by the role of its dataset."""


def ineligible_segments(catalog: Catalog, segments: Collection[str]) -> Iterator[Finding]:
    """Segments of a dataset that has no members of the environment's kind. `segments`: those without mistakes."""
    people_only = catalog.environment.audience == "individuals"
    allowed = ("profile",) if people_only else ("profile", "account", "contact")
    choose = f"Choose a dataset with the role {_either(allowed)}"
    for name in sorted(segments):
        dataset = catalog.segments[name].of
        role = dataset and catalog.datasets[dataset].role
        if dataset is None or role in allowed:  # a set operation is as eligible as its parts
            continue
        if role in _OF:
            message = (
                f"The segment {name!r} is not eligible in an environment of individuals: it is a segment of {_OF[role]}. "
                f"{choose}, or declare `audience: accounts` in environment.yaml."
            )
        else:
            message = (
                f"The segment {name!r} is not eligible: its dataset {dataset!r} has the role `{role}`, which has no members. "
                f"{choose}, or declare the role in datasets/{dataset}.yaml."
            )
        yield of_segment(name, ("of",), message)


def _either(roles: Collection[str]) -> str:
    *others, last = [f"`{role}`" for role in roles]
    return f"{', '.join(others)} or {last}" if others else last


def ineligible_exports(catalog: Catalog, segments: Collection[str]) -> Iterator[Finding]:
    """Segments that a connection does not take, and projections that lead nowhere. `segments`: those without mistakes."""
    for name, connection in catalog.connections.items():
        if not _accepted(connection):
            message = f"`accepts`: {_type_refuses(connection)}, so nobody could be sent there; leave it out."
            yield of_connection(name, ("accepts",), message)
    for name, export in catalog.segment_exports.items():
        if connection := catalog.connections.get(export.connection):
            for index, segment in enumerate(export.segments):
                if segment in segments:
                    yield from _ineligible(catalog, name, export, connection, index)
        if export.project:
            yield from _wrong_contacts(catalog, name, export.project.dataset)


def _ineligible(catalog: Catalog, name: str, export: SegmentExport, connection: Connection, index: int) -> Iterator[Finding]:
    segment = export.segments[index]
    dataset = catalog.dataset_of(segment)
    role = catalog.datasets[dataset].role
    if role not in _OF:
        return
    accepted = _accepted(connection)
    refused = f"The segment {segment!r} is not eligible for the connection {export.connection!r}: it is a segment of {_OF[role]}, and"
    who = f"the connection accepts {connection.accepts[0]} only" if len(set(connection.accepts)) == 1 else _type_refuses(connection)
    at = ("segments", index)
    if role != "account":
        if export.project:
            message = (
                f"The segment {segment!r} is not eligible for `project`, which sends the contacts of accounts: it is a segment of "
                f"{_OF[role]}. Choose segments of accounts (role `account`) only, or leave `project` out."
            )
            yield of_export(name, ("project",), message)
        if "people" not in accepted:
            yield of_export(name, at, f"{refused} {who}. Choose a segment of accounts (role `account`), or another connection.")
    elif export.project is None:
        if "accounts" not in accepted:
            message = (
                f"{refused} {who}. Choose a segment of people (role `profile` or `contact`), or send the contacts of these accounts: "
                f"`{_example(catalog, dataset)}`."
            )
            yield of_export(name, at, message)
    else:
        if "people" not in accepted:
            message = f"`project` sends people, the contacts of accounts, and {who}. Leave `project` out, or choose another connection."
            yield of_export(name, ("project",), message)
        key, by = catalog.datasets[dataset].key, export.project.by
        if key and len(by) != len(key):
            message = (
                f"`project.by` names {len(by)} columns of {export.project.dataset!r}, and the key of {dataset!r} has {len(key)} "
                f"({', '.join(key)}); name those that hold them, in this order."
            )
            yield of_export(name, ("project", "by"), message)


def _accepted(connection: Connection) -> set[str]:
    """Whom the connection takes: what it declares, of what its type can."""
    can = capabilities_of(connection.type)
    takes = {"people": can.accepts_people, "accounts": can.accepts_accounts}
    return {who for who in connection.accepts if takes[who]}


def _type_refuses(connection: Connection) -> str:
    can = capabilities_of(connection.type)
    return f"connections of the type `{connection.type}` take {'people' if can.accepts_people else 'accounts'} only"


def _example(catalog: Catalog, accounts: str) -> str:
    contacts = next((name for name, dataset in catalog.datasets.items() if dataset.role == "contact"), "contacts")
    return f"project: {{dataset: {contacts}, by: [{', '.join(catalog.datasets[accounts].key or ('account_id',))}]}}"


def _wrong_contacts(catalog: Catalog, name: str, contacts: str) -> Iterator[Finding]:
    dataset = catalog.datasets.get(contacts)
    if dataset and dataset.role != "contact":
        message = (
            f"`project.dataset`: {contacts!r} has the role `{dataset.role}`, and `project` sends contacts. Choose a dataset with the role "
            f"`contact`, or declare `role: contact` in datasets/{contacts}.yaml."
        )
        yield of_export(name, ("project", "dataset"), message)
