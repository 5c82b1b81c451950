"""`verify`: does the destination still hold what was delivered?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document, verdict_document
from cdp_exports.cli.ending import DONE, FAILED
from cdp_exports.cli.options import at_option, catalog_option, export_argument, json_option, member_option
from cdp_exports.cli.screen import note, number, progress, show, size, table, text
from cdp_exports.cli.session import Session, session

if TYPE_CHECKING:
    from cdp_exports.entities.export_time import ExportTime


@click.command("verify")
@export_argument
@at_option(required=False, help="Only the delivery of this export time. Default: all of them.")
@member_option("Only this dataset's or segment's deliveries.")
@json_option
@catalog_option
def verify_export(export: str, export_time: ExportTime | None, members: tuple[str, ...]) -> None:
    """Prove that the destination holds what was delivered.

    It is read again and compared with manifest, ledger and source: every file is read and hashed; where the source
    still has the delivered versions, its rows are compared too. Exit status 1 if anything differs.

    \b
    Examples:
      cdp-exports verify commerce_to_lake
      cdp-exports verify commerce_to_lake --at 202612010200 --member orders
    """
    with session() as opened:
        document = verify_members(opened, export, members, export_time)
        show(document, *drawn(document))
    click.get_current_context().exit(DONE if document["intact"] else FAILED)


def verify_members(opened: Session, export: str, members: Sequence[str] = (), export_time: ExportTime | None = None) -> Document:
    """Verify and report. With an export time, members that delivered nothing then are left aside unless none did."""
    from cdp_exports.delivery.member import members_of
    from cdp_exports.delivery.verifying import verify
    from cdp_exports.ledger.records import State

    with progress(members) as watch:
        chosen = members_of(opened.context(watch), export, tuple(members) or None)
        if export_time is not None:
            delivered = [member for member in chosen if (found := member.delivery(export_time)) and found.state is State.COMMITTED]
            chosen = delivered or chosen
        verdicts = [verdict_document(verdict) for member in chosen for verdict in verify(member, export_time=export_time)]
    return {"export": export, "intact": all(verdict["intact"] for verdict in verdicts), "deliveries": verdicts}


def drawn(document: Document) -> list[Any]:
    """A line for each delivery, then what differs."""
    if not document["deliveries"]:
        return [text(f"{document['export']} has delivered nothing yet.")]
    rows = table("member", "export time", "verdict", "#files", "#size", title=document["export"])
    notes: list[Any] = []
    for verdict in document["deliveries"]:
        intact = verdict["intact"]
        rows.add_row(
            verdict["member"],
            verdict["export_time"],
            text("intact" if intact else "differs", "green" if intact else "red"),
            number(verdict["files"]),
            size(verdict["bytes"]),
        )
        label = f"{verdict['member']} at {verdict['export_time']}"
        notes += [note(label, difference, style="red") for difference in verdict["differences"]]
        notes += [note(label, said, style="dim") for said in verdict["notes"]]
    if not document["intact"]:
        notes.append(text(f"To write a delivery again: cdp-exports replay {document['export']} --at YYYYMMDDHHMM"))
    return [rows, *notes]
