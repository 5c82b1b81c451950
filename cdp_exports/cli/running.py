"""One run from the terminal: started, told as JSON and drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cdp_exports.cli.documents import Document, increment_said, outcome_document
from cdp_exports.cli.ending import DONE, FAILED, INTERRUPTED, error_document, status_of, worst
from cdp_exports.cli.screen import files_said, note, number, outcome, progress, table
from cdp_exports.cli.segment_tables import MOVEMENT, by_reason, limit_notes, moved
from cdp_exports.cli.session import Session

if TYPE_CHECKING:
    from cdp_exports.assets.run import Run
    from cdp_exports.entities.export_time import ExportTime


def run_export(
    opened: Session, export: str, *, export_time: ExportTime | None = None, members: tuple[str, ...] = (), full: bool = False
) -> Run:
    """Run it in this process, with bars on the terminal."""
    from cdp_exports.assets.run import run_in_process
    from cdp_exports.delivery.member import export_of

    declared = export_of(opened.catalog, export)
    with progress(members or declared.members) as watch:
        return run_in_process(
            opened.catalog, opened.instance, export, export_time=export_time, members=members or None, full=full, progress=watch
        )


def status_of_run(ended: Run) -> int:
    """The exit status: the worst member decides."""
    if ended.cancelled:
        return INTERRUPTED
    statuses = [DONE if outcome.error is None else status_of(outcome.error) for outcome in ended.outcomes]
    return worst([*statuses, DONE if ended.error is None else status_of(ended.error), DONE if ended.outcomes or ended.error else FAILED])


def run_document(export: str, ended: Run) -> Document:
    """A run and how each member ended."""
    return {
        "export": export,
        "export_time": str(ended.export_time),
        "run_id": ended.run_id,
        "cancelled": ended.cancelled,
        "error": error_document(ended.error) if ended.error else None,
        "members": [outcome_document(outcome) for outcome in ended.outcomes],
    }


def drawn(document: Document) -> list[Any]:
    """A line for each member, where it went, then what is to be said of those that were not delivered."""
    segments = any(member["delivery"] and member["delivery"]["kind"] == "segment" for member in document["members"])
    numbers = MOVEMENT if segments else ("#inserted", "#updated", "#deleted")
    rows = table("member", "status", "increment", *numbers, title=f"{document['export']} at {document['export_time']}")
    notes: list[Any] = []
    for member in document["members"]:
        rows.add_row(member["member"], outcome(member), *_delivered(member["delivery"], segments=segments))
        notes += _notes(member)
    if error := document["error"]:
        notes.append(note(document["export"], error["message"], error["next_step"], "red"))
    if document["cancelled"]:
        notes.append(note("", "Interrupted. What was not published is not delivered; the next run takes it up again.", style="yellow"))
    return [*([rows] if document["members"] else []), *notes]


def _delivered(delivery: Document | None, *, segments: bool) -> list[str]:
    if delivery is None:
        return []
    rows = moved(delivery) if segments else [number(delivery["rows"][kind]) for kind in ("inserted", "updated", "deleted")]
    return [increment_said(delivery), *rows]


def _notes(member: Document) -> Iterator[Any]:
    name, delivery, error = member["member"], member["delivery"], member["error"]
    if delivery is not None:
        ways = dict.fromkeys(version["change_source"] for version in delivery["versions"])
        sources = [way for way in ways if way not in (None, "evaluation")]
        found = f"changes found by {', '.join(sources)}; " if sources else ""
        yield note(name, f"{found}{files_said(delivery)} in {member['folder']}")
    if delivery is not None and (reasons := by_reason(delivery)):
        yield note(name, reasons)
    if delivery is not None and not member["sent"]:
        yield note(name, "this export time was delivered before; nothing was sent now.")
    yield from limit_notes(name, member["limits"])
    for warning in member["warnings"]:
        yield note(name, warning, style="yellow")
    if error is not None:
        style = "yellow" if member["status"] == "skipped" else "red"
        yield note(name, f"{error['message']} [{error['reason'] or error['code']}]", error["next_step"], style)
