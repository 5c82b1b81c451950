"""`remove`: an export, one member of it, or another object of the catalog that nothing uses any more."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.documents import Document
from cdp_exports.cli.options import asked, catalog_option, json_option
from cdp_exports.cli.screen import draw, note, show, table, text
from cdp_exports.cli.session import Session, session
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from cdp_exports.automation.removal import ToCome


@click.command("remove")
@click.argument("what", metavar="EXPORT")
@click.argument("member", required=False)
@click.option("--yes", is_flag=True, help="Remove it without asking.")
@json_option
@catalog_option
def remove(what: str, member: str | None, yes: bool) -> None:
    """Remove an export, or one dataset or segment of it, from the catalog.

    Shows what ends with it and asks, unless `--yes`. Then the export's schedule is switched off in Dagster, its queued runs
    and whatever waits for a refresh end skipped (`removed`), and its file is deleted, or changed at its list of members
    alone, comments kept. A delivery at work goes on to its end. Delivered files, their history and what is known of the
    receiver are never touched: a member that is added again goes on where it stopped.

    `connections/NAME`, `datasets/NAME` and `segments/NAME` remove these; what still uses one is said, and nothing is changed.

    \b
    Examples:
      cdp-exports remove commerce_to_lake
      cdp-exports remove commerce_to_lake orders --yes
      cdp-exports remove datasets/orders
    """
    if asked().as_json and not yes:
        raise click.UsageError("With --json nobody is asked; give --yes to remove it.")
    folder, slash, name = what.rpartition("/")
    if slash and folder != "exports":
        if member is not None:
            raise click.UsageError("Only exports have members.")
        _remove_object(folder, name, yes)
    else:
        _remove_export(name, member, yes)


def _remove_export(export_id: str, member: str | None, yes: bool) -> None:
    with session() as opened:
        change = _planned(opened, export_id, member)
        found = change.to_come(opened)
        document = _document(opened, change, found)
        if not yes:
            draw(*_drawn(document, done=False))
            click.confirm("Remove it?", abort=True)
        document = _apply(opened, change)
        show(document, *_drawn(document, done=True))


@dataclass(frozen=True)
class _Change:
    """`removed` members of an export, and what its file holds then; None where the file goes."""

    export: str
    removed: tuple[str, ...]
    file: Path
    content: bytes | None

    def to_come(self, opened: Session) -> ToCome:
        from cdp_exports.automation.removal import to_come

        return to_come(opened.catalog, opened.instance, opened.ledger, self.export, self.removed)


def _planned(opened: Session, export_id: str, member: str | None) -> _Change:
    """What would be changed; the whole catalog is valid with it.

    Raises:
        DeclarationError: no such export or member, the file cannot be changed as text, or the catalog would be wrong.
    """
    from cdp_exports.catalog.load import load
    from cdp_exports.catalog.removing import without_item
    from cdp_exports.delivery.member import chosen, export_of

    export = export_of(opened.catalog, export_id)
    removed = chosen(export_id, export, [member] if member else None)
    name = f"exports/{export_id}.yaml"
    file, content = opened.folder / name, None
    if set(removed) != set(export.members):
        key = "datasets" if export.kind == "dataset" else "segments"
        content = without_item(file.read_bytes(), key, removed[0])
        if content is None:
            raise DeclarationError(
                f"{removed[0]} cannot be taken out of {file} as text, or a comment would be lost.",
                next_step=f"Nothing was changed. Take it out of `{key}` by hand, then run `cdp-exports list`.",
            )
    load(opened.folder, {name: content})
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        raise DeclarationError(f"{file} cannot be changed.", next_step="Check the rights on the catalog's folder; nothing was changed.")
    return _Change(export_id, removed, file, content)


def _apply(opened: Session, change: _Change) -> Document:
    """First nothing new begins, then what was to come ends, then the file goes: a run of what is no longer there would fail."""
    from cdp_exports.automation.removal import withdraw
    from cdp_exports.catalog.writing import remove_file, replace_files

    if change.content is None:
        _switch_off(opened, change.export)
    found = change.to_come(opened)
    document = _document(opened, change, found)
    withdraw(opened.catalog, opened.instance, opened.ledger, change.export, change.removed, found)
    if change.content is None:
        remove_file(change.file)
    else:
        replace_files({change.file: change.content})
    return document


def _switch_off(opened: Session, export_id: str) -> None:
    from cdp_exports.automation.switches import schedules_on, switch

    cadence = opened.catalog.exports[export_id].schedule
    if cadence is None or cadence.after or not schedules_on(opened.catalog, opened.instance)[export_id]:
        return
    home = Path(opened.instance.root_directory)
    try:
        switch(opened.catalog, opened.instance, [export_id], [home, *opened.folder.parents], on=False)
    except DeclarationError:
        return  # Dagster never saw it, so nothing of it ticks


def _document(opened: Session, change: _Change, found: ToCome) -> Document:
    from cdp_exports.automation.removal import members_of_run
    from cdp_exports.automation.switches import schedules_on
    from cdp_exports.cli.schedules import cadence_said, next_times

    export, zone = opened.catalog.exports[change.export], opened.catalog.environment.time_zone
    on = schedules_on(opened.catalog, opened.instance)[change.export]
    return {
        "export": change.export,
        "kind": export.kind,
        "removed": [_chain(opened, change.export, member) for member in change.removed],
        "kept": [member for member in export.members if member not in change.removed],
        "schedule": cadence_said(export.schedule, zone),
        "schedule_on": on,
        "next_export_time": next(iter(next_times(export.schedule, zone, 1, on=on)), None),
        "running": found.holder.run_id if found.holder else None,
        "queued": [
            {
                "run_id": run.run_id,
                "export_time": run.tags["dagster/partition"],
                "members": list(members_of_run(opened.catalog, change.export, run)),
            }
            for run in found.queued
        ],
        "waiting": [{"export_time": str(one.export_time), "members": list(one.members)} for one in found.due],
        "file": str(change.file),
        "deleted": change.content is None,
    }


def _chain(opened: Session, export_id: str, member: str) -> Document:
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.member import members_of

    (one,) = members_of(opened.context(silent), export_id, [member])
    last = one.last_committed()
    return {
        "member": member,
        "last_export_time": str(last.export_time) if last else None,
        "base_export_time": str(last.base_export_time) if last else None,
        "sequence": last.sequence if last else None,
        "target": last.pin.target if last else None,
    }


def _drawn(document: Document, *, done: bool) -> list[Any]:
    rows = table("part", "what becomes of it", title=f"{document['export']}: {'removed' if done else 'to be removed'}")
    for one in document["removed"]:
        said = "nothing was delivered yet"
        if one["last_export_time"]:
            said = f"last {one['last_export_time']}, number {one['sequence']} since the full of {one['base_export_time']}; its files stay"
        rows.add_row(one["member"], said)
    if not document["kept"]:
        on = {True: ", on", False: ", off", None: ""}[document["schedule_on"]]
        following = f"; next {document['next_export_time']}" if document["next_export_time"] else ""
        rows.add_row("schedule", f"{document['schedule']}{on}{following}")
    for run in document["queued"]:
        rows.add_row("queued", f"run {run['run_id']} at {run['export_time']} ({', '.join(run['members'])}) ends skipped")
    for one in document["waiting"]:
        rows.add_row("waiting", f"{one['export_time']} ({', '.join(one['members'])}) ends skipped")
    if document["running"]:
        rows.add_row("running", f"run {document['running']} goes on to its end")
    rows.add_row("file", text(f"{document['file']} {'is deleted' if document['deleted'] else 'is changed'}"))
    notes = [note("", "Dagster sees it when the code location is loaded again: *Deployment*, *Reload*.")] if done else []
    return [rows, *notes]


def _remove_object(folder: str, name: str, yes: bool) -> None:
    from cdp_exports.catalog.load import load
    from cdp_exports.catalog.writing import remove_file
    from cdp_exports.cli.session import catalog_folder
    from cdp_exports.entities.nearest import nearest

    root = catalog_folder().absolute()
    catalog = load(root)
    kinds = {"connections": catalog.connections, "datasets": catalog.datasets, "segments": catalog.segments}
    if folder not in kinds:
        raise DeclarationError(f"There is no folder {folder!r} in a catalog{nearest(folder, [*kinds, 'exports'])}.")
    if name not in kinds[folder]:
        raise DeclarationError(f"There is no {folder.removesuffix('s')} {name!r}{nearest(name, kinds[folder])}.")
    file = root / folder / f"{name}.yaml"
    try:
        load(root, {f"{folder}/{name}.yaml": None})
    except DeclarationError as error:
        raise DeclarationError(error.problems, next_step=f"{folder}/{name} is still used there; nothing was removed.") from None
    if not yes:
        click.confirm(f"Nothing uses {folder}/{name}. Delete {file}?", abort=True)
    remove_file(file)
    show({"removed": f"{folder}/{name}", "file": str(file)}, text(f"{folder}/{name} is removed: {file} is deleted. Its data stays."))
