"""The terminal: tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.options import asked

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table
    from rich.text import Text

    from cdp_exports.delivery.context import Progress

_STYLES = {
    "committed": "green",
    "skipped": "yellow",
    "failed": "red",
    "covered": "dim",
    "pinned": "cyan",
    "publishing": "magenta",
    "waiting": "cyan",
}
_WIDE = 200  # columns where no terminal says how wide it is: a table in a file is not folded


def show(document: dict[str, Any], *drawn: Any) -> None:
    """Print the document where JSON was asked for, else what is drawn of it."""
    if asked().as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        draw(*drawn)


def draw(*parts: Any) -> None:
    """Print tables and sentences on stdout; sentences are left to the terminal to wrap, so that commands in them can be copied."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)
    for part in parts:
        if isinstance(part, Table):
            _keep_words(part, console.width)
        console.print(part, soft_wrap=isinstance(part, Text))


def _keep_words(table: Table, width: int) -> None:
    """In a narrow terminal, take room from the columns that can break between words, as long as none must break within one."""
    lines = [[str(cell) for cell in [column.header, *column.cells]] for column in table.columns]
    shortest = [max(len(word) for line in column for word in line.split() or [""]) for column in lines]
    widths = [max(map(len, column)) for column in lines]
    room = width - 3 * (len(widths) - 1)
    if sum(shortest) > room:
        return
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda index: widths[index] - shortest[index])
        widths[widest] -= 1
    for column, chosen in zip(table.columns, widths, strict=True):
        column.width = chosen


def between(tables: Sequence[Any]) -> list[Any]:
    """Tables with an empty line between them."""
    return [part for drawn in tables for part in (text(""), drawn)][1:]


def table(*columns: str, title: str | None = None) -> Table:
    """A table; a column whose name begins with `#` holds numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in columns:
        number = column.startswith("#")
        made.add_column(column.removeprefix("#"), justify="right" if number else "left", overflow="fold", no_wrap=number)
    return made


def text(value: object, style: str = "") -> Text:
    """Text as it is: no markup is read from it."""
    from rich.text import Text

    return Text("" if value is None else str(value), style=style)


def state(word: str, more: str = "", *, permanent: bool = False) -> Text:
    """A delivery's state or outcome, in its colour; `permanent`: trying again without a change cannot help."""
    return text(f"{word} (permanent)" if permanent else word, _STYLES.get(word, "")).append(more, "not bold")


def outcome(member: dict[str, Any]) -> Text:
    """How a member of a run ended."""
    return state(member["status"], permanent=bool(member["error"] and member["error"]["permanent"]))


def note(label: str, message: str, next_step: str = "", style: str = "") -> Text:
    """A sentence with its next step below it."""
    made = text(f"{label}: " if label else "", f"{style} bold".strip())
    made.append(message, style=style)
    if next_step:
        made.append(f"\n  {next_step}", style="")
    return made


def number(value: int | None) -> str:
    """A count for people.

    >>> number(1234567), number(None)
    ('1 234 567', '')
    """
    return "" if value is None else f"{value:,}".replace(",", " ")


def size(value: int | None) -> str:
    """Bytes for people.

    >>> size(0), size(999), size(2048), size(5 * 1024**3)
    ('0 B', '999 B', '2.0 KiB', '5.0 GiB')
    """
    if value is None:
        return ""
    scaled, units = float(value), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while scaled >= 1024 and len(units) > 1:
        scaled /= 1024
        units.pop(0)
    return f"{scaled:.0f} B" if units[0] == "B" else f"{scaled:.1f} {units[0]}"


def short(moment: str | None) -> str:
    """A moment to the minute.

    >>> short("2026-12-01T02:00:31+00:00")
    '2026-12-01 02:00'
    """
    return (moment or "")[:16].replace("T", " ")


def files_said(delivery: dict[str, Any]) -> str:
    """How much was written.

    >>> files_said({"files": 1, "bytes": 2048})
    '1 file, 2.0 KiB,'
    >>> files_said({"files": 0, "bytes": 0})
    'no rows, so no files: only the manifest'
    >>> files_said({"files": 0, "bytes": 0, "batches": 3})
    '3 batches'
    """
    if (batches := delivery.get("batches")) is not None:
        return f"{number(batches)} batch{'es' * (batches != 1)}" if batches else "nobody changed, so nothing was sent"
    if not delivery["files"]:
        return "no rows, so no files: only the manifest"
    return f"{number(delivery['files'])} file{'s' if delivery['files'] > 1 else ''}, {size(delivery['bytes'])},"


@contextmanager
def progress(members: Sequence[str]) -> Generator[Progress]:
    """A bar for each member on stderr, while it lasts; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        from cdp_exports.delivery.context import silent

        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[member]}", markup=False),
        TextColumn("{task.description}", markup=False, style="dim"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # While a step runs, Dagster turns stderr into a file and shows it with a delay: the bars keep the terminal itself.
    terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    with terminal, Bars(*columns, console=Console(file=terminal), transient=True, redirect_stdout=False, redirect_stderr=False) as bars:

        @cache
        def bar(member: str) -> TaskID:
            return bars.add_task("waiting", member=member, total=None)

        for member in members:
            bar(member)
        yield lambda member, step, done, total: bars.update(bar(member), description=step, completed=done, total=total)
