"""`schedule`: switch the schedules of exports, or declare a new one for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.options import asked, catalog_option, json_option
from cdp_exports.cli.screen import draw, note, show, table, text
from cdp_exports.cli.session import Session, session
from cdp_exports.errors import DeclarationError, Problem

if TYPE_CHECKING:
    from cdp_exports.catalog.catalog import Catalog
    from cdp_exports.cli.documents import Document


@click.command("schedule")
@click.argument("exports", nargs=-1, metavar="[EXPORT]...")
@click.option("--search", metavar="TEXT", help="Also every export that `list --search` shows for this text.")
@click.option(
    "--keep",
    type=click.Choice(["on", "off"]),
    help="Keep each schedule and switch it on or off in Dagster, as its toggle in the UI does. The YAML stays.",
)
@click.option("--every", metavar="3h|6h|8h|12h", help="A new schedule: every so many hours, in UTC from `--start`, else from 00:00.")
@click.option("--daily-at", metavar="HH:MM", multiple=True, help="A new schedule: daily at this time. May be given several times.")
@click.option("--weekly-on", metavar="DAY", multiple=True, help="A new schedule: on this weekday, with `--at`. May be given several times.")
@click.option(
    "--monthly-on",
    metavar="DAY",
    multiple=True,
    help="A new schedule: on this day of the month, 1 to 31 or `last`, with `--at`. May be given several times.",
)
@click.option("--at", metavar="HH:MM", multiple=True, help="The time of `--weekly-on` and `--monthly-on`. May be given several times.")
@click.option("--cron", metavar="EXPRESSION", help="A new schedule: minute, hour, day, month, weekday.")
@click.option("--time-zone", metavar="ZONE", help="The new schedule's time zone. Default: the environment's.")
@click.option("--start", metavar="MOMENT", help="The new schedule's first moment, such as 2026-12-01T02:00Z.")
@click.option("--end", metavar="MOMENT", help="The new schedule's last moment.")
@click.option("--yes", is_flag=True, help="Write the YAML without asking.")
@json_option
@catalog_option
def schedule_exports(exports: tuple[str, ...], search: str | None, keep: str | None, yes: bool, **cadence: Any) -> None:
    """Switch the schedules of exports on or off, or declare a new one for all of them.

    With `--keep` each export keeps its schedule; only its switch in Dagster changes, and at once. A schedule that is
    switched on makes up for nothing that it missed while it was off.

    With a new schedule the exports' files are changed at the key `schedule`, comments and everything else kept: what
    changes is shown, and asked for unless `--yes`; all files are written, or none. It takes effect when Dagster loads the
    code location again. Switches stay as they are, unless `--keep` is given too.

    \b
    Examples:
      cdp-exports schedule commerce_to_lake --keep off
      cdp-exports schedule --search crm --keep on
      cdp-exports schedule commerce_to_lake --every 6h --start 2026-12-01T02:00Z
      cdp-exports schedule vip_to_crm lapsed_to_crm --daily-at 02:00 --daily-at 14:00 --time-zone Europe/Paris --yes
      cdp-exports schedule vip_to_crm --monthly-on 1 --monthly-on last --at 06:00
    """
    defined, on = _defined(cadence), None if keep is None else keep == "on"
    if on is None and not defined:
        raise click.UsageError("Say what to do: --keep on, --keep off, or a new schedule such as --every 6h.")
    if defined and asked().as_json and not yes:
        raise click.UsageError("With --json nobody is asked; give --yes to write the YAML.")
    with session() as opened:
        chosen = _chosen(opened.catalog, exports, search)
        catalog, contents = _rescheduled(opened, chosen, defined) if defined else (opened.catalog, {})
        left_out = [export_id for export_id in chosen if not _has_a_switch(catalog, export_id)]
        if named := [export_id for export_id in left_out if export_id in exports]:
            raise DeclarationError(
                f"{', '.join(named)}: on demand only, or after a refresh, so there is no schedule in Dagster that could be switched.",
                next_step="Give it a schedule, `--every 6h` for example. After a refresh `active` in its file is the switch.",
            )
        if contents and not yes:
            draw(*_drawn_change(opened.catalog, catalog, chosen))
            click.confirm(f"Change {len(contents)} file{'s' if len(contents) > 1 else ''}?", abort=True)
            if _rescheduled(opened, chosen, defined)[1] != contents:
                raise DeclarationError("A file was changed meanwhile.", next_step="Nothing was written; run it again.")
        switched = _apply(opened, catalog, contents, [export_id for export_id in chosen if export_id not in left_out], on)
        document = _document(opened, catalog, chosen, switched, [str(file) for file in contents])
        show(document, *_drawn(document))


def _defined(options: Mapping[str, Any]) -> dict[str, Any]:
    """The new schedule as it is written in YAML; empty if none was asked for."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    for name in {"daily_at", "at"} & given.keys():
        given[name] = given[name][0] if len(given[name]) == 1 else list(given[name])
    for name in {"weekly_on", "monthly_on"} & given.keys():
        given[name] = [int(day) if day.isdecimal() else day for day in given[name]]
    return given


def _chosen(catalog: Catalog, exports: tuple[str, ...], search: str | None) -> list[str]:
    """The exports named, and those that were searched for, in the catalog's order.

    Raises:
        DeclarationError: one is not there, or nothing was found.
    """
    from cdp_exports.cli.listing import matches
    from cdp_exports.delivery.member import export_of

    for export_id in exports:
        export_of(catalog, export_id)
    if not exports and search is None:
        raise click.UsageError("Name exports, or search for them with --search.")
    found = [
        export_id for export_id in catalog.exports if export_id in exports or (search is not None and matches(catalog, export_id, search))
    ]
    if not found:
        raise DeclarationError(f"No export has {search!r} in its name, connection, members or description.")
    return found


def _rescheduled(opened: Session, chosen: list[str], defined: dict[str, Any]) -> tuple[Catalog, dict[Path, bytes]]:
    """The catalog as it would be, and what would stand in its files; those that would stay the same are left out.

    Raises:
        DeclarationError: the schedule is wrong, the catalog would be, or a file cannot be changed as text.
    """
    from cdp_exports.catalog.load import load
    from cdp_exports.catalog.rescheduling import with_schedule, written

    _check(defined)
    contents: dict[str, bytes] = {}
    for export_id in chosen:
        file = f"exports/{export_id}.yaml"
        before = (opened.folder / file).read_bytes()
        made = with_schedule(before, defined)
        if made is None:
            raise DeclarationError(
                f"The schedule in {opened.folder / file} cannot be changed as text, or a comment within it would be lost.",
                next_step=f"Nothing was changed. Write it by hand: `schedule: {written(defined)}`.",
            )
        if made != before:
            contents[file] = made
    return load(opened.folder, contents), {opened.folder / file: content for file, content in contents.items()}


def _has_a_switch(catalog: Catalog, export_id: str) -> bool:
    cadence = catalog.exports[export_id].schedule
    return cadence is not None and cadence.after is None


def _check(defined: dict[str, Any]) -> None:
    from pydantic import ValidationError

    from cdp_exports.catalog.explain import explain
    from cdp_exports.entities.cadence import Cadence

    try:
        Cadence.model_validate(defined)
    except ValidationError as error:
        problems = [Problem(message) for _, message in explain(error, Cadence, defined)]
        raise DeclarationError(problems, next_step="`cdp-exports schedule --help` shows how schedules are written.") from None


def _apply(opened: Session, catalog: Catalog, contents: dict[Path, bytes], exports: list[str], on: bool | None) -> list[str]:
    from cdp_exports.automation.switches import switch
    from cdp_exports.catalog.writing import replace_files

    replace_files(contents)
    if on is None:
        return []
    home = Path(opened.instance.root_directory)
    return switch(catalog, opened.instance, exports, [home, *opened.folder.parents], on=on)


def _document(opened: Session, catalog: Catalog, chosen: list[str], switched: list[str], files: list[str]) -> Document:
    from cdp_exports.automation.switches import schedules_on
    from cdp_exports.cli.schedules import cadence_said, next_times

    zone, on = catalog.environment.time_zone, schedules_on(catalog, opened.instance)
    return {
        "exports": [
            {
                "export": export_id,
                "before": cadence_said(opened.catalog.exports[export_id].schedule, zone),
                "schedule": cadence_said((cadence := catalog.exports[export_id].schedule), zone),
                "schedule_on": on[export_id],
                "switched": export_id in switched,
                "next_export_time": next(iter(next_times(cadence, zone, 1, on=on[export_id])), None),
            }
            for export_id in chosen
        ],
        "files": files,
    }


def _drawn_change(before: Catalog, after: Catalog, chosen: list[str]) -> list[Any]:
    from cdp_exports.cli.schedules import cadence_said, next_times

    zone, rows = after.environment.time_zone, table("export", "schedule now", "new schedule", "next, where it is on")
    for export_id in chosen:
        cadence = after.exports[export_id].schedule
        times = ", ".join(next_times(cadence, zone, 3, on=True)) or text("none: it has ended", "yellow")
        rows.add_row(export_id, cadence_said(before.exports[export_id].schedule, zone), cadence_said(cadence, zone), times)
    return [rows]


def _drawn(document: Document) -> list[Any]:
    rows = table("export", "schedule", "", "next")
    for export in document["exports"]:
        on = export["schedule_on"]
        said = "" if on is None else "on" if on else "off"
        rows.add_row(
            export["export"], export["schedule"], f"switched {said}" if export["switched"] else said, export["next_export_time"] or ""
        )
    if document["files"]:
        return [rows, note("", "The YAML is changed. Dagster sees it when the code location is loaded again: *Deployment*, *Reload*.")]
    return [rows]
