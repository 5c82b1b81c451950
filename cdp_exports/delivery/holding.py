"""Holding an export's lease: one delivery of an export at a time, on however many machines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TypeVar

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, Skip, TransientError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Lease

LEASE_SECONDS = 60.0  # a run that died is taken over after this long
HEARTBEAT_SECONDS = 15.0
WAIT_SECONDS = 6 * 3600.0  # a run of another export time waits this long for its turn
POLL_SECONDS = 1.0

_NO_DELIVERY = ExportTime.parse("197001010000")  # a lease names an export time: one that nobody delivers

T = TypeVar("T")


class Holding:
    """The export's lease while it is held, and that of the id it had before: a run under the old id is a rival too."""

    def __init__(self, ledger: Ledger, leases: list[Lease]) -> None:
        self.lease = leases[0]
        self._leases = leases
        self._ledger = ledger
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises Skip(superseded) where another run has taken over; a run that only stood still goes on."""
        if not self._renew():
            raise superseded()

    def is_lost(self) -> bool:
        """Whether another run has certainly taken over."""
        with suppress(CdpExportsError):
            return not self._renew()
        return False

    def write(self, fenced: Callable[[Lease], T]) -> T:
        """A write to the ledger that only the holder may do. If this run merely stood still it is done after all.

        Raises:
            Skip: another run has taken over.
        """
        try:
            return fenced(self.lease)
        except Skip:
            self.check()
            return fenced(self.lease)

    def stop(self) -> None:
        """No more heartbeats; the leases are free."""
        self._done.set()
        self._thread.join()
        release(self._ledger, self._leases)

    def _renew(self) -> bool:
        renewed = [self._ledger.renew(lease, seconds=LEASE_SECONDS) for lease in self._leases]
        return all(renewed)

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            with suppress(CdpExportsError):  # the ledger decides: `check` and every fenced write ask it again
                self._renew()


def superseded() -> Skip:
    """What a run ends with when another took its place."""
    return Skip(
        "Another run took over this delivery.",
        next_step="Nothing to do: see the other run with `cdp-exports history`.",
        reason="superseded",
    )


def release(ledger: Ledger, leases: list[Lease]) -> None:
    """Free them; where the ledger is away they run out by themselves."""
    for lease in leases:
        with suppress(CdpExportsError):
            ledger.release(lease)


@contextmanager
def holding(ledger: Ledger, environment: str, exports: tuple[str, ...], *, run_id: str, export_time: ExportTime) -> Generator[Holding]:
    """Hold the lease of an export (its id, then the one it had before); wait for a run of another export time.

    Raises:
        Skip: `already_running`, another run that is alive delivers this very export time.
        TransientError: the other export time's run did not end in time.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    rivals: dict[tuple[str, int], Lease] = {}  # as first seen: one that is renewed after that is alive
    while isinstance(taken := _acquire(ledger, environment, exports, run_id=run_id, export_time=export_time), str):
        holder = ledger.holder(environment, taken)
        if holder is not None and holder.export_time == export_time:
            seen = rivals.setdefault((holder.export, holder.token), holder)
            if holder.expires_at > seen.expires_at:
                raise Skip(
                    f"Run {holder.run_id} is delivering this export time now.",
                    next_step="Wait for it: `cdp-exports history` shows how it ends.",
                    reason="already_running",
                )
        if time.monotonic() > deadline:
            raise TransientError(
                f"The run of another export time has held the export for {WAIT_SECONDS / 3600:.0f} hours.",
                next_step="See what it does with `cdp-exports history`, then run again.",
            )
        time.sleep(POLL_SECONDS)
    held = Holding(ledger, taken)
    try:
        yield held
    finally:
        held.stop()


@contextmanager
def holding_if_free(ledger: Ledger, environment: str, exports: tuple[str, ...], *, run_id: str) -> Generator[Holding | None]:
    """Hold the lease of an export for a moment, for no delivery; None where a run holds it: it does the same at its end."""
    taken = _acquire(ledger, environment, exports, run_id=run_id, export_time=_NO_DELIVERY)
    if isinstance(taken, str):
        yield None
        return
    held = Holding(ledger, taken)
    try:
        yield held
    finally:
        held.stop()


def _acquire(ledger: Ledger, environment: str, exports: tuple[str, ...], *, run_id: str, export_time: ExportTime) -> list[Lease] | str:
    """All leases, or none and the id whose lease somebody else holds."""
    leases: list[Lease] = []
    for export in exports:
        lease = ledger.acquire(environment, export, run_id=run_id, export_time=export_time, seconds=LEASE_SECONDS)
        if lease is None:
            release(ledger, leases)
            return export
        leases.append(lease)
    return leases
