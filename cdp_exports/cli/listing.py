"""`list` and `show`: which exports there are and how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document, delivery_document, moment, versions_said
from cdp_exports.cli.history import entry_document
from cdp_exports.cli.options import catalog_option, export_argument, json_option
from cdp_exports.cli.schedules import cadence_said, schedules_on
from cdp_exports.cli.screen import note, number, short, size, state, table, text
from cdp_exports.cli.screen import show as show_document
from cdp_exports.cli.session import Session, session

if TYPE_CHECKING:
    from cdp_exports.ledger.records import Delivery, SkipRecord


@click.command("list")
@click.option("--search", metavar="TEXT", help="Only exports with this text in their name, connection, datasets or description.")
@json_option
@catalog_option
def list_exports(search: str | None) -> None:
    """Show all exports and how they stand.

    Where they go, what of, when, and how they ended last. Whether a schedule is on is read from Dagster, where it is switched.

    \b
    Examples:
      cdp-exports list
      cdp-exports list --search lake
      cdp-exports list --json
    """
    with session() as opened:
        on = schedules_on(opened.catalog, opened.instance)
        found = [_summary(opened, export_id, on[export_id]) for export_id in opened.catalog.exports if _matches(opened, export_id, search)]
        show_document({"environment": opened.environment, "exports": found}, *_drawn_list(found, search))


@click.command()
@export_argument
@json_option
@catalog_option
def show(export: str) -> None:
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
            **_summary(opened, export, schedules_on(opened.catalog, opened.instance)[export]),
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
        show_document(document, *_drawn_export(document))


def _matches(opened: Session, export_id: str, search: str | None) -> bool:
    export = opened.catalog.exports[export_id]
    words = (export_id, export.connection, *export.members, export.description or "")
    return search is None or any(search.casefold() in word.casefold() for word in words)


def _summary(opened: Session, export_id: str, on: bool | None) -> Document:
    export = opened.catalog.exports[export_id]
    return {
        "export": export_id,
        "kind": export.kind,
        "connection": export.connection,
        "connection_type": opened.catalog.connections[export.connection].type,
        "members": list(export.members),
        "mode": export.mode,
        "changes": export.changes,
        "format": export.format.type,
        "schedule": cadence_said(opened.catalog, export_id),
        "schedule_on": on,
        "description": export.description,
        "last": [_last(entry) for entry in _newest_of_members(opened, export_id)],
    }


def _newest_of_members(opened: Session, export_id: str) -> list[Delivery | SkipRecord]:
    """The newest entry of each member, among the export's last hundred."""
    newest: dict[str, Delivery | SkipRecord] = {}
    for entry in opened.ledger.history(opened.environment, export_id, limit=100):
        newest.setdefault(entry.member, entry)
    return [newest[member] for member in opened.catalog.exports[export_id].members if member in newest]


def _last(entry: Delivery | SkipRecord) -> Document:
    from cdp_exports.ledger.records import SkipRecord

    said = {"reason": None, "message": None, "next_step": None}
    if isinstance(entry, SkipRecord):
        state, at, said = entry.outcome, entry.at, {"reason": entry.reason, "message": entry.message, "next_step": entry.next_step}
    else:
        state, at = entry.state.value, entry.committed_at or entry.pinned_at
    return {"member": entry.member, "export_time": str(entry.export_time), "state": state, "at": moment(at), **said}


def _drawn_list(found: list[Document], search: str | None) -> list[Any]:
    if not found:
        return [
            text(
                f"No export has {search!r} in its name, connection, datasets or description."
                if search
                else "The catalog declares no export."
            )
        ]
    rows = table("export", "connection", "datasets", "mode", "schedule", "on", "last", "when (UTC)")
    notes: list[Any] = []
    for export in found:
        worst = _worst(export["last"])
        rows.add_row(
            export["export"],
            f"{export['connection']} ({export['connection_type']})",
            ", ".join(export["members"]),
            _mode(export),
            export["schedule"],
            _on(export),
            state(worst["state"]) if worst else text("never", "dim"),
            short(worst["at"]) if worst else "",
        )
        notes += _troubles(export)
    return [rows, *notes]


def _drawn_export(document: Document) -> list[Any]:
    about = table("export", document["export"])
    declared = document["declaration"]
    for name, value in (
        ("description", document["description"]),
        ("connection", f"{document['connection']} ({document['connection_type']})"),
        ("mode", _mode(document)),
        ("format", ", ".join(f"{key}: {value}" for key, value in declared["format"].items() if value is not None)),
        ("path", declared["path"]),
        ("schedule", document["schedule"]),
        ("schedule is on", _on(document)),
        ("owners", ", ".join(declared["owners"])),
    ):
        if value:
            about.add_row(text(name, "dim"), value if not isinstance(value, str) else text(value))
    chains = table("member", "key", "last delivery", "chain since", "#sequence", "versions", "#rows", "#files", "#size", "where")
    notes = _troubles(document)
    for chain in document["chains"]:
        last: Document = chain["last_delivery"] or {}
        rows: Document = last.get("rows") or {}
        chains.add_row(
            chain["member"],
            ", ".join(chain["key"]),
            last.get("export_time") or text("none yet", "dim"),
            last.get("base_export_time"),
            number(last.get("sequence")),
            versions_said(last.get("versions", [])),
            number(rows.get("total")),
            number(last.get("files")),
            size(last.get("bytes")),
            last.get("folder"),
        )
        for delivery in chain["open"]:
            said = "is being delivered" if delivery["running"] else "was begun and is not finished; the next run goes on with it"
            notes.append(note(f"{chain['member']} at {delivery['export_time']}", f"{said} ({delivery['state']}).", style="cyan"))
    return [about, chains, *notes]


def _mode(export: Document) -> str:
    return "full" if export["mode"] == "full" else f"incremental, {'all changes' if export['changes'] == 'all' else 'added rows'}"


def _on(export: Document) -> Any:
    on = export["schedule_on"]
    return text("-" if on is None else "on" if on else "off", "green" if on else "dim")


def _worst(last: list[Document]) -> Document | None:
    order = ("failed", "publishing", "pinned", "skipped", "covered", "committed")
    return min(last, key=lambda entry: order.index(entry["state"]), default=None)


def _troubles(export: Document) -> list[Any]:
    return [
        note(f"{export['export']}/{last['member']} at {last['export_time']}", last["message"], last["next_step"], "red")
        for last in export["last"]
        if last["state"] == "failed"
    ]
