"""`run --all`: every export whose schedule is on, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from cdp_exports.cli.documents import Document
from cdp_exports.cli.ending import INTERRUPTED, error_document, status_of, worst
from cdp_exports.cli.listing import FAMILIES
from cdp_exports.cli.running import run_document, status_of_run
from cdp_exports.cli.screen import between, note, outcome, progress, table, text
from cdp_exports.cli.session import Session

if TYPE_CHECKING:
    from cdp_exports.assets.run import Run
    from cdp_exports.automation.run_all import Ended, Family, LeftOut

_ALL = "all exports"


def run_every(opened: Session, family: Family | None) -> list[Ended | LeftOut]:
    """Run them in this process, with bars on the terminal: one for all, one for each member of the export at work."""
    from cdp_exports.assets.run import run_in_process
    from cdp_exports.automation.run_all import run_all

    def run(export_id: str, number: int, count: int) -> Run:
        with progress([_ALL, *opened.catalog.exports[export_id].members]) as watch:
            watch(_ALL, export_id, number - 1, count)
            return run_in_process(opened.catalog, opened.instance, export_id, progress=watch)

    return list(run_all(opened.catalog, opened.instance, opened.ledger, run, family))


def status_of_all(ended: Sequence[Ended | LeftOut]) -> int:
    """The exit status: the worst export decides; one that is left out is none."""
    from cdp_exports.automation.run_all import Ended, LeftOut

    runs = [one for one in ended if isinstance(one, Ended)]
    if any(one.run is not None and one.run.cancelled for one in runs):
        return INTERRUPTED
    if any(isinstance(one, LeftOut) and one.reason == "interrupted" for one in ended):
        return INTERRUPTED
    return worst(status_of_run(one.run) if one.run else status_of(one.error) if one.error else 0 for one in runs)


def all_document(opened: Session, ended: Sequence[Ended | LeftOut], family: Family | None) -> Document:
    """By family, what was started and what was left out; no number is of both."""
    from cdp_exports.assets.keys import FAMILIES as FAMILY_OF
    from cdp_exports.automation.run_all import Ended, Family, LeftOut

    def of(which: Family) -> Document:
        mine = [one for one in ended if FAMILY_OF[opened.catalog.exports[one.export].kind] == which]
        return {
            "family": which,
            "started": [_run_document(one) for one in mine if isinstance(one, Ended)],
            "left_out": [{"export": one.export, "reason": one.reason, "message": one.message} for one in mine if isinstance(one, LeftOut)],
        }

    return {"environment": opened.environment, "families": [of(which) for which in get_args(Family) if family in (None, which)]}


def _run_document(one: Ended) -> Document:
    if one.run is not None:
        return run_document(one.export, one.run)
    error = error_document(one.error) if one.error else None
    return {"export": one.export, "export_time": None, "run_id": None, "cancelled": False, "error": error, "members": []}


def drawn_all(document: Document) -> list[Any]:
    """Each family by itself: a line for each member, what is to be said of those not delivered, and who was left out."""
    drawn = [part for family in document["families"] if (part := _family(family))]
    notes = [said for family in document["families"] for export in family["started"] for said in _notes(export)]
    if not any(family["started"] for family in document["families"]):
        notes.append(text("No schedule is on: nothing was run."))
    return [*between(drawn), *notes]


def _family(family: Document) -> Any:
    title = FAMILIES["dataset" if family["family"] == "dataset" else "segment"]
    started, left_out = family["started"], family["left_out"]
    if not started and not left_out:
        return None
    rows = table("export", "member", "status", "export time", title=f"{title}: {len(started)} run, {len(left_out)} left out")
    for export in started:
        members = export["members"] or [
            {"member": "", "status": "cancelled" if export["cancelled"] else "failed", "error": export["error"]}
        ]
        for index, member in enumerate(members):
            rows.add_row("" if index else export["export"], member["member"], outcome(member), "" if index else export["export_time"])
    for one in left_out:
        rows.add_row(one["export"], "", text("left out", "dim"), text(one["message"], "dim"))
    return rows


def _notes(export: Document) -> list[Any]:
    found: list[Any] = []
    for member in export["members"]:
        name = f"{export['export']}/{member['member']}"
        found += [note(name, warning, style="yellow") for warning in member["warnings"]]
        if (error := member["error"]) is not None:
            style = "yellow" if member["status"] == "skipped" else "red"
            found.append(note(name, f"{error['message']} [{error['reason'] or error['code']}]", error["next_step"], style))
    if error := export["error"]:
        found.append(note(export["export"], error["message"], error["next_step"], "red"))
    if export["cancelled"]:
        found.append(note(export["export"], "Interrupted. The next run takes it up again.", style="yellow"))
    return found
