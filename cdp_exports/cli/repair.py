"""`replay`, `resolve` and `adopt`: what a person does when a destination or the ledger lost something."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document, delivery_document, increment_said
from cdp_exports.cli.options import at_option, catalog_option, export_argument, json_option, member_option
from cdp_exports.cli.screen import files_said, note, number, progress, show, state, table, text
from cdp_exports.cli.session import session

if TYPE_CHECKING:
    from cdp_exports.delivery.member import Member
    from cdp_exports.entities.export_time import ExportTime
    from cdp_exports.ledger.records import Delivery, State


@click.command("replay")
@export_argument
@at_option(required=True, help="The export time of the delivery to write again.")
@member_option("Only this dataset's or segment's delivery.")
@click.option("--replace", is_flag=True, help="Write it again even if it is intact.")
@click.option("--to", metavar="FOLDER", help="Write it to another folder, below the connection's.")
@json_option
@catalog_option
def replay_delivery(export: str, export_time: ExportTime, members: tuple[str, ...], replace: bool, to: str | None) -> None:
    """Write a delivery again.

    The same rows, to its own folder or to another; later increments are not touched. The rows are read from the source
    at the delivered versions; where those are gone, the delivered files are copied if they are still what was
    delivered.

    \b
    Examples:
      cdp-exports replay commerce_to_lake --at 202612010200
      cdp-exports replay commerce_to_lake --at 202612010200 --replace
      cdp-exports replay commerce_to_lake --at 202612010200 --member orders --to again/orders
    """
    from cdp_exports.delivery.replaying import replay
    from cdp_exports.ledger.records import State

    with session() as opened, progress(members) as watch:
        chosen = _in_state(_members(opened.context(watch), export, members), export_time, State.COMMITTED)
        if to is not None and len(chosen) > 1:
            raise click.UsageError(f"--to takes one delivery, and {export} has several at {export_time}: choose one with --member.")
        run_id = f"replay-{uuid.uuid4()}"
        deliveries = [replay(member, export_time, run_id=run_id, replace=replace, to=to) for member in chosen]
    _report(export, export_time, deliveries)


@click.command("resolve")
@export_argument
@at_option(required=True, help="The export time that is in doubt.")
@member_option("Only this dataset's or segment's delivery.")
@click.option("--delivered/--resend", default=None, help="The receiver has the files / does not have them.")
@json_option
@catalog_option
def resolve_delivery(export: str, export_time: ExportTime, members: tuple[str, ...], delivered: bool | None) -> None:
    """Decide about a delivery that is in doubt.

    Its publishing was begun, and nobody can see whether it happened. Ask the receiver first. `--delivered` records it
    as delivered, and the next increment goes on from it. `--resend` opens it again; the next run of this export time
    sends the same rows. If its manifest has turned up since, that decides. Where members were sent to an audience, it is
    about the batch that was not answered: applied, or never arrived; the next run sends what is missing.

    \b
    Examples:
      cdp-exports resolve commerce_to_lake --at 202612010200 --delivered
      cdp-exports resolve commerce_to_lake --at 202612010200 --resend
    """
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.resolving import resolve

    if delivered is None:
        raise click.UsageError("Say --delivered or --resend.")
    with session() as opened:
        chosen = _in_doubt(_members(opened.context(silent), export, members), export_time)
        run_id = f"resolve-{uuid.uuid4()}"
        deliveries = [resolve(member, export_time, delivered=delivered, run_id=run_id) for member in chosen]
    _report(export, export_time, deliveries)


@click.command("adopt")
@export_argument
@json_option
@catalog_option
def adopt_deliveries(export: str) -> None:
    """Rebuild the ledger from what was delivered.

    For a ledger that was lost or restored from a backup: deliveries whose manifests are at the destination are recorded,
    and the next increment goes on from the newest one. What it knows already stays as it is.

    \b
    Examples:
      cdp-exports adopt commerce_to_lake
      cdp-exports adopt commerce_to_lake --json
    """
    from cdp_exports.delivery.adopting import adopt

    with session() as opened, progress(()) as watch:
        found = {member.id: adopt(member) for member in _members(opened.context(watch), export, ())}
    rows = table("member", "#deliveries adopted", title=export)
    for member, count in found.items():
        rows.add_row(member, number(count))
    show({"export": export, "adopted": found}, rows)


def _members(context: Any, export: str, members: Sequence[str]) -> list[Member]:
    from cdp_exports.delivery.member import members_of

    return members_of(context, export, tuple(members) or None)


def _in_state(members: list[Member], export_time: ExportTime, wanted: State) -> list[Member]:
    """Those it is about; all of them where it is about none, so that the refusal says why."""
    return [member for member in members if (found := member.delivery(export_time)) and found.state is wanted] or members


def _in_doubt(members: list[Member], export_time: ExportTime) -> list[Member]:
    from cdp_exports.ledger.records import BatchState, State

    doubtful = [member for member in members if any(batch.state is BatchState.SENDING for batch in member.unsettled_batches())]
    return doubtful or _in_state(members, export_time, State.PUBLISHING)


def _report(export: str, export_time: ExportTime, deliveries: Sequence[Delivery]) -> None:
    documents: list[Document] = [delivery_document(delivery) for delivery in deliveries]
    rows = table("member", "state", "increment", "#rows", title=f"{export} at {export_time}")
    notes: list[Any] = []
    for document in documents:
        counts: Document = document["rows"] or {}
        rows.add_row(document["member"], state(document["state"]), increment_said(document), number(counts.get("total")))
        if document["state"] == "committed":
            notes.append(note(document["member"], f"{files_said(document)} in {document['folder']}"))
    if any(document["state"] == "pinned" for document in documents):
        notes.append(text(f"To send it: cdp-exports run {export} --at {export_time}"))
    show({"export": export, "export_time": str(export_time), "deliveries": documents}, rows, *notes)
