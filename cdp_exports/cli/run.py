"""`run`: deliver one export now, or all whose schedule is on, as runs of the Dagster instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cdp_exports.cli.options import at_option, catalog_option, json_option, member_option
from cdp_exports.cli.running import drawn, run_document, run_export, status_of_run
from cdp_exports.cli.running_all import all_document, drawn_all, run_every, status_of_all
from cdp_exports.cli.screen import show
from cdp_exports.cli.session import session

if TYPE_CHECKING:
    from cdp_exports.automation.run_all import Family
    from cdp_exports.entities.export_time import ExportTime


@click.command()
@click.argument("export", required=False)
@at_option(required=False, help="The export time, a UTC minute that has begun. Default: a new one, this minute.")
@member_option("Deliver only this dataset or segment of the export.")
@click.option("--full", is_flag=True, help="Deliver everything and begin a new chain of increments.")
@click.option("--all", "every", is_flag=True, help="Every export whose schedule is on, one after the other, each at a new export time.")
@click.option("--family", type=click.Choice(["dataset", "profile"]), help="With `--all`: only exports of datasets, or of segments.")
@json_option
@catalog_option
def run(
    export: str | None, export_time: ExportTime | None, members: tuple[str, ...], full: bool, every: bool, family: Family | None
) -> None:
    """Deliver an export now, whether or not its schedule is on; or all whose schedule is.

    The run is recorded by Dagster and shows in its UI; schedules stay as they are. An export time that was delivered already
    is reported, and nothing is sent again (`replay` does that). With several members the worst one
    decides the exit status: 1 failed, 3 skipped, 0 delivered.

    With `--all` what one export ends with keeps no other from running. It says what was started, and what was left out and
    why: its schedule is off, has not begun or has ended; it has none; it follows refreshes and its sensor is off; it is
    being delivered already.

    \b
    Examples:
      cdp-exports run commerce_to_lake
      cdp-exports run commerce_to_lake --member orders --full
      cdp-exports run commerce_to_lake --at 202612010200 --json
      cdp-exports run --all
      cdp-exports run --all --family profile
    """
    if every == (export is not None):
        raise click.UsageError("Name one export, or say --all." if every else "Name an export, or say --all.")
    if every and (export_time or members or full):
        raise click.UsageError("--at, --member and --full are of one export; they do not go with --all.")
    if family and not every:
        raise click.UsageError("--family goes with --all.")
    with session() as opened:
        if export is None:
            all_ended = run_every(opened, family)
            document, status = all_document(opened, all_ended, family), status_of_all(all_ended)
            show(document, *drawn_all(document))
        else:
            ended = run_export(opened, export, export_time=export_time, members=members, full=full)
            document, status = run_document(export, ended), status_of_run(ended)
            show(document, *drawn(document))
    click.get_current_context().exit(status)
