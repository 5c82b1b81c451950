"""`columns`: the columns of a dataset with their SQL types, as segments see them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdp_exports.cli.options import asked, catalog_option, json_option
from cdp_exports.cli.screen import draw, note, show
from cdp_exports.cli.session import catalog_folder
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from cdp_exports.entities.dataset import Dataset


@click.command("columns")
@click.argument("dataset")
@click.option("--write", is_flag=True, help="Put them into the dataset's file, which keeps its comments and everything else.")
@json_option
@catalog_option
def dataset_columns(dataset: str, write: bool) -> None:
    """Print the columns of a dataset with their SQL types.

    As the table has them now, as YAML to paste into the dataset's file: segments may read the columns that stand there.

    With `--write` they are put there, unless other columns are declared already: then the differences are shown and
    nothing is written.

    \b
    Examples:
      cdp-exports columns profiles
      cdp-exports columns profiles --write
    """
    from cdp_exports.catalog.columns import file_of, read_dataset, written
    from cdp_exports.sources.describe import duckdb_columns
    from cdp_exports.sources.open import open_source

    folder = catalog_folder().absolute()
    declared = read_dataset(folder, dataset)
    found = duckdb_columns(open_source(declared, folder.parent, os.environ), f"The dataset {dataset}")
    different = _differences(declared, found)
    file = file_of(folder, dataset)
    if write and declared.columns and different:
        raise DeclarationError(
            "\n".join([f"{file} declares other columns than the table has:", *different]),
            next_step="Nothing was written. Correct `columns` there, or remove it and run this again.",
        )
    if write and not declared.columns:
        _write(file, found)
    columns = [{"name": name, "type": found.get(name), "declared": declared.columns.get(name)} for name in {**found, **declared.columns}]
    document: dict[str, Any] = {"dataset": dataset, "file": str(file), "columns": columns, "written": write and not declared.columns}
    if asked().as_json:
        show(document)
    elif write:
        draw(note(dataset, f"{len(found)} columns are declared in {file}." if not declared.columns else f"{file} declares them already."))
    else:
        click.echo(written(found), nl=False)
        if declared.columns and different:
            click.echo("\n".join([f"{file} declares other columns:", *different]), err=True)


def _differences(declared: Dataset, found: dict[str, str]) -> list[str]:
    """A line a column: declared only (-), in the table only (+)."""
    from cdp_exports.sources.describe import same_type

    lines: list[str] = []
    for name in {**found, **declared.columns}:
        promised, there = declared.columns.get(name), found.get(name)
        if promised and there and same_type(promised, there):
            continue
        lines += [f"- {name}: {promised}"] if promised else []
        lines += [f"+ {name}: {there}"] if there else []
    return lines


def _write(file: Path, columns: dict[str, str]) -> None:
    from cdp_exports.catalog.columns import with_columns
    from cdp_exports.catalog.writing import replace_files

    made = with_columns(file.read_bytes(), columns)
    if made is None:
        raise DeclarationError(
            f"The columns cannot be put into {file} as text.",
            next_step="Paste what the command prints without `--write`.",
        )
    replace_files({file: made})
