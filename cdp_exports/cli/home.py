"""Dagster's home, which the command line shares with the Dagster UI: what one ran the other shows."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from dagster import DagsterInstance


def find_home(catalog: Path, environ: Mapping[str, str]) -> Path:
    """`DAGSTER_HOME`, else the nearest folder with a dagster.yaml, from the catalog upwards.

    Raises:
        DeclarationError: there is none.
    """
    if named := environ.get("DAGSTER_HOME"):
        return Path(named).absolute()
    for folder in catalog.absolute().parents:
        if (folder / "dagster.yaml").is_file():
            return folder
    raise DeclarationError(
        f"Dagster's home is not known: DAGSTER_HOME is not set, and no folder from {catalog} upwards has a dagster.yaml.",
        next_step="Set DAGSTER_HOME to the folder that the Dagster UI uses, or put a dagster.yaml beside the catalog.",
    )


@contextmanager
def open_instance(home: Path) -> Generator[DagsterInstance]:
    """The Dagster instance in a home.

    Raises:
        DeclarationError: the folder is not there or its dagster.yaml is wrong.
    """
    if not home.is_dir():
        raise DeclarationError(f"Dagster's home {home} is not there.", next_step="Create the folder, or set DAGSTER_HOME to the right one.")
    os.environ["DAGSTER_HOME"] = str(home)  # Dagster's own code asks for it everywhere
    from dagster import DagsterError, DagsterInstance
    from yaml import YAMLError

    try:
        instance = DagsterInstance.get()
    except (DagsterError, YAMLError, OSError, ValueError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DeclarationError(
            f"Dagster cannot use its home {home}: {said}",
            next_step=f"Correct {home / 'dagster.yaml'}; `dagster instance info` tries it again.",
        ) from None
    with instance:
        yield instance
