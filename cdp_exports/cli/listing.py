"""`list`: which exports there are and how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cdp_exports.automation.switches import schedules_on
from cdp_exports.cli.documents import Document, moment
from cdp_exports.cli.options import catalog_option, json_option
from cdp_exports.cli.schedules import cadence_said, next_times
from cdp_exports.cli.screen import between, note, show, state, table, text
from cdp_exports.cli.session import Session, session

if TYPE_CHECKING:
    from rich.table import Table

    from cdp_exports.catalog.catalog import Catalog
    from cdp_exports.ledger.records import Delivery, SkipRecord

_ON = "Switch it on in the Dagster UI, under Automation."

FAMILIES = {"dataset": "Dataset exports", "segment": "Profile exports"}
"""The two kinds of export, as people call them."""


@click.command("list")
@click.option("--search", metavar="TEXT", help="Only exports with this text in their name, connection or its type, members or description.")
@json_option
@catalog_option
def list_exports(search: str | None) -> None:
    """Show all exports and how they stand.

    Exports of datasets, then exports of segments: where they go, what of, when, when next, and how they ended last. Whether a
    schedule is on is read from Dagster, where it is switched.

    \b
    Examples:
      cdp-exports list
      cdp-exports list --search lake
      cdp-exports list --json
    """
    with session() as opened:
        on = schedules_on(opened.catalog, opened.instance)
        found = [
            summary(opened, export_id, on[export_id]) for export_id in opened.catalog.exports if matches(opened.catalog, export_id, search)
        ]
        show({"environment": opened.environment, "exports": found}, *_drawn_list(found, search), *_idle_sensors(opened, found))


def _idle_sensors(opened: Session, found: list[Document]) -> list[Any]:
    """Sensors that were switched off, without which nothing follows a refresh and nothing that waits for one is delivered."""
    from cdp_exports.automation.refresh_sensor import sensor_name
    from cdp_exports.automation.toggles import sensor_is_off

    scheduled = [opened.catalog.exports[export["export"]] for export in found if export["schedule_on"]]
    names = dict.fromkeys(sensor_name(opened.environment, export.kind) for export in scheduled)
    return [
        note(
            name,
            "This sensor is off: nothing follows a refresh, and what waits for one is not delivered.",
            _ON,
            "yellow",
        )
        for name in names
        if sensor_is_off(opened.instance, name)
    ]


def matches(catalog: Catalog, export_id: str, search: str | None) -> bool:
    """Whether an export has this text in its name, connection or its type, members or description."""
    export = catalog.exports[export_id]
    to = catalog.connections[export.connection].type
    words = (export_id, export.connection, to, *export.members, export.description or "")
    return search is None or any(search.casefold() in word.casefold() for word in words)


def summary(opened: Session, export_id: str, on: bool | None) -> Document:
    """An export and how its members ended last. `on`: whether its schedule is."""
    export, zone = opened.catalog.exports[export_id], opened.catalog.environment.time_zone
    failures = opened.ledger.failures_in_a_row(opened.environment, [export_id])
    return {
        "export": export_id,
        "kind": export.kind,
        "connection": export.connection,
        "connection_type": opened.catalog.connections[export.connection].type,
        "members": list(export.members),
        "mode": export.mode,
        "changes": export.changes if export.kind == "dataset" else None,
        "format": export.format.type,
        "schedule": cadence_said(export.schedule, zone),
        "schedule_on": on,
        "next_export_time": next(iter(next_times(export.schedule, zone, 1, on=on)), None),
        "description": export.description,
        "last": [
            {**_last(entry), "failures_in_a_row": times, "failing": times >= opened.catalog.environment.failing_after}
            for entry in _newest_of_members(opened, export_id)
            for times in [failures.get((export_id, entry.member), 0)]
        ],
    }


def _newest_of_members(opened: Session, export_id: str) -> list[Delivery | SkipRecord]:
    """The newest entry of each member, among the export's last hundred."""
    newest: dict[str, Delivery | SkipRecord] = {}
    for entry in opened.ledger.history(opened.environment, export_id, limit=100):
        newest.setdefault(entry.member, entry)
    return [newest[member] for member in opened.catalog.exports[export_id].members if member in newest]


def _last(entry: Delivery | SkipRecord) -> Document:
    from cdp_exports.ledger.records import SkipRecord

    said: Document = {"permanent": False, "reason": None, "message": None, "next_step": None}
    if isinstance(entry, SkipRecord):
        state, at = entry.outcome, entry.at
        said |= {"permanent": entry.permanent, "reason": entry.reason, "message": entry.message, "next_step": entry.next_step}
    else:
        state, at = entry.state.value, entry.committed_at or entry.pinned_at
    return {"member": entry.member, "export_time": str(entry.export_time), "state": state, "at": moment(at), **said}


def _drawn_list(found: list[Document], search: str | None) -> list[Any]:
    if not found and search:
        return [text(f"No export has {search!r} in its name, connection, members or description.")]
    if not found:
        return [text("The catalog declares no export.")]
    drawn = [drawn for kind, family in FAMILIES.items() if (drawn := _family(found, kind, family))]
    return [*between(drawn), *(trouble for export in found for trouble in troubles(export))]


def _family(found: list[Document], kind: str, title: str) -> Table | None:
    """One kind of export; the two are never mixed, nor counted together."""
    exports = [export for export in found if export["kind"] == kind]
    if not exports:
        return None
    rows = table("export", "to", f"{kind}s", "mode", "schedule", "next", "last", title=title)
    for export in exports:
        worst = _worst(export["last"])
        rows.add_row(
            export["export"],
            f"{export['connection']} ({export['connection_type']})",
            ", ".join(export["members"]),
            export["mode"],
            schedule_said(export),
            export["next_export_time"] or "",
            state(worst["state"], f" {worst['export_time']}", permanent=worst["permanent"]) if worst else text("never", "dim"),
        )
    return rows


def schedule_said(export: Document) -> str:
    """When, and whether it is on."""
    on = export["schedule_on"]
    return f"{export['schedule']}{'' if on is None else ', on' if on else ', off'}"


def _worst(last: list[Document]) -> Document | None:
    order = ("failed", "publishing", "pinned", "waiting", "skipped", "covered", "committed")
    return min(last, key=lambda entry: order.index(entry["state"]), default=None)


def troubles(export: Document) -> list[Any]:
    """What to do about members that failed last, or again and again."""
    from cdp_exports.assets.failing import said

    failed = [last for last in export["last"] if last["state"] == "failed"]
    failing = [last for last in export["last"] if last["failing"]]
    return [
        *(
            note(f"{export['export']}/{last['member']} at {last['export_time']}", last["message"], last["next_step"], "red")
            for last in failed
        ),
        *(note("", said(export["export"], last["member"], last["failures_in_a_row"]), style="red") for last in failing),
    ]
