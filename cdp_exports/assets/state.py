"""Where is kept what the receivers of segments hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from cdp_exports.assets.launchers import configured_elsewhere, elsewhere
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination


def open_state(catalog: Catalog, instance: DagsterInstance) -> FileDestination:
    """The environment's state folder; by default `state` in Dagster's home, beside the ledger.

    Raises:
        DeclarationError: a secret's variable is not set, or the folder is the default one and runs are launched on other machines.
        DestinationRefused, TransientError: as `open_destination`.
    """
    from cdp_exports.destinations.open import open_files

    declared = catalog.environment.state
    if declared is None and (launcher := elsewhere(instance)):
        raise _not_shared(launcher)
    default = LocalConnection(type="local", folder=str(Path(instance.root_directory, "state")))
    return open_files(declared or default, catalog.root, os.environ)


def check_state(catalog: Catalog, environ: Mapping[str, str]) -> None:
    """Refuse, when the code location loads, the default folder where it is needed and Dagster's home configures another run launcher.

    Raises:
        DeclarationError: an incremental segment export has nowhere to keep its state.
    """
    if catalog.environment.state is None and needs_state(catalog) and (launcher := configured_elsewhere(environ)):
        raise _not_shared(launcher)


def needs_state(catalog: Catalog) -> bool:
    """Whether an export keeps what its receiver holds."""
    return any(export.mode == "incremental" for export in catalog.segment_exports.values())


def _not_shared(launcher: str) -> DeclarationError:
    return DeclarationError(
        f"The state folder is one of this machine, but {launcher} runs deliveries elsewhere.",
        next_step="Name a folder that all machines share in catalog/environment.yaml, for example "
        "`state: {type: s3, bucket: acme-exports, folder: state}`.",
    )
