"""What the ledger remembers for schedules and sensors: refreshes, times that are due, cadences, runs at work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import (
    cadences,
    delivered,
    due,
    failing,
    history,
    missed,
    runs,
    signals,
)
from cdp_exports.ledger.database import Database
from cdp_exports.ledger.delivered import Delivered
from cdp_exports.ledger.due import Due, DueState
from cdp_exports.ledger.records import SkipRecord
from cdp_exports.ledger.runs import AtWork
from cdp_exports.ledger.signals import Signal


class Remembered:
    """The part of the ledger that is not about deliveries; all methods are as the Ledger's."""

    _database: Database

    # -- what schedules and sensors remember
    def signals(self, environment: str) -> dict[str, Signal]:
        """The newest refresh noticed of each dataset."""
        with self._database.read() as connection:
            return signals.of(connection, environment)

    def note_signal(self, signal: Signal, known: Signal | None) -> Signal | None:
        """Record a refresh that was noticed, by this clock. `known`: the one that stood there; None is returned where another sensor
        recorded one since."""
        with self._database.write() as connection:
            return signals.note(connection, signal, known)

    def reported(self, signal: Signal) -> None:
        """Dagster was told of it."""
        with self._database.write() as connection:
            signals.reported(connection, signal)

    def last_delivered(self, environment: str, exports: Sequence[str]) -> dict[tuple[str, str], Delivered]:
        """By export and member, up to which versions the last committed delivery went."""
        with self._database.read() as connection:
            return delivered.last(connection, environment, exports)

    def due(self, environment: str, export: str | None = None) -> list[Due]:
        """Export times that wait, or whose run was requested and not seen yet; the longest due first."""
        with self._database.read() as connection:
            return due.all_open(connection, environment, export)

    def last_due_of_refreshes(self, environment: str) -> dict[str, Due]:
        """By export, the newest export time that a refresh made due."""
        with self._database.read() as connection:
            return due.last_of_refreshes(connection, environment)

    def wait(self, environment: str, export: str, export_time: ExportTime, *, members: Sequence[str], upstream_runs: Sequence[str]) -> bool:
        """A schedule's tick waits for these runs. Idempotent; False where it was known.

        Raises:
            DeclarationError: the export time is later than now.
        """
        with self._database.write() as connection:
            return due.wait(connection, environment, export, export_time, members=members, upstream_runs=upstream_runs)

    def request(
        self,
        environment: str,
        export: str,
        formerly: str | None = None,
        *,
        cause: Literal["schedule", "refresh"],
        state: DueState = "requested",
        members: Sequence[str],
        seen: Mapping[str, str],
    ) -> Due:
        """Mint an export time and remember, in one transaction, what it is for: after a crash the same is asked for again.

        Raises:
            ClockSkew: as `mint`.
        """
        with self._database.write() as connection:
            return due.request(connection, environment, export, formerly, cause=cause, state=state, members=members, seen=seen)

    def move_due(self, one: Due, state: DueState) -> bool:
        """To another state; False: somebody else moved it before."""
        with self._database.write() as connection:
            return due.move(connection, one, state)

    def drop_due(self, one: Due, why: Iterable[SkipRecord]) -> bool:
        """It will not run, and this is why; False: somebody else moved it before."""
        with self._database.write() as connection:
            moved = due.move(connection, one, "dropped")
            for record in why if moved else ():
                history.skip(connection, record)
            return moved

    def wait_for(self, one: Due, upstream_runs: Sequence[str]) -> None:
        """It waits for other runs now."""
        with self._database.write() as connection:
            due.wait_for(connection, one, upstream_runs)

    def cadences_since(self, environment: str, declared: Mapping[str, str]) -> dict[str, datetime]:
        """Since when each export's cadence, as a text, has been what it is; one that is new or changed begins now."""
        with self._database.read() as connection:
            known = cadences.known(connection, environment)
        if any(known.get(export, ("",))[0] != cadence for export, cadence in declared.items()):
            with self._database.write() as connection:
                cadences.note(connection, environment, declared)
                known = cadences.known(connection, environment)
        return {export: known[export][1] for export in declared}

    def missed(
        self, environment: str, export: str, members: Sequence[str], times: Iterable[ExportTime], *, why: str, noticed_by: str
    ) -> None:
        """Remember times at which a run should have been; the next commit of each member covers them."""
        with self._database.write() as connection:
            missed.note(connection, environment, export, members, times, why=why, noticed_by=noticed_by)

    # -- runs, and whether their processes are alive
    def run_begins(self, environment: str, run_id: str, export: str, export_time: ExportTime, members: Sequence[str]) -> None:
        """A run is at work, also one that ended and tries again."""
        with self._database.write() as connection:
            runs.begin(connection, environment, run_id, export, export_time, members)

    def run_seen(self, environment: str, run_id: str, *, ended: bool = False) -> None:
        """A run is alive now; `ended`: and leaves in good order."""
        with self._database.write() as connection:
            runs.seen(connection, environment, run_id, ended=ended)

    def silent_runs(self, environment: str, *, seconds: float) -> list[AtWork]:
        """Runs that did not end and were not seen alive for so long."""
        with self._database.read() as connection:
            return runs.silent(connection, environment, seconds)

    def idle_runs(self, environment: str, run_ids: Sequence[str], *, seconds: float) -> list[str]:
        """Which of these runs never came so far as to be seen, or left their step so long ago."""
        with self._database.read() as connection:
            return runs.idle(connection, environment, run_ids, seconds)

    def run_died(self, one: AtWork, why: Iterable[SkipRecord]) -> bool:
        """Remember that a run's process died; False: somebody else did, or it was seen again."""
        with self._database.write() as connection:
            closed = runs.close(connection, one)
            for record in why if closed else ():
                history.skip(connection, record)
            return closed

    def failures_in_a_row(self, environment: str, exports: Sequence[str]) -> dict[tuple[str, str], int]:
        """By export and member, at how many export times it failed since its last delivery; none of those that did not."""
        with self._database.read() as connection:
            return failing.in_a_row(connection, environment, exports)
