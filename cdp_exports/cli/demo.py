"""`demo`: the whole way on this machine, with real tables and through the same path as `run`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cdp_exports.cli.ending import DONE
from cdp_exports.cli.options import catalog_option
from cdp_exports.cli.screen import between, draw, text
from cdp_exports.cli.session import Session, catalog_folder, session
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from cdp_exports.assets.run import Run

FILES = Path(__file__).with_name("demo_files")
"""The demo's catalog, the same as the repository's own, and the settings of a Dagster home."""

EXPORTS = ("commerce_to_lake", "customers_to_crm")
SEGMENT_EXPORTS = ("best_customers_to_ads", "growing_accounts_to_sales")


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@catalog_option
def demo(folder: Path | None) -> None:
    """Deliver demo tables in full, change them, deliver the increments.

    Writes five Delta tables with made-up rows, delivers the exports of the demo's catalog in full, two of datasets and two
    of segments, inserts, updates and deletes rows, delivers what changed, shows what landed and verifies it. Without DIR it
    uses the demo catalog it finds here, the one of a clone of this repository; with DIR it writes everything into that
    folder, a catalog included.

    Run it again and it goes on from where things stand: it changes the tables once more and delivers the next increments.

    \b
    Examples:
      cdp-exports demo
      cdp-exports demo /tmp/exports-demo
    """
    if folder is not None:
        folder = folder.absolute()
        _make_home(folder)
        os.environ["DAGSTER_HOME"] = str(folder)
    where = folder / "catalog" if folder else catalog_folder()
    with session(where) as opened:
        click.get_current_context().exit(_Demo(opened).play(where))


class _Demo:
    """One showing, step by step."""

    def __init__(self, opened: Session) -> None:
        self._opened = opened
        self._tables = _table_paths(opened)

    def play(self, catalog: Path) -> int:
        """Returns the exit status; the first run that does not deliver ends the showing."""
        from cdp_exports.cli.demo_shown import counted, landed, moved, next_steps
        from cdp_exports.cli.verify import drawn as drawn_verdicts
        from cdp_exports.cli.verify import verify_members

        everything = (*EXPORTS, *SEGMENT_EXPORTS)
        self._write_tables()
        if self._nothing_delivered() and (status := self._deliver("Full delivery: the whole table, all members of a segment.")):
            return status
        self._change_tables()
        if status := self._deliver("Increments: only what changed since the last delivery."):
            return status
        self._say("What landed.")
        draw(*landed(self._opened, everything))
        self._say("Rows in the newest files, read back from them.")
        draw(*between([counted(self._opened, EXPORTS), moved(self._opened, SEGMENT_EXPORTS)]))
        self._say("Verified: every file read again and compared with its manifest, the ledger and the tables.")
        for export in everything:
            document = verify_members(self._opened, export)
            draw(*drawn_verdicts(document))
            if not document["intact"]:
                return 1
        draw(next_steps(catalog))
        return DONE

    def _write_tables(self) -> None:
        from cdp_exports.cli.demo_shown import changes
        from cdp_exports.cli.demo_tables import exists, write

        missing = [name for name, path in self._tables.items() if not exists(name, path)]
        if not missing:
            self._say("The demo's tables are here already: going on from them.")
            return
        self._say("Delta tables with made-up rows.")
        draw(changes({name: write(name, self._tables[name]) for name in missing}))

    def _change_tables(self) -> None:
        from cdp_exports.cli.demo_shown import changes
        from cdp_exports.cli.demo_tables import change

        self._say("Rows are inserted, updated and deleted.")
        draw(changes({name: change(name, path) for name, path in self._tables.items()}))

    def _nothing_delivered(self) -> bool:
        from cdp_exports.delivery.context import silent
        from cdp_exports.delivery.member import members_of

        context = self._opened.context(silent)
        return any(member.last_committed() is None for export in (*EXPORTS, *SEGMENT_EXPORTS) for member in members_of(context, export))

    def _deliver(self, title: str) -> int:
        from cdp_exports.cli.running import drawn, run_document, run_export, status_of_run

        self._say(title)
        for export in (*EXPORTS, *SEGMENT_EXPORTS):
            ended: Run = run_export(self._opened, export)
            draw(*drawn(run_document(export, ended)))
            if status := status_of_run(ended):
                return status
        return DONE

    def _say(self, title: str) -> None:
        draw(text(f"\n{title}", "bold"))


def _make_home(folder: Path) -> None:
    """A catalog and the settings of a Dagster home; what is there already stays."""
    from cdp_exports.catalog.schema import write_schemas

    try:
        if not (folder / "catalog").exists():
            shutil.copytree(FILES / "catalog", folder / "catalog")
            write_schemas(folder / "catalog")
        if not (folder / "dagster.yaml").exists():
            shutil.copy(FILES / "dagster.yaml", folder / "dagster.yaml")
    except OSError as error:
        raise DeclarationError(
            f"The demo cannot write to {folder}: {error.strerror}.", next_step="Name a folder that you may write to."
        ) from None


def _table_paths(opened: Session) -> dict[str, Path]:
    """Where the demo's tables are.

    Raises:
        DeclarationError: this is not the demo's catalog; the demo writes to no other.
    """
    from cdp_exports.catalog.load import load

    demo_catalog, catalog = load(FILES / "catalog"), opened.catalog
    same = [export in catalog.exports for export in (*EXPORTS, *SEGMENT_EXPORTS)]
    same += [
        dataset in catalog.datasets and catalog.datasets[dataset].source == declared.source
        for dataset, declared in demo_catalog.datasets.items()
    ]
    if not all(same):
        raise DeclarationError(
            "This is not the demo's catalog, and the demo writes to the tables of no other.",
            next_step="Run the demo in a folder of its own: `cdp-exports demo some-folder`.",
        )
    return {name: catalog.root / dataset.source.uri for name, dataset in demo_catalog.datasets.items()}
