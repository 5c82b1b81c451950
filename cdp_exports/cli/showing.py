"""`show`: one export in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from cdp_exports.cli.documents import Document, delivery_document, increment_said
from cdp_exports.cli.history import entry_document
from cdp_exports.cli.listing import schedule_said, summary, troubles
from cdp_exports.cli.options import catalog_option, export_argument, json_option
from cdp_exports.cli.schedules import schedules_on
from cdp_exports.cli.screen import files_said, note, number, show, table, text
from cdp_exports.cli.session import session


@click.command("show")
@export_argument
@json_option
@catalog_option
def show_export(export: str) -> None:
    """Show one export in full.

    Its declaration, each dataset's chain of increments and its last delivery.

    \b
    Examples:
      cdp-exports show commerce_to_lake
      cdp-exports show commerce_to_lake --json
    """
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.member import members_of

    with session() as opened:
        members = members_of(opened.context(silent), export)
        document = {
            **summary(opened, export, schedules_on(opened.catalog, opened.instance)[export]),
            "declaration": opened.catalog.exports[export].model_dump(mode="json"),
            "chains": [
                {
                    "member": member.id,
                    "key": list(member.dataset.key),
                    "last_delivery": delivery_document(last) if (last := member.last_committed()) else None,
                    "open": [entry_document(opened, delivery) for delivery in member.open_deliveries()],
                }
                for member in members
            ],
        }
        show(document, *_drawn(document))


def _drawn(document: Document) -> list[Any]:
    about = table("export", document["export"])
    for name, value in _declared(document):
        if value:
            about.add_row(text(name, "dim"), text(value))
    chains = table("member", "last delivery", "increment", "#rows", "chain since", "#number")
    notes = troubles(document)
    for chain in document["chains"]:
        last: Document | None = chain["last_delivery"]
        if last is None:
            chains.add_row(chain["member"], text("none yet", "dim"))
        else:
            chains.add_row(
                chain["member"],
                last["export_time"],
                increment_said(last),
                number(last["rows"]["total"]),
                last["base_export_time"],
                number(last["sequence"]),
            )
            notes.append(note(chain["member"], f"{files_said(last)} in {last['folder']}"))
        for delivery in chain["open"]:
            said = "is being delivered" if delivery["running"] else "was begun and is not finished; the next run goes on with it"
            notes.append(note(f"{chain['member']} at {delivery['export_time']}", f"{said} ({delivery['state']}).", style="cyan"))
    return [about, chains, *notes]


def _declared(document: Document) -> Iterator[tuple[str, str | None]]:
    declared = document["declaration"]
    yield "description", document["description"]
    yield "connection", f"{document['connection']} ({document['connection_type']})"
    yield "mode", f"incremental, changes: {document['changes']}" if document["mode"] == "incremental" else "full"
    yield "format", f"{document['format']}, compression: {declared['format']['compression']}"
    yield "path", declared["path"]
    yield "schedule", schedule_said(document)
    yield "owners", ", ".join(declared["owners"])
    for chain in document["chains"]:
        yield f"key of {chain['member']}", ", ".join(chain["key"])
