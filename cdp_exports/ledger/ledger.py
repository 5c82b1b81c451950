"""The ledger's face: what was delivered, what was skipped and why. It alone decides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import (
    attempts,
    batches,
    clock,
    deliveries,
    export_times,
    files,
    history,
    leases,
)
from cdp_exports.ledger.database import Database
from cdp_exports.ledger.migration import bring_up_to_date
from cdp_exports.ledger.records import (
    Attempt,
    BatchState,
    Counts,
    Delivery,
    FileRecord,
    Lease,
    Link,
    SentBatch,
    SkipRecord,
    Standing,
    State,
)
from cdp_exports.ledger.remembered import Remembered


class Ledger(Remembered):
    """All methods are one short transaction each; several writers on several machines are safe, and threads too.

    A fenced method raises Skip (`superseded`) unless its lease is the export's newest and unexpired; the check and the
    write are one transaction. Every method raises TransientError where the database is unreachable or locked, and
    LedgerRefused where it says no (credentials, rights, no space).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Connect; create or migrate the tables. `url`: sqlite:///path or postgresql+psycopg2://... (postgresql:// is read as that).

        Raises:
            DeclarationError: the URL is none, or Postgres' driver is not installed.
            LedgerNewer: a newer version of this package migrated it.
        """
        database = Database(url)
        bring_up_to_date(database)
        return cls(database)

    def close(self) -> None:
        """Let go of the connections. What is called afterwards connects again."""
        self._database.close()

    def now(self) -> datetime:
        """The database's clock, UTC: the one clock all machines share."""
        with self._database.read() as connection:
            return clock.now(connection)

    # -- export times
    def mint(self, environment: str, export: str, formerly: str | None = None) -> ExportTime:
        """A new export time: max(current minute, newest + 1 minute), `formerly` the export's old id. Atomic: two callers get two.

        Raises:
            ClockSkew: it would be more than 10 minutes ahead.
        """
        with self._database.write() as connection:
            return export_times.mint(connection, environment, export, formerly)

    def note_time(self, environment: str, export: str, export_time: ExportTime) -> None:
        """Remember a typed or scheduled export time so that minted ones are later. Idempotent.

        Raises:
            DeclarationError: it is later than now, and than every minted one.
        """
        with self._database.write() as connection:
            export_times.note(connection, environment, export, export_time)

    def newest_time(self, environment: str, *exports: str) -> ExportTime | None:
        """The newest export time of any of these ids."""
        with self._database.read() as connection:
            return export_times.newest(connection, environment, *exports)

    # -- the lease: one an export
    def acquire(self, environment: str, export: str, *, run_id: str, export_time: ExportTime, seconds: float) -> Lease | None:
        """Take the lease if it is free, expired, or already held by this run_id (then with a new token).

        None: somebody else holds it; see `holder`."""
        with self._database.write() as connection:
            return leases.acquire(connection, environment, export, run_id=run_id, export_time=export_time, seconds=seconds)

    def holder(self, environment: str, export: str) -> Lease | None:
        """Who holds it now (unexpired)."""
        with self._database.read() as connection:
            return leases.holder(connection, environment, export)

    def renew(self, lease: Lease, *, seconds: float) -> bool:
        """Heartbeat; revives an expired lease that nobody took. False if it was lost (taken over, released)."""
        with self._database.write() as connection:
            return leases.renew(connection, lease, seconds=seconds)

    def release(self, lease: Lease) -> None:
        """Free it, if it is still this one's."""
        with self._database.write() as connection:
            leases.release(connection, lease)

    # -- deliveries. `exports` and `members` hold the current id first, then the one it had before
    def delivery(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...], export_time: ExportTime) -> Delivery | None:
        with self._database.read() as connection:
            return deliveries.one(connection, environment, exports, members, export_time)

    def last_committed(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> Delivery | None:
        """The committed delivery with the newest export time."""
        with self._database.read() as connection:
            return deliveries.last_committed(connection, environment, exports, members)

    def committed(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> list[Delivery]:
        """All committed deliveries, oldest first."""
        with self._database.read() as connection:
            return deliveries.in_state(connection, environment, exports, members, State.COMMITTED)

    def links(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> list[Link]:
        """All committed deliveries as links of their chains, oldest first."""
        with self._database.read() as connection:
            return deliveries.links(connection, environment, exports, members)

    def open_deliveries(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> list[Delivery]:
        """Pinned or publishing, oldest first (normally at most one)."""
        with self._database.read() as connection:
            return deliveries.in_state(connection, environment, exports, members, *deliveries.OPEN)

    def known(self, ids: Iterable[str]) -> set[str]:
        """Which of these are deliveries, in whatever state."""
        with self._database.read() as connection:
            return deliveries.known(connection, ids)

    def covered_since(
        self, environment: str, exports: tuple[str, ...], members: tuple[str, ...], export_time: ExportTime
    ) -> list[Delivery]:
        """Those of later export times that were closed by a still later one."""
        with self._database.read() as connection:
            return deliveries.in_state(connection, environment, exports, members, State.COVERED, after=export_time)

    def pin(self, lease: Lease, delivery: Delivery) -> None:
        """Record a new delivery (state pinned). Fenced.

        The database refuses a second open delivery of one member, and a second delivery at one export time: Skip superseded."""
        with self._database.write() as connection:
            deliveries.pin(connection, lease, delivery)

    def publishing(self, lease: Lease, attempt_id: str, counts: Counts) -> None:
        """Record the intent to create the manifest (and the counts): state publishing, attempt_id. Fenced, and only from `pinned`,
        or from `publishing` by the same attempt; else Skip superseded."""
        with self._database.write() as connection:
            deliveries.publishing(connection, lease, attempt_id, counts)

    def commit(self, delivery_id: str, attempt_id: str, *, counts: Counts, files: Iterable[FileRecord], run_id: str) -> Delivery:
        """State committed with this attempt's complete, closed list of files. Not fenced: the manifest decided.

        Attempts still running become `abandoned`. Idempotent for the same attempt; of a delivery that is covered, or was
        committed by another attempt: Skip superseded."""
        with self._database.write() as connection:
            return deliveries.commit(connection, delivery_id, attempt_id, counts=counts, delivered=tuple(files), run_id=run_id)

    def cover(self, delivery_id: str, covered_by: ExportTime) -> None:
        """State covered; attempts still running become `abandoned`. Idempotent; of a committed delivery: Skip superseded."""
        with self._database.write() as connection:
            deliveries.cover(connection, delivery_id, covered_by)

    def reopen(self, lease: Lease, delivery_id: str) -> None:
        """From publishing back to pinned (`resolve --resend`). Fenced."""
        with self._database.write() as connection:
            deliveries.reopen(connection, lease, delivery_id)

    def replace(self, lease: Lease, delivery_id: str, attempt_id: str, *, counts: Counts, files: Iterable[FileRecord], run_id: str) -> None:
        """A replay wrote all its files: the committed delivery's files are now this attempt's, the former attempt is superseded.
        The chain stays, and what the receiver holds. Fenced."""
        with self._database.write() as connection:
            deliveries.replace(connection, lease, delivery_id, attempt_id, counts=counts, delivered=tuple(files), run_id=run_id)

    def adopt(self, found: Iterable[Delivery]) -> int:
        """Record committed deliveries rebuilt from manifests, with one attempt each, that are not here as committed or covered;
        a committed one that was replayed since takes over the manifest's files.

        One transaction. How many were recorded."""
        with self._database.write() as connection:
            recorded = 0
            for delivery in found:
                recorded += deliveries.adopt(connection, delivery)
                export_times.note_delivered(connection, delivery.environment, delivery.export, delivery.export_time)
            return recorded

    # -- attempts and their files
    def start_attempt(self, lease: Lease, delivery_id: str, run_id: str) -> Attempt:
        """A new attempt, status running. Fenced. What runs for this export under another token, or for this delivery, is `abandoned`."""
        with self._database.write() as connection:
            return attempts.start(connection, lease, delivery_id, run_id)

    def end_attempt(
        self, attempt_id: str, status: str, *, error_code: str | None = None, error: str | None = None, next_step: str | None = None
    ) -> None:
        with self._database.write() as connection:
            attempts.end(connection, attempt_id, status, error_code=error_code, error=error, next_step=next_step)

    def attempts(self, delivery_id: str) -> list[Attempt]:
        """All attempts with their files, oldest first."""
        with self._database.read() as connection:
            return attempts.of(connection, delivery_id)

    def last_attempts(self, environment: str) -> dict[tuple[str, str], Attempt]:
        """The newest attempt of every (export, member), without its files."""
        with self._database.read() as connection:
            return attempts.last(connection, environment)

    def begin_file(self, lease: Lease, attempt_id: str, path: str) -> None:
        """Record the path before its first byte leaves. Fenced."""
        with self._database.write() as connection:
            files.begin(connection, lease, attempt_id, path)

    def end_file(self, attempt_id: str, file: FileRecord) -> None:
        """Record what was written and proved."""
        with self._database.write() as connection:
            files.end(connection, attempt_id, file)

    def leftovers(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> list[tuple[Delivery, list[Attempt]]]:
        """Committed or covered deliveries with attempts that left something behind; the attempts carry just those files.

        A running attempt's files, and a path where a delivered file stands now, are not among them."""
        with self._database.read() as connection:
            found = files.leftovers(connection, environment, exports, members)
            decided = deliveries.by_ids(connection, found)
            return [
                (
                    decided[delivery_id],
                    [
                        attempt.model_copy(update={"files": left[attempt.id]})
                        for attempt in attempts.of(connection, delivery_id)
                        if attempt.id in left
                    ],
                )
                for delivery_id, left in found.items()
            ]

    def is_ours(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...], target: str, path: str) -> bool:
        """Whether this member wrote what stands at a path of a place (a pin's `target`), as far as this ledger knows."""
        with self._database.read() as connection:
            return files.is_ours(connection, environment, exports, members, target, path)

    def standing(self, environment: str, exports: tuple[str, ...] | None = None, members: tuple[str, ...] | None = None) -> list[Standing]:
        """Committed deliveries (default: of all exports, also those that are declared no more) with files that will not stay (fixed names,
        or kept for a time) and were not removed yet, the oldest first."""
        with self._database.read() as connection:
            return files.standing(connection, environment, exports, members)

    def passed_on(self, attempt_id: str, paths: Iterable[str]) -> set[str]:
        """Of the paths that an attempt wrote to, those where a file of another delivery stands since."""
        with self._database.read() as connection:
            return files.passed_on(connection, attempt_id, paths)

    def newest_under_fixed_names(
        self, environment: str, exports: tuple[str, ...], members: tuple[str, ...], target: str, folder: str
    ) -> ExportTime | None:
        """The newest committed delivery whose files have fixed names in this folder of a place."""
        with self._database.read() as connection:
            return deliveries.newest_under_fixed_names(connection, environment, exports, members, target, folder)

    def removed(self, attempt_id: str, paths: Iterable[str]) -> None:
        """Mark files as swept."""
        with self._database.write() as connection:
            files.removed(connection, attempt_id, paths)

    # -- the journal of batches sent to audience destinations
    def begin_batch(self, lease: Lease, batch: SentBatch) -> None:
        """Write a batch down before it is sent. Fenced."""
        with self._database.write() as connection:
            batches.begin(connection, lease, batch)

    def end_batch(self, lease: Lease, batch_id: str, state: BatchState, rejected: str | None = None) -> None:
        """What became of a batch. Once it is done, that stands. Fenced."""
        with self._database.write() as connection:
            leases.fence(connection, lease)
            batches.end(connection, batch_id, state, rejected)

    def note_late(self, batch: SentBatch) -> None:
        """A batch that arrived when another run had taken over."""
        with self._database.write() as connection:
            batches.note(connection, batch)

    def unsettled_batches(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> list[SentBatch]:
        """Batches that no committed delivery's state tells of yet, in the order in which they were sent."""
        with self._database.read() as connection:
            return batches.unsettled(connection, environment, exports, members)

    def filled_by(self, place: str, audience: str) -> tuple[str, str, str] | None:
        """Environment, export and member that sent to this audience last; None: nobody did."""
        with self._database.read() as connection:
            return batches.filled_by(connection, place, audience)

    def commit_batches(self, lease: Lease, attempt: Attempt, *, counts: Counts, settled: Iterable[str]) -> Delivery:
        """State committed; what became of these batches is in the state that `counts` names. One transaction. Fenced."""
        with self._database.write() as connection:
            deliveries.publishing(connection, lease, attempt.id, counts)
            committed = deliveries.commit(connection, attempt.delivery_id, attempt.id, counts=counts, delivered=(), run_id=attempt.run_id)
            batches.settle(connection, attempt.delivery_id, settled)
            return committed

    # -- what happened
    def skip(self, record: SkipRecord) -> None:
        with self._database.write() as connection:
            history.skip(connection, record)

    def history(self, environment: str, export: str | None = None, *, limit: int = 50) -> list[Delivery | SkipRecord]:
        """Newest export time first."""
        with self._database.read() as connection:
            return history.newest(connection, environment, export, limit)

    def skipped(self, environment: str, exports: tuple[str, ...], member: str, export_time: ExportTime) -> SkipRecord | None:
        """The newest reason why, by rule, nothing was delivered at an export time; that another run was at it is none."""
        with self._database.read() as connection:
            return history.skipped(connection, environment, exports, member, export_time)
