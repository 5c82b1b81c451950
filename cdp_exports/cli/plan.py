"""`plan`: what the next run would deliver and why. Sends nothing, changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document, versions_document
from cdp_exports.cli.ending import DONE, error_document, status_of, worst
from cdp_exports.cli.options import catalog_option, export_argument, json_option
from cdp_exports.cli.screen import note, number, show, size, table, text
from cdp_exports.cli.session import Session, session
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from cdp_exports.delivery.chains import Plan
    from cdp_exports.delivery.member import Member
    from cdp_exports.entities.export_time import ExportTime

_PLANNED = ("increment", "reason", "versions", "sequence", "previous_export_time", "rows_estimate", "bytes_estimate", "folder")


@click.command("plan")
@export_argument
@click.option("--full", is_flag=True, help="As `run --full` would do it.")
@json_option
@catalog_option
def plan_export(export: str, full: bool) -> None:
    """Show what a run would deliver now, and why.

    The increment, its rows and size, its folder. Sends nothing and changes nothing.

    Exit status 1 or 2 where the run could not deliver; the reason is shown.

    \b
    Examples:
      cdp-exports plan commerce_to_lake
      cdp-exports plan commerce_to_lake --full --json
    """
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.member import members_of

    with session() as opened:
        members = members_of(opened.context(silent), export)
        export_time = _next_time(opened, export)
        statuses: list[int] = []
        planned = [_member(member, export_time, full, statuses) for member in members]
        document = {"export": export, "export_time": str(export_time), "members": planned}
        show(document, *_drawn(document))
    click.get_current_context().exit(worst(statuses))


def _next_time(opened: Session, export: str) -> ExportTime:
    """The export time that a run would get now, without taking it."""
    from cdp_exports.entities.export_time import ExportTime

    formerly = opened.catalog.exports[export].formerly
    newest = opened.ledger.newest_time(opened.environment, export, *([formerly] if formerly else []))
    now = ExportTime(opened.ledger.now())
    return now if newest is None else max(now, newest.next())


def _member(member: Member, export_time: ExportTime, full: bool, statuses: list[int]) -> Document:
    from cdp_exports.delivery.chains import refuse_if_ledger_is_behind
    from cdp_exports.delivery.memory import newest_manifest
    from cdp_exports.delivery.ownership import refuse_if_occupied
    from cdp_exports.delivery.planning import plan
    from cdp_exports.delivery.upstream import Upstream

    warnings = list(_open_deliveries(member))
    try:
        refuse_if_ledger_is_behind(member, None, newest_manifest(member, member.last_committed()), full=full)
        refuse_if_occupied(member, member.destination, member.owner_folder())
        planned = plan(member, Upstream(member.context), export_time, full=full)
        statuses.append(DONE)
    except CdpExportsError as error:
        statuses.append(status_of(error.of(export=member.export_id, member=member.id)))
        return {"member": member.id, **dict.fromkeys(_PLANNED), "error": error_document(error), "warnings": warnings}
    return {"member": member.id, **_planned(member, planned), "error": None, "warnings": [*warnings, *_retention(member)]}


def _planned(member: Member, planned: Plan) -> Document:
    return {
        "increment": type(planned.increment).__name__.lower(),
        "reason": planned.pin.reason,
        "versions": versions_document(planned.pin),
        "sequence": planned.previous.sequence + 1 if planned.previous else 1,
        "previous_export_time": str(planned.previous.export_time) if planned.previous else None,
        "rows_estimate": planned.rows_estimate,
        "bytes_estimate": planned.bytes_estimate,
        "folder": member.destination.uri(planned.pin.folder),
    }


def _open_deliveries(member: Member) -> list[str]:
    from cdp_exports.ledger.records import State

    return [
        f"{delivery.export_time} is in doubt: the run first looks at the destination, and fails if it shows nothing."
        if delivery.state is State.PUBLISHING
        else f"{delivery.export_time} was begun and not finished: a run at a later export time closes it and delivers its rows too."
        for delivery in member.open_deliveries()
    ]


def _retention(member: Member) -> list[str]:
    """A table that forgets its history before the next delivery loses the increment."""
    cadence = member.export.schedule
    kept = member.context.open_source(member.id).retention_hours()
    if cadence is None or kept is None or member.export.mode == "full":
        return []
    from cdp_exports.cli.gaps import longest_gap_hours

    gap = longest_gap_hours(*cadence.to_cron(member.context.catalog.environment.time_zone))
    if gap <= kept:
        return []
    said = f"up to {gap:.0f} hours lie between two deliveries, but {member.id} keeps its history for {kept:.0f} hours: a VACUUM loses"
    return [f"{said} the increment. Deliver more often, or keep data files longer (delta.deletedFileRetentionDuration)."]


def _drawn(document: Document) -> list[Any]:
    rows = table("member", "increment", "why", "#rows", "#to read", title=f"{document['export']} at {document['export_time']}")
    notes: list[Any] = []
    for member in document["members"]:
        if error := member["error"]:
            rows.add_row(member["member"], text("none", "red"), error["reason"] or error["code"])
            notes.append(note(member["member"], error["message"], error["next_step"], "red"))
        else:
            why = member["reason"] or f"since {member['previous_export_time']}"
            count = "unknown" if member["rows_estimate"] is None else number(member["rows_estimate"])
            rows.add_row(member["member"], _increment(member), text(why), count, size(member["bytes_estimate"]))
            notes.append(note(member["member"], f"to {member['folder']}"))
        notes += [note(member["member"], warning, style="yellow") for warning in member["warnings"]]
    return [rows, *notes, text("Nothing was sent.", "dim")]


def _increment(member: Document) -> str:
    (version,) = member["versions"]
    if member["increment"] == "changes":
        return f"versions {version['after']} → {version['upto']} ({version['change_source']})"
    return f"{member['increment']}, version {version['upto']}"
