"""The program: its commands, and one place where whatever went wrong becomes a message and an exit status."""

from __future__ import annotations

from typing import Any

import click

from cdp_exports.cli.check import check_connections
from cdp_exports.cli.columns import dataset_columns
from cdp_exports.cli.demo import demo
from cdp_exports.cli.destinations import show_destinations
from cdp_exports.cli.ending import INTERRUPTED, explain, explain_fault
from cdp_exports.cli.expiring import expire_files
from cdp_exports.cli.explaining import explain_key
from cdp_exports.cli.history import history
from cdp_exports.cli.listing import list_exports
from cdp_exports.cli.options import asked, catalog_option
from cdp_exports.cli.plan import plan_export
from cdp_exports.cli.removing import remove
from cdp_exports.cli.repair import adopt_deliveries, replay_delivery, resolve_delivery
from cdp_exports.cli.run import run
from cdp_exports.cli.scheduling import schedule_exports
from cdp_exports.cli.schema import schema
from cdp_exports.cli.showing import show_object
from cdp_exports.cli.verify import verify_export
from cdp_exports.errors import CdpExportsError


class _Program(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CdpExportsError as error:
            ctx.exit(explain(error, as_json=asked(ctx).as_json))
        except KeyboardInterrupt:
            click.echo("Interrupted. What was not published is not delivered; the next run takes it up again.", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:  # noqa: BLE001
            ctx.exit(explain_fault(error))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as a person meets them, not by the alphabet


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@catalog_option
@click.version_option(package_name="cdp-exports", message="%(prog)s %(version)s")
def program() -> None:
    """Deliver datasets and segments to destinations, in full or incrementally, and prove what was delivered.

    Exports are declared as YAML in the catalog's folder. Exit status: 0 done (delivered, or nothing new), 1 failed,
    2 wrong declaration or usage, 3 skipped, 130 interrupted.

    \b
    Examples:
      cdp-exports demo
      cdp-exports list
      cdp-exports run commerce_to_lake
    """


for command in (
    demo,
    list_exports,
    show_object,
    plan_export,
    run,
    history,
    schedule_exports,
    remove,
    explain_key,
    verify_export,
    replay_delivery,
    resolve_delivery,
    adopt_deliveries,
    expire_files,
    check_connections,
    show_destinations,
    dataset_columns,
    schema,
):
    program.add_command(command)
