"""Deliver TPC-H tables and segments, refresh the tables, deliver the increments, and prove that receivers hold what is there."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scenarios.tpch import audiences, receivers
from scenarios.tpch.tables import KEYS, Changed, generate, rearrange, refresh

if TYPE_CHECKING:
    from cdp_exports.cli.session import Session
    from cdp_exports.delivery.outcome import Outcome
    from scenarios.tpch.receivers import Delivered, Finding

    Compare = Callable[[Path, str, Sequence[Delivered]], Finding]

_FILES = Path(__file__).parent / "files"
_EXPORTS = {"parquet_all": "parquet", "csv_all": "csv", "json_added": "json"}
"""Exports of datasets, and where in the lake they deliver to."""

_SEGMENT_EXPORTS = {"ads_csv": "ads", "buyers_parquet": "buyers"}
"""Exports of segments, likewise."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scenarios.tpch", description=__doc__)
    parser.add_argument("scale", nargs="?", type=float, default=1.0, help="TPC-H's scale factor: 1 (default) is 6 million line items")
    parser.add_argument("--rounds", type=int, choices=range(1, 10), default=3, help="how often the tables are refreshed (default 3)")
    parser.add_argument("--folder", type=Path, help="where to work; default data/tpch-SCALE, which is emptied first")
    asked = parser.parse_args(arguments)
    folder = (asked.folder or Path("data") / f"tpch-{asked.scale:g}").absolute()
    if asked.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists() and any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    return Story(folder, Console(width=None if sys.stdout.isatty() else 160, highlight=False)).told(asked.scale, asked.rounds)


class Story:
    """One run of the scenario in a folder: the tables, the catalog, Dagster's home, the lake."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder, self._console = folder, console
        self._wrong = 0
        self._begun = time.monotonic()

    def told(self, scale: float, rounds: int) -> int:
        """Run it; the exit status."""
        from cdp_exports.cli.session import session

        shutil.copytree(_FILES, self._folder, dirs_exist_ok=True)
        os.environ["DAGSTER_HOME"] = str(self._folder)  # its runs and its ledger are its own
        self._say(f"TPC-H orders, line items, customers and nations at scale factor {scale:g}, as Delta tables in {self._folder / 'data'}")
        generate(self._folder / "data", scale)
        with session(self._folder / "catalog") as opened:
            self._say("Full deliveries: the first of each dataset is the whole table, the first of each segment everybody in it")
            self._deliver(opened, None)
            self._deliver_segments(opened)
            for number in range(1, rounds + 1):
                rearranged = rearrange(self._folder / "data", number)
                self._say(f"{rearranged}. Then refresh {number}: new orders (RF1), updates, orders deleted (RF2), and customers")
                self._deliver(opened, refresh(self._folder / "data", number))
                self._deliver_segments(opened)
                self._say("What receivers hold now")
                self._show_findings(self._compared(receivers.rebuilt_by_duckdb, receivers.added_by_duckdb) + self._audiences())
            self._say("Read by pyarrow too")
            self._show_findings(self._compared(receivers.rebuilt_by_pyarrow, receivers.counted_by_pyarrow))
            self._say("Verified: every file read again and compared with manifest, ledger and table")
            self._verify(opened)
        self._say("All is equal." if not self._wrong else f"{self._wrong} checks FAILED.")
        return 1 if self._wrong else 0

    def _deliver(self, opened: Session, changed: Mapping[str, Changed] | None) -> None:
        numbers = ("#versions", "#inserted", "#updated", "#deleted", "#files", "#MB", "#seconds")
        shown = _table("export", "dataset", "status", "change source", *numbers)
        for outcome, seconds in self._delivered(opened, _EXPORTS):
            self._check(self._is_right(outcome, changed, added=outcome.export.endswith("_added")))
            shown.add_row(*_cells(outcome), seconds)
        self._console.print(shown)

    def _deliver_segments(self, opened: Session) -> None:
        numbers = ("#members", "#entered", "#updated", "#exited", "#files", "#MB", "#seconds")
        shown = _table("export", "segment", "status", "found by", *numbers)
        for outcome, seconds in self._delivered(opened, _SEGMENT_EXPORTS):
            self._check(outcome.status == "committed")
            shown.add_row(*_segment_cells(outcome), seconds)
        self._console.print(shown)

    def _delivered(self, opened: Session, exports: Iterable[str]) -> Iterator[tuple[Outcome, str]]:
        """What became of each member, with the seconds of its export beside the first."""
        from cdp_exports.assets.run import run_in_process

        for export in exports:
            begun = time.monotonic()
            ended = run_in_process(opened.catalog, opened.instance, export)
            seconds = f"{time.monotonic() - begun:.1f}"
            for outcome in ended.outcomes:
                yield outcome, seconds
                seconds = ""
            if ended.error:
                self._check(right=False)
                self._console.print(f"{export}: {ended.error.message}", markup=False, style="red")

    def _is_right(self, outcome: Outcome, changed: Mapping[str, Changed] | None, *, added: bool) -> bool:
        """The delivery counts as many rows as the refresh changed."""
        if outcome.delivery is None or outcome.delivery.counts is None:
            return False
        counts = outcome.delivery.counts
        if changed is None:
            return counts.updated == counts.deleted == 0
        wanted = changed[outcome.member]
        updated, deleted = (0, 0) if added else (wanted.updated, wanted.deleted)
        return (counts.inserted, counts.updated, counts.deleted) == (wanted.inserted, updated, deleted)

    def _compared(self, rebuilt: Compare, added: Compare) -> list[tuple[str, str, Finding]]:
        found: list[tuple[str, str, Finding]] = []
        for export, place in _EXPORTS.items():
            compare = added if export.endswith("_added") else rebuilt
            for name in KEYS:
                deliveries = receivers.delivered(self._folder / "exports" / place, name)
                found.append((export, name, compare(self._folder / "data" / name, name, deliveries)))
        return found

    def _audiences(self) -> list[tuple[str, str, Finding]]:
        found: list[tuple[str, str, Finding]] = []
        for export, place in _SEGMENT_EXPORTS.items():
            for (where, segment), truth in audiences.TRUTHS.items():
                if where == place:
                    deliveries = receivers.delivered(self._folder / "exports" / place, segment)
                    found.append((export, segment, audiences.applied_by_duckdb(self._folder / "data", truth, deliveries)))
        return found

    def _show_findings(self, findings: Sequence[tuple[str, str, Finding]]) -> None:
        shown = _table("export", "member", "reader", "compared", "#rows read", "#missing", "#extra", "verdict")
        for export, name, found in findings:
            self._check(found.equal)
            verdict = "[green]equal" if found.equal else "[red]DIFFERS"
            shown.add_row(export, name, found.reader, found.question, f"{found.rows:,}", f"{found.missing:,}", f"{found.extra:,}", verdict)
        self._console.print(shown)

    def _verify(self, opened: Session) -> None:
        from cdp_exports.delivery.context import silent
        from cdp_exports.delivery.member import members_of
        from cdp_exports.delivery.verifying import verify

        shown = _table("export", "member", "#deliveries", "#files", "#MB", "verdict")
        context = opened.context(silent)
        for export in (*_EXPORTS, *_SEGMENT_EXPORTS):
            for member in members_of(context, export):
                verdicts = list(verify(member))
                differences = [difference for verdict in verdicts for difference in verdict.differences]
                self._check(bool(verdicts) and not differences)
                files, megabytes = sum(verdict.files for verdict in verdicts), sum(verdict.bytes for verdict in verdicts) / 1e6
                word = escape("; ".join(differences)) or "[green]intact"
                shown.add_row(export, member.id, str(len(verdicts)), str(files), f"{megabytes:,.1f}", word)
        self._console.print(shown)

    def _check(self, right: bool) -> None:
        self._wrong += not right

    def _say(self, title: str) -> None:
        self._console.print(f"\n[bold]{title}[/bold]  [dim]{time.monotonic() - self._begun:.0f} s[/dim]")


def _cells(outcome: Outcome) -> list[str]:
    delivery = outcome.delivery
    if delivery is None or delivery.counts is None:
        return _failed(outcome)
    (source,) = delivery.pin.sources
    versions = f"{source.upto_version}" if source.after_version is None else f"{source.after_version} to {source.upto_version}"
    counts = (delivery.counts.inserted, delivery.counts.updated, delivery.counts.deleted, len(delivery.files))
    numbers = [versions, *(f"{count:,}" for count in counts), f"{(delivery.bytes or 0) / 1e6:,.1f}"]
    return [outcome.export, outcome.member, outcome.status, source.change_source or "full", *numbers]


def _segment_cells(outcome: Outcome) -> list[str]:
    delivery = outcome.delivery
    if delivery is None or delivery.counts is None or delivery.counts.movement is None:
        return _failed(outcome)
    moved = delivery.counts.movement
    counts = (moved.held, moved.entered, moved.updated, moved.exited, len(delivery.files))
    numbers = [*(f"{count:,}" for count in counts), f"{(delivery.bytes or 0) / 1e6:,.1f}"]
    return [outcome.export, outcome.member, outcome.status, delivery.pin.way or "full", *numbers]


def _failed(outcome: Outcome) -> list[str]:
    reason = outcome.error.message if outcome.error else ""
    return [outcome.export, outcome.member, f"[red]{outcome.status}[/red] {escape(reason)}", *[""] * 7]


def _table(*columns: str) -> Table:
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column.removeprefix("#"), justify="right" if column.startswith("#") else "left")
    return made


if __name__ == "__main__":
    sys.exit(main())
