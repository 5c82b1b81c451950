"""Telling the ledger that a run is alive, from its step's first moment to its last, waits included."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from dagster import AssetExecutionContext

from cdp_exports.assets.ledger import open_ledger
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError

BEAT_SECONDS = 15.0


@contextmanager
def alive(dagster: AssetExecutionContext, catalog: Catalog, export_id: str, members: Sequence[str]) -> Generator[None]:
    """The run is seen while this lasts. A ledger that is away is no reason to fail here, nor a key that is no export time."""
    environment, run_id = catalog.environment.name, dagster.run.run_id
    ledger = partial(open_ledger, catalog.environment, dagster.instance)
    done, said = threading.Event(), False

    def tell() -> None:
        nonlocal said
        with suppress(CdpExportsError):
            if said:
                ledger().run_seen(environment, run_id)
            else:  # until it is written down, or it would pass for a run that died before it came to its step
                export_time = ExportTime.parse(dagster.partition_key if dagster.has_partition_key else "")
                ledger().run_begins(environment, run_id, export_id, export_time, members)
                said = True

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            tell()

    tell()
    thread = threading.Thread(target=beat, name="run-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(CdpExportsError):
            ledger().run_seen(environment, run_id, ended=True)
