"""Results: a table for the terminal, and the same in README.md with the machine and the date."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

README = Path(__file__).with_name("README.md")
_COLUMNS = ("work", "here", "compared with", "there", "ratio", "must be", "")


@dataclass(frozen=True)
class Result:
    """One comparison. `target` is the bound of `ratio`: at most (or, `at_least`, at least); None: for information."""

    work: str
    here: str
    compared_with: str
    there: str
    ratio: float
    target: float | None = None
    at_least: bool = False
    unit: str = "x"

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    def cells(self) -> tuple[str, ...]:
        bound = "" if self.target is None else f"{'at least' if self.at_least else 'at most'} {self.target:g}{self.unit}"
        verdict = "" if self.target is None else "met" if self.met else "MISSED"
        return self.work, self.here, self.compared_with, self.there, f"{self.ratio:.2f}{self.unit}", bound, verdict


def show(results: Sequence[Result], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column in ("here", "there", "ratio") else "left")
    for result in results:
        style = "red" if not result.met else "" if result.target else "dim"
        table.add_row(*(escape(cell) for cell in result.cells()), style=style)
    console.print(table)


def write(results: Sequence[Result], command: str, seconds: float) -> None:
    """Write README.md anew."""
    lines = ["| " + " | ".join(_COLUMNS) + " |", "|" + "---|" * len(_COLUMNS)]
    lines += ["| " + " | ".join(result.cells()) + " |" for result in results]
    versions = ", ".join(f"{name} {version(name)}" for name in ("polars", "duckdb", "deltalake", "dagster"))
    README.write_text(
        _TEXT.format(
            table="\n".join(lines),
            command=command,
            date=datetime.now(UTC).date(),
            machine=f"{os.cpu_count()} cores, {_memory_gib():.0f} GiB of memory",
            minutes=f"{seconds / 60:.0f}",
            versions=versions,
        )
    )


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


_TEXT = """# Benchmarks

```
just bench              # all, about six minutes; needs 16 GB of disk
just bench --quick      # the same on small tables in a minute: shows that it works, its ratios say little
just bench --write      # writes this file
```

{table}

`{command}`, {date}, {minutes} minutes, on {machine}; {versions}.

## What is measured

Tables are TPC-H line items (16 columns: numbers, decimals, dates, texts) from `tpchgen-cli`, as Delta tables of Zstandard Parquet
files with row groups of up to 128 MB, as Spark and deltalake write them. Every measurement is a process of its own. Both sides
import their libraries and open the table before the clock starts and take turns in the same run; the medians are compared. What
each wrote is read back by DuckDB with the table's types, and the run ends with an error unless row counts and contents (a hash
that does not depend on the order) are equal.

- **Full delivery**: from planning to the ledger's commit: pinned version, encoding, SHA-256 and rows of every file, re-reading
  what was stored, manifest. Bare Polars: `pl.scan_delta(...)` into `sink_parquet(...)`, `sink_csv(compression="gzip")`,
  `sink_ndjson(compression="gzip")`, and nothing else.
- **Increment**: after three commits that inserted, updated and deleted 1 % of the table. DuckDB compares the two versions' files
  in the faster of two ways: a full join by key, and `EXCEPT` both ways. The ten times larger table has as many changed rows.
- **Segments**: 5 million profiles in 10 columns, about a quarter of them chosen by a predicate over three columns, with six mapped
  fields (trimmed, cased, the e-mail address as SHA-256). In full: DuckDB's `COPY (SELECT ... WHERE ...)` with the same expressions,
  written by hand. Increments after three commits that inserted, updated and deleted 1 % of the profiles: DuckDB evaluates both
  versions, joins them by key, and looks at why those left who left; here each also keeps what the receiver holds. The three ways
  (`changes`, `touched`, `compared`) answer to what the export and the segment ask for; the profiles change in one half of the files.
- **Uploads**: from opening a file at a destination that is signed in to its proof: each part hashed, checked by the server on
  arrival, and what is stored compared with what was sent (S3, GCS, Azure), or read back (SFTP). The bare libraries send the same
  bytes, which they hold in memory, with their defaults, and prove nothing: `obstore.put`, and asyncssh's `put`. The servers are
  SeaweedFS, the tests' face of Google Cloud Storage before it, Azurite and OpenSSH. In the end both sides' files are compared.
- **Memory**: the largest resident size of the delivering process, libraries included.
- **Ticks**: the refresh sensor evaluated as the code server does it, every export following a table of its own and one of twenty
  that they share, which then change; Dagster's storage and the ledger in SQLite. A tick asks for at most 50 runs and looks at tables
  for at most 20 seconds; the rest is for the next ticks. The run ends with an error unless every export is asked for exactly once.
  What the daemon then takes to make runs of the requests is not in it.
- **Code location**: the whole process `dagster definitions validate`, a dataset and a schedule for each export.
"""
