"""`check`: are connections in order?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document
from cdp_exports.cli.ending import DONE, FAILED
from cdp_exports.cli.options import catalog_option, json_option
from cdp_exports.cli.screen import note, show, table, text
from cdp_exports.cli.session import catalog_folder
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from cdp_exports.catalog.catalog import Catalog
    from cdp_exports.entities.connection import Connection

_STATE = "environment.yaml: state"
_STYLES = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command("check")
@click.argument("connections", nargs=-1)
@json_option
@catalog_option
def check_connections(connections: tuple[str, ...]) -> None:
    """Check that connections are in order: all of them, or those named.

    Signs in, writes a probe, reads it back and deletes it, compares the clocks, and looks when credentials and keys expire;
    where members are sent, asks the receiver without changing anything. Nothing is left behind. Exit status 1 if anything
    would keep a delivery from arriving.

    \b
    Examples:
      cdp-exports check
      cdp-exports check lake partner_inbox
      cdp-exports check --json
    """
    from cdp_exports.catalog.load import load

    catalog = load(catalog_folder())
    document = check_all(catalog, _chosen(catalog, connections))
    show(document, *_drawn(document))
    click.get_current_context().exit(FAILED if document["status"] == "failed" else DONE)


def _chosen(catalog: Catalog, names: tuple[str, ...]) -> dict[str, Connection]:
    """Those that are named; else all, and the state folder where one is named, which is written as one."""
    from cdp_exports.entities.nearest import nearest

    for name in names:
        if name not in catalog.connections:
            raise DeclarationError(
                f"There is no connection {name!r}{nearest(name, catalog.connections)}.",
                next_step=f"The connections are {', '.join(catalog.connections)}." if catalog.connections else "The catalog has none.",
            )
    if names:
        return {name: catalog.connections[name] for name in names}
    state = {_STATE: catalog.environment.state} if catalog.environment.state else {}
    return {**catalog.connections, **state}


def check_all(catalog: Catalog, connections: Mapping[str, Connection]) -> Document:
    """Check several connections at the same time, and report in their order. `status`: the worst of all."""
    from cdp_exports.destinations.checking import check_connections as checked
    from cdp_exports.destinations.checking import worst

    seen = checked(connections, catalog.root, os.environ)
    found = [
        {"connection": name, "connection_type": connection.type, "status": worst(checks), "checks": [asdict(check) for check in checks]}
        for (name, connection), checks in zip(connections.items(), seen.values(), strict=True)
    ]
    return {"environment": catalog.environment.name, "status": worst(chain.from_iterable(seen.values())), "connections": found}


def _drawn(document: Document) -> list[Any]:
    """A line for each step, then what to do about those that did not go well."""
    if not document["connections"]:
        return [text("The catalog declares no connection.")]
    rows = table("connection", "step", "", "seen", title=document["environment"])
    notes: list[Any] = []
    for one in document["connections"]:
        for check in one["checks"]:
            status = check["status"]
            name = one["connection"] if check is one["checks"][0] else ""
            rows.add_row(*map(text, (name, check["step"])), text(status, _STYLES[status]), text(check["message"]))
            if status != "ok":
                notes.append(note(f"{one['connection']}, {check['step']}", check["message"], check["next_step"], _STYLES[status]))
        rows.add_section()
    return [rows, *([text("")] if notes else []), *notes]
