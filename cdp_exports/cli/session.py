"""What every command works with: the catalog, Dagster's instance, the ledger."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.cli.home import find_home, open_instance
from cdp_exports.cli.options import asked

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from cdp_exports.catalog.catalog import Catalog
    from cdp_exports.delivery.context import Context, Progress
    from cdp_exports.ledger.ledger import Ledger


@dataclass(frozen=True)
class Session:
    """An opened catalog with the instance and the ledger that belong to it."""

    folder: Path
    """The catalog's."""
    catalog: Catalog
    instance: DagsterInstance
    ledger: Ledger

    @property
    def environment(self) -> str:
        return self.catalog.environment.name

    def context(self, progress: Progress) -> Context:
        """What deliveries need, with the catalog's own connections."""
        from cdp_exports.assets.opening import step_context

        return step_context(self.catalog, self.instance, {}, progress)


def catalog_folder() -> Path:
    """The folder named by `--catalog`, else where `find_catalog` finds it.

    Raises:
        DeclarationError: there is no catalog.
    """
    from cdp_exports.catalog.load import find_catalog

    return asked().catalog or find_catalog(os.environ)


@contextmanager
def session(folder: Path | None = None) -> Generator[Session]:
    """Load the catalog first, so that what is wrong in it is said before anything slow begins.

    Raises:
        DeclarationError: the catalog or Dagster's home is wrong.
        TransientError, LedgerRefused, LedgerNewer: the ledger cannot be used.
    """
    from cdp_exports.catalog.load import load

    folder = folder or catalog_folder()
    catalog = load(folder)
    home = find_home(folder, os.environ)
    with open_instance(home) as instance:
        from cdp_exports.assets.ledger import open_ledger

        yield Session(folder.absolute(), catalog, instance, open_ledger(catalog.environment, instance))
