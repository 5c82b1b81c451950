"""`schema`: what a catalog may hold, for editors."""

from __future__ import annotations

import json

import click

from cdp_exports.cli.options import catalog_option
from cdp_exports.cli.session import catalog_folder
from cdp_exports.errors import DeclarationError


@click.command()
@click.option("--write", is_flag=True, help="Write one file a kind into the catalog's folder `.schema`.")
@catalog_option
def schema(write: bool) -> None:
    """Print the JSON Schema of catalog files.

    One for each kind of object: environment, connection, dataset, export. With `--write` an editor completes and checks
    catalog files that begin with a line such as `# yaml-language-server: $schema=../.schema/export.json`.

    \b
    Examples:
      cdp-exports schema
      cdp-exports schema --write
    """
    from cdp_exports.catalog.schema import schemas, write_schemas

    if not write:
        click.echo(json.dumps(schemas(), indent=2))
        return
    folder = catalog_folder()
    if not folder.is_dir():
        raise DeclarationError(f"There is no folder {folder}.", next_step="Create the catalog first, or name another with --catalog.")
    for file in write_schemas(folder):
        click.echo(file)
