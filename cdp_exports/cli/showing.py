"""`show`: one export or one segment in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.automation.switches import schedules_on
from cdp_exports.cli.documents import Document, delivery_document, increment_said
from cdp_exports.cli.history import entry_document
from cdp_exports.cli.listing import schedule_said, summary, troubles
from cdp_exports.cli.options import catalog_option, json_option
from cdp_exports.cli.schedules import next_times
from cdp_exports.cli.screen import files_said, note, number, show, table, text
from cdp_exports.cli.segment_tables import MOVEMENT, by_reason, moved
from cdp_exports.cli.segments import drawn_segment, segment_document
from cdp_exports.cli.session import Session, session
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from cdp_exports.catalog.catalog import Catalog
    from cdp_exports.delivery.member import Member

_NEXT = 5  # coming export times that are shown


@click.command("show")
@click.argument("name")
@json_option
@catalog_option
def show_object(name: str) -> None:
    """Show one export or one segment in full.

    Of an export: its declaration, each member's chain of increments and its last delivery. Of a segment: who is in it, as
    the SQL that is evaluated, the datasets it reads, how many members it has now, and the exports that send it, each with
    the limits that hold for it. Where both have the name, write `exports/NAME` or `segments/NAME`.

    \b
    Examples:
      cdp-exports show commerce_to_lake
      cdp-exports show high_value
      cdp-exports show segments/high_value --json
    """
    with session() as opened:
        kind, id = _found(opened.catalog, name)
        if kind == "segments":
            document = segment_document(opened, id)
            show(document, *drawn_segment(document))
        else:
            document = _export_document(opened, id)
            show(document, *_drawn(document))


def _found(catalog: Catalog, name: str) -> tuple[str, str]:
    """Which folder of the catalog the name is in.

    Raises:
        DeclarationError: neither, or both.
    """
    from cdp_exports.entities.nearest import nearest

    folders = {"exports": catalog.exports, "segments": catalog.segments}
    found = [(folder, id) for folder, objects in folders.items() for id in objects if name in (id, f"{folder}/{id}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise DeclarationError(
            f"There is an export {name!r} and a segment {name!r}.", next_step=f"Write `exports/{name}` or `segments/{name}`."
        )
    raise DeclarationError(
        f"There is no export and no segment {name!r}{nearest(name, [*catalog.exports, *catalog.segments])}.",
        next_step="`cdp-exports list` shows the exports and what they send.",
    )


def _export_document(opened: Session, export: str) -> Document:
    from cdp_exports.catalog.advice import advice
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.member import members_of

    members = members_of(opened.context(silent), export)
    on, cadence = schedules_on(opened.catalog, opened.instance)[export], opened.catalog.exports[export].schedule
    return {
        "type": "export",
        **summary(opened, export, on),
        "next_export_times": next_times(cadence, opened.catalog.environment.time_zone, _NEXT, on=on),
        "declaration": opened.catalog.exports[export].model_dump(mode="json", by_alias=True),
        "advice": list(advice(opened.catalog, export)),
        "chains": [
            {
                "member": member.id,
                "key": list(member.dataset.key),
                **_way(member),
                "last_delivery": delivery_document(last) if (last := member.last_committed()) else None,
                "open": [entry_document(opened, delivery) for delivery in member.open_deliveries()],
            }
            for member in members
        ],
    }


def _way(member: Member) -> Document:
    if member.audience is None:
        return {"way": None, "way_reason": None}
    if member.to_audience:
        return {"way": "compared", "way_reason": "Those who should be there are compared with whom the receiver holds."}
    return {"way": member.audience.way.value, "way_reason": member.audience.way_reason}


def _drawn(document: Document) -> list[Any]:
    about = table("export", document["export"])
    for name, value in _declared(document):
        if value:
            about.add_row(text(name, "dim"), text(value))
    segments = document["kind"] == "segment"
    chains = table("member", "last delivery", "increment", *(MOVEMENT if segments else ("#rows",)), "chain since", "#number")
    notes = [*troubles(document), *(note(document["export"], sentence, style="yellow") for sentence in document["advice"])]
    for chain in document["chains"]:
        last: Document | None = chain["last_delivery"]
        if last is None:
            chains.add_row(chain["member"], text("none yet", "dim"))
        else:
            chains.add_row(
                chain["member"],
                last["export_time"],
                increment_said(last),
                *(moved(last) if segments else [number(last["rows"]["total"])]),
                last["base_export_time"],
                number(last["sequence"]),
            )
            if reasons := by_reason(last):
                notes.append(note(chain["member"], reasons))
            notes.append(note(chain["member"], f"{files_said(last)} in {last['folder']}"))
        if chain["way"] and document["mode"] == "incremental":
            notes.append(note(chain["member"], f"increments are found by the way `{chain['way']}`: {chain['way_reason']}"))
        for delivery in chain["open"]:
            said = "is being delivered" if delivery["running"] else "was begun and is not finished; the next run goes on with it"
            notes.append(note(f"{chain['member']} at {delivery['export_time']}", f"{said} ({delivery['state']}).", style="cyan"))
    return [about, chains, *notes]


def _declared(document: Document) -> Iterator[tuple[str, str | None]]:
    from cdp_exports.entities.connection import TYPES

    declared, incremental = document["declaration"], document["mode"] == "incremental"
    segments = document["kind"] == "segment"
    yield "description", document["description"]
    yield "connection", f"{document['connection']} ({document['connection_type']})"
    sent = f"sends: {', '.join(declared['send'])}" if segments else f"changes: {document['changes']}"
    yield "mode", f"incremental, {sent}" if incremental else "full"
    if segments:
        yield "fields", ", ".join(field["to"] or field["from"] for field in declared["fields"])
        yield "contacts", f"of {declared['project']['dataset']}, {declared['project']['how']}" if declared["project"] else None
        yield "duplicates by", ", ".join(declared["dedupe_by"])
    if TYPES[document["connection_type"]].takes_files:
        yield from _files(document)
    else:
        yield "audience", declared["audience_name"]
    yield "schedule", schedule_said(document)
    yield "next", ", ".join(document["next_export_times"])
    yield "owners", ", ".join(declared["owners"])
    for chain in document["chains"]:
        yield f"key of {chain['member']}", ", ".join(chain["key"])


def _files(document: Document) -> Iterator[tuple[str, str | None]]:
    declared = document["declaration"]
    yield "layout", declared["layout"] if declared["layout"] != "default" else None
    yield "preset", declared.get("preset")
    yield "format", f"{document['format']}, compression: {declared['format']['compression']}"
    yield "path", declared["path"]
    yield "file name", declared["file_name"]
