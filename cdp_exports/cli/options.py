"""Options that several commands share, said once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Asked:
    """What was asked for whatever the command: which catalog, and JSON or a table."""

    catalog: Path | None = None
    as_json: bool = False


def asked(context: click.Context | None = None) -> Asked:
    """What the person at the terminal asked for, before the command or behind it."""
    return (context or click.get_current_context()).find_root().ensure_object(Asked)


class _ExportTime(click.ParamType[ExportTime]):
    name = "export time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ExportTime:
        try:
            return ExportTime.parse(value)
        except DeclarationError as error:
            self.fail(f"{error.message} {error.next_step}", param, ctx)


def _remember_catalog(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        asked(ctx).catalog = value


def _remember_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    asked(ctx).as_json = value


def catalog_option(function: F) -> F:
    """`--catalog`, before the command or behind it."""
    return click.option(
        "--catalog",
        metavar="DIR",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_remember_catalog,
        help="The catalog's folder. Default: CDP_EXPORTS_CATALOG, else `catalog/` beside the nearest pyproject.toml.",
    )(function)


def json_option(function: F) -> F:
    """`--json`: nothing but one JSON document on stdout."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_remember_json,
        help="Print one JSON document instead of tables (docs/command-line.md describes it).",
    )(function)


def export_argument(function: F) -> F:
    return click.argument("export")(function)


def at_option(*, required: bool, help: str) -> Callable[[F], F]:
    return click.option("--at", "export_time", metavar="YYYYMMDDHHMM", type=_ExportTime(), required=required, help=help)


def member_option(help: str) -> Callable[[F], F]:
    return click.option("--member", "members", metavar="NAME", multiple=True, help=f"{help} May be given several times.")
