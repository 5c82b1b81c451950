"""`history`: what was delivered, what was not and why, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document, attempt_document, delivery_document, increment_said, skip_document
from cdp_exports.cli.listing import FAMILIES
from cdp_exports.cli.options import catalog_option, json_option
from cdp_exports.cli.screen import between, note, number, short, show, state, table, text
from cdp_exports.cli.segment_tables import MOVEMENT, by_reason, moved
from cdp_exports.cli.session import Session, session

if TYPE_CHECKING:
    from rich.table import Table

    from cdp_exports.ledger.records import Delivery, SkipRecord


@click.command()
@click.argument("export", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many entries, counted from the newest.")
@json_option
@catalog_option
def history(export: str | None, limit: int) -> None:
    """Show what was delivered and what was not.

    Deliveries, skips and failures of one export or of all, newest first. A delivery that is `pinned` was begun and not
    finished: the next run goes on with it. One that is `publishing` while no run is at work is in doubt until the next
    run has looked at the destination. Of segments: the active members, those left out by reason, who entered, changed
    and left, and how many the receiver held afterwards.

    \b
    Examples:
      cdp-exports history
      cdp-exports history commerce_to_lake --limit 10
      cdp-exports history commerce_to_lake --json
    """
    with session() as opened:
        document = {"environment": opened.environment, "export": export, "entries": entries(opened, export, limit)}
        show(document, *drawn(document))


def entries(opened: Session, export: str | None, limit: int) -> list[Document]:
    """The ledger's entries; a delivery carries its attempts, and whether a run is working on it.

    An export that is no longer declared keeps its history; one that was renamed shows what it did under its old name.

    Raises:
        DeclarationError: no export ever had this name.
    """
    from cdp_exports.delivery.member import export_of

    declared = opened.catalog.exports.get(export) if export else None
    names = (export, declared.formerly) if declared and declared.formerly else (export,)
    found = [entry for name in names for entry in opened.ledger.history(opened.environment, name, limit=limit)]
    if export is not None and not found:
        export_of(opened.catalog, export)
    return [entry_document(opened, entry) for entry in found[:limit]]


def entry_document(opened: Session, entry: Delivery | SkipRecord) -> Document:
    """One entry of the ledger, told apart by `type`."""
    from cdp_exports.ledger.records import SkipRecord

    if isinstance(entry, SkipRecord):
        declared = opened.catalog.exports.get(entry.export)
        return skip_document(entry, declared.kind if declared else _kind_of(opened, entry))
    holder = opened.ledger.holder(opened.environment, entry.export) if entry.state.value in {"pinned", "publishing"} else None
    return {
        **delivery_document(entry),
        "attempts": [attempt_document(attempt) for attempt in opened.ledger.attempts(entry.id)],
        "running": holder is not None and holder.export_time == entry.export_time,
    }


def _kind_of(opened: Session, record: SkipRecord) -> str:
    """Of an export that is no longer declared, by what it delivered."""
    delivered = opened.ledger.last_committed(opened.environment, (record.export,), (record.member,))
    return delivered.kind if delivered else "dataset"


def drawn(document: Document) -> list[Any]:
    """A line for each entry, each kind of export in a table of its own, then the reasons of what was not delivered."""
    if not document["entries"]:
        return [text("Nothing was delivered yet.")]
    shown = _gaps_together(document["entries"])
    families = {kind: [entry for entry in shown if entry["kind"] == kind] for kind in FAMILIES}
    several = all(families.values())
    tables = [_family(kind, entries, several) for kind, entries in families.items() if entries]
    return [*between(tables), *(said for entry in shown for said in _notes(entry))]


def _gaps_together(entries: list[Document]) -> list[Document]:
    """One line for all times that were missed for one reason: a gap of a week is not a hundred lines."""
    shown: list[Document] = []
    gaps: dict[tuple[str, ...], Document] = {}
    for entry in entries:
        of = tuple(entry[name] for name in ("export", "member", "message", "at")) if entry.get("reason") in {"missed", "covered_by"} else ()
        if of in gaps:
            gap = gaps[of]
            gap["times"] += 1
            gap["export_time"] = f"{entry['export_time']} to {gap['newest']} ({gap['times']} times)"
            continue
        one = dict(entry)
        if of:
            gaps[of] = one
            one |= {"times": 1, "newest": entry["export_time"]}
        shown.append(one)
    return shown


def _family(kind: str, entries: list[Document], several: bool) -> Table:
    numbers = MOVEMENT if kind == "segment" else ("#rows",)
    rows = table("export time", "export and member", "state", "what", *numbers, "when (UTC)", title=FAMILIES[kind] if several else None)
    for entry in entries:
        whose = (entry["export_time"], f"{entry['export']} {entry['member']}")
        if entry["type"] == "skip":
            rows.add_row(
                *whose, state(entry["state"], permanent=entry["permanent"]), entry["reason"], *[""] * len(numbers), short(entry["at"])
            )
        else:
            counts: Document = entry["rows"] or {}
            at = short(entry["committed_at"] or entry["pinned_at"])
            cells = moved(entry) if kind == "segment" else [number(counts.get("total"))]
            what = entry["way"] or entry["mode"] if kind == "segment" else increment_said(entry)
            rows.add_row(*whose, _state(entry), what, *cells, at)
    return rows


def _notes(entry: Document) -> Iterator[Any]:
    label = f"{entry['export']}/{entry['member']} at {entry['export_time']}"
    if entry["type"] == "skip":
        yield note(label, entry["message"], entry["next_step"], "red" if entry["state"] == "failed" else "yellow")
        return
    if reasons := by_reason(entry):
        yield note(label, reasons)
    if entry["covered_by"]:
        yield note(label, f"its rows went with {entry['covered_by']}.")
    if len(entry["attempts"]) > 1:
        yield note(label, f"{len(entry['attempts'])} attempts: {', '.join(attempt['status'] for attempt in entry['attempts'])}.")
    if _in_doubt(entry):
        command = f"cdp-exports resolve {entry['export']} --at {entry['export_time']} --member {entry['member']} --delivered|--resend"
        said = "publishing was begun and its end is not recorded. The next run looks at the destination."
        yield note(label, said, f"If nothing is there, you decide: {command}", "magenta")


def _state(entry: Document) -> Any:
    return text("in doubt", "magenta") if _in_doubt(entry) else state(entry["state"])


def _in_doubt(entry: Document) -> bool:
    return entry["state"] == "publishing" and not entry["running"]
