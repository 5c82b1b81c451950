"""Which ledger a run writes to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from dagster import DagsterInstance

from cdp_exports.assets.launchers import configured_elsewhere, elsewhere
from cdp_exports.entities.environment import Environment
from cdp_exports.errors import DeclarationError
from cdp_exports.ledger.ledger import Ledger


def open_ledger(environment: Environment, instance: DagsterInstance) -> Ledger:
    """The environment's ledger, opened once per process; by default SQLite in Dagster's home.

    Raises:
        DeclarationError: the URL's variable is not set, or the ledger is SQLite and runs are launched on other machines.
        TransientError, LedgerNewer: as `Ledger.open`.
    """
    default = f"sqlite:///{instance.root_directory}/ledger.db"
    url = environment.ledger.reveal(os.environ) if environment.ledger else default
    if url.startswith("sqlite") and (launcher := elsewhere(instance)):
        raise _not_shared(launcher)
    return _open(url)


@cache
def _open(url: str) -> Ledger:
    return Ledger.open(url)


def check_ledger(environment: Environment, environ: Mapping[str, str]) -> None:
    """Refuse, when the code location loads, a SQLite ledger where Dagster's home configures another run launcher.

    What cannot be known yet (a ledger's variable set only for runs, a home elsewhere) is checked again by each run.

    Raises:
        DeclarationError: the ledger is SQLite and `run_launcher` in dagster.yaml is not the default one.
    """
    url = environ.get(environment.ledger.env, "unknown") if environment.ledger else "sqlite"
    if url.startswith("sqlite") and (launcher := configured_elsewhere(environ)):
        raise _not_shared(launcher)


def _not_shared(launcher: str) -> DeclarationError:
    return DeclarationError(
        f"The ledger is a SQLite file, which only this machine can open, but {launcher} runs deliveries elsewhere.",
        next_step="Name a Postgres database in catalog/environment.yaml, for example `ledger: {env: CDP_EXPORTS_LEDGER}`.",
    )
