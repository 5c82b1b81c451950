"""Measure speed and memory of deliveries against bare Polars and DuckDB, and check what every side wrote."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.comparisons import FULL_SIZE, QUICK, Run, emptied
from benchmarks.results import README, Result, show, write


def main(arguments: Sequence[str] | None = None) -> int:
    names = list(Run(Path(), QUICK).all())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", help=f"which: {', '.join(names)}; default all")
    parser.add_argument("--quick", action="store_true", help="small tables, one measurement each: a trial")
    parser.add_argument("--folder", type=Path, default=Path("data/benchmarks"), help="where to work (default %(default)s); emptied first")
    parser.add_argument("--write", action="store_true", help=f"write the results to {README.parent.name}/{README.name}")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.only) - set(names):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if asked.write and (asked.only or asked.quick):
        parser.error("only a whole run is written")
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    progress = Console(stderr=True, highlight=False)
    begun = time.monotonic()
    run = Run(emptied(asked.folder.absolute()), QUICK if asked.quick else FULL_SIZE)
    results: list[Result] = []
    for name, compare in run.all().items():
        if not asked.only or name in asked.only:
            progress.print(f"{time.monotonic() - begun:4.0f} s  {name}", style="dim")
            results += compare()
    show(results, console)
    if asked.write:
        write(results, "just bench --write", time.monotonic() - begun)
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
