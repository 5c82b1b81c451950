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

_STYLES = {"committed": "green", "skipped": "yellow", "failed": "red", "covered": "dim", "pinned": "cyan", "publishing": "magenta"}
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
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


def table(*columns: str, title: str | None = None) -> Table:
    """A table; a column whose name begins with `#` holds numbers."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        number = column.startswith("#")
        made.add_column(column.removeprefix("#"), justify="right" if number else "left", overflow="fold", no_wrap=number)
    return made


def text(value: object, style: str = "") -> Text:
    """Text as it is: no markup is read from it."""
    from rich.text import Text

    return Text("" if value is None else str(value), style=style)


def state(word: str) -> Text:
    """A delivery's state or outcome, in its colour."""
    return text(word, _STYLES.get(word, ""))


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
