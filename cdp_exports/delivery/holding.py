"""Holding an export's lease: one delivery of an export at a time, on however many machines."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, Skip, TransientError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Lease

LEASE_SECONDS = 60.0  # a run that died is taken over after this long
HEARTBEAT_SECONDS = 15.0
WAIT_SECONDS = 6 * 3600.0  # a run of another export time waits this long for its turn
POLL_SECONDS = 1.0


class Holding:
    """The lease while it is held; `check` before every step that others would see."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        self.lease = lease
        self._ledger = ledger
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises Skip(superseded) where another run has taken over; a run that only stood still goes on."""
        if not self._ledger.renew(self.lease, seconds=LEASE_SECONDS):
            raise superseded()

    def is_lost(self) -> bool:
        """Whether another run has certainly taken over."""
        try:
            return not self._ledger.renew(self.lease, seconds=LEASE_SECONDS)
        except CdpExportsError:
            return False

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            with suppress(CdpExportsError):  # the ledger decides: `check` and every fenced write ask it again
                self._ledger.renew(self.lease, seconds=LEASE_SECONDS)


def superseded() -> Skip:
    """What a run ends with when another took its place."""
    return Skip(
        "Another run took over this delivery.",
        next_step="Nothing to do: see the other run with `cdp-exports history`.",
        reason="superseded",
    )


@contextmanager
def holding(ledger: Ledger, environment: str, export: str, *, run_id: str, export_time: ExportTime) -> Generator[Holding]:
    """Hold the export's lease; wait for a run of another export time.

    Raises:
        Skip: `already_running`, another run delivers this very export time.
        TransientError: the other export time's run did not end in time.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (lease := ledger.acquire(environment, export, run_id=run_id, export_time=export_time, seconds=LEASE_SECONDS)) is None:
        holder = ledger.holder(environment, export)
        if holder is not None and holder.export_time == export_time:
            raise Skip(
                f"Run {holder.run_id} is delivering this export time now.",
                next_step="Wait for it; if that run died, its place is free a minute after it.",
                reason="already_running",
            )
        if time.monotonic() > deadline:
            raise TransientError(
                f"The run of another export time has held the export for {WAIT_SECONDS / 3600:.0f} hours.",
                next_step="See what it does with `cdp-exports history`, then run again.",
            )
        time.sleep(POLL_SECONDS)
    held = Holding(ledger, lease)
    try:
        yield held
    finally:
        held.stop()
        with suppress(CdpExportsError):  # then it runs out by itself
            ledger.release(held.lease)
