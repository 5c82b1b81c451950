"""`plan`: what the next run would deliver and why. Sends nothing, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import (
    Document,
    funnel_document,
    limit_document,
    moment,
    movement_document,
    versions_document,
    versions_said,
)
from cdp_exports.cli.ending import DONE, error_document, status_of, worst
from cdp_exports.cli.options import catalog_option, export_argument, json_option
from cdp_exports.cli.screen import between, note, number, progress, show, size, table, text
from cdp_exports.cli.segment_tables import funnels, limit_notes, reasons_said
from cdp_exports.cli.session import Session, session

if TYPE_CHECKING:
    from rich.table import Table

    from cdp_exports.delivery.chains import Plan
    from cdp_exports.delivery.member import Member
    from cdp_exports.delivery.previewing import Preview
    from cdp_exports.entities.export_time import ExportTime

_PLANNED = ("increment", "way", "reason", "versions", "sequence", "previous_export_time", "rows_estimate", "bytes_estimate", "folder")


@click.command("plan")
@export_argument
@click.option("--full", is_flag=True, help="As `run --full` would do it.")
@json_option
@catalog_option
def plan_export(export: str, full: bool) -> None:
    """Show what a run would deliver now, and why.

    The increment, its rows and size, its folder. Segments are evaluated and counted: what becomes of their members, who
    entered, changed and left, and each limit beside the count it is about. Sends nothing and changes nothing.

    Exit status 1, 2 or 3 where the run could not deliver; the reason is shown.

    \b
    Examples:
      cdp-exports plan commerce_to_lake
      cdp-exports plan commerce_to_lake --full --json
    """
    from cdp_exports.catalog.advice import advice
    from cdp_exports.delivery.member import export_of
    from cdp_exports.delivery.previewing import previews

    with session() as opened:
        declared = export_of(opened.catalog, export)
        export_time = _next_time(opened, export)
        with progress(declared.members) as watch:
            found = list(previews(opened.context(watch), export, export_time, full=full))
        planned = [_member(preview) for preview in found]
        document = {
            "export": export,
            "kind": declared.kind,
            "export_time": str(export_time),
            "advice": list(advice(opened.catalog, export)),
            "members": planned,
        }
        show(document, *_drawn(document))
    click.get_current_context().exit(worst(status_of(preview.error) if preview.error else DONE for preview in found))


def _next_time(opened: Session, export: str) -> ExportTime:
    """The export time that a run would get now, without taking it."""
    from cdp_exports.entities.export_time import ExportTime

    formerly = opened.catalog.exports[export].formerly
    newest = opened.ledger.newest_time(opened.environment, export, *([formerly] if formerly else []))
    now = ExportTime(opened.ledger.now())
    return now if newest is None else max(now, newest.next())


def _member(preview: Preview) -> Document:
    member, planned, error = preview.member, preview.plan, preview.error
    if error is not None:
        error.of(export=member.export_id, member=member.id)
    return {
        "member": member.id,
        **(_planned(member, planned) if planned else dict.fromkeys(_PLANNED)),
        "funnel": funnel_document(preview.counts),
        "movement": movement_document(preview.counts),
        "left_out": dict(preview.counts.left_out) if preview.counts else None,
        "limits": [limit_document(limit) for limit in preview.limits],
        "rows": preview.counts.delivered if preview.counts else None,
        "encrypted_to": [{"fingerprint": key.fingerprint, "expires": moment(key.expires)} for key in preview.keys],
        "error": error_document(error) if error else None,
        "warnings": [
            *_open_deliveries(member),
            *preview.warnings,
            *(_retention(member, planned) if planned else ()),
        ],
    }


def _planned(member: Member, planned: Plan) -> Document:
    return {
        "increment": type(planned.increment).__name__.lower(),
        "way": planned.pin.way,
        "reason": planned.pin.reason,
        "versions": versions_document(planned.pin),
        "sequence": planned.previous.sequence + 1 if planned.previous else 1,
        "previous_export_time": str(planned.previous.export_time) if planned.previous else None,
        "rows_estimate": planned.rows_estimate,
        "bytes_estimate": planned.bytes_estimate,
        "folder": member.uri_of(planned.pin),
    }


def _open_deliveries(member: Member) -> list[str]:
    from cdp_exports.ledger.records import State

    return [
        f"{delivery.export_time} is in doubt: the run first looks at the destination, and fails if it shows nothing."
        if delivery.state is State.PUBLISHING
        else f"{delivery.export_time} was begun and not finished: a run at a later export time closes it and delivers its rows too."
        for delivery in member.open_deliveries()
    ]


def _retention(member: Member, planned: Plan) -> list[str]:
    """A table that forgets its history before the next delivery loses the increment. Of segments the state folder remembers it."""
    cadence = member.export.schedule
    if cadence is None or cadence.after or member.export.mode == "full" or member.audience is not None:
        return []
    kept = member.context.open_source(member.id).retention_hours()
    if kept is None:
        return []
    from cdp_exports.cli.gaps import longest_gap_hours

    gap = longest_gap_hours(cadence, member.context.catalog.environment.time_zone)
    if gap <= kept:
        return []
    said = f"up to {gap:.0f} hours lie between two deliveries, but {member.id} keeps its history for {kept:.0f} hours: a VACUUM loses"
    return [f"{said} the increment. Deliver more often, or keep data files longer (delta.deletedFileRetentionDuration)."]


def _drawn(document: Document) -> list[Any]:
    title = f"{document['export']} at {document['export_time']}"
    draw = _segments if document["kind"] == "segment" else _datasets
    counted = {member["member"]: member["funnel"] for member in document["members"] if member["funnel"]}
    tables = [draw(document["members"], title), *([funnels(counted, document["kind"])] if counted else [])]
    about = [note(document["export"], sentence, style="yellow") for sentence in document["advice"]]
    notes = [said for member in document["members"] for said in _notes(member)]
    return [*between(tables), *about, *notes, text("Nothing was sent.", "dim")]


def _datasets(members: list[Document], title: str) -> Table:
    rows = table("member", "increment", "why", "#rows", "#to read", title=title)
    for member in members:
        if member["increment"] is None:
            rows.add_row(member["member"], text("none", "red"), _code(member["error"]))
        else:
            why = member["previous_export_time"] and f"since {member['previous_export_time']}"
            known = next((count for count in (member["rows"], member["rows_estimate"]) if count is not None), None)
            count = "unknown" if known is None else number(known)
            rows.add_row(member["member"], _increment(member), text(why or member["reason"]), count, size(member["bytes_estimate"]))
    return rows


def _segments(members: list[Document], title: str) -> Table:
    rows = table("segment", "increment", "#rows", "#entered", "#updated", "#exited", "#held after", "#to read", title=title)
    for member in members:
        if member["increment"] is None:
            rows.add_row(member["member"], text("none", "red"))
        else:
            moves: Document = member["movement"] or {}
            counts = (number(count) for count in (member["rows"], *(moves.get(name) for name in ("entered", "updated", "exited", "held"))))
            rows.add_row(member["member"], member["way"] or "full", *counts, size(member["bytes_estimate"]))
    return rows


def _notes(member: Document) -> Iterator[Any]:
    name = member["member"]
    if member["funnel"]:
        since = f"since {member['previous_export_time']}: " if member["previous_export_time"] else ""
        yield note(name, f"{since}{member['reason']}")
        yield note(name, f"from {versions_said(member['versions'])}")
    if member["movement"] and member["movement"]["exits"]:
        yield note(name, f"exits: {reasons_said(member['movement']['exits'])}")
    yield from limit_notes(name, member["limits"])
    if error := member["error"]:
        style = "yellow" if error["code"] == "skipped" else "red"
        yield note(name, f"{error['message']} [{_code(error)}]", error["next_step"], style)
    elif member["folder"]:
        yield note(name, f"to {member['folder']}")
    for key in member["encrypted_to"]:
        end = f"which expires on {key['expires'][:10]}" if key["expires"] else "which never expires"
        yield note(name, f"encrypted to {key['fingerprint']}, {end}")
    for warning in member["warnings"]:
        yield note(name, warning, style="yellow")


def _code(error: Document) -> str:
    return error["reason"] or error["code"]


def _increment(member: Document) -> str:
    (version,) = member["versions"]
    if member["increment"] == "changes":
        return f"versions {version['after']} → {version['upto']} ({version['change_source']})"
    return f"{member['increment']}, version {version['upto']}"
