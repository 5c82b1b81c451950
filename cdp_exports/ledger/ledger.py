"""The ledger's face: what was delivered, what was skipped and why. It alone decides.

CONTRACT DRAFT: bodies follow.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import Attempt, Counts, Delivery, FileRecord, Lease, Pin, SkipRecord


class Ledger:
    """All methods are one short transaction each; several writers on several machines are safe.

    Raises TransientError where the database is unreachable or locked, LedgerNewer where a newer version migrated it.
    """

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Connect; create or migrate the tables. `url`: sqlite:///path or postgresql+psycopg2://... (postgresql:// is read as that)."""
        raise NotImplementedError

    def now(self) -> datetime:
        """The database's clock, UTC: the one clock all machines share."""
        raise NotImplementedError

    # -- export times
    def mint(self, environment: str, export: str) -> ExportTime:
        """A new export time: max(current minute, newest + 1 minute), at most 10 minutes ahead, else ClockSkew. Atomic: two callers get two."""
        raise NotImplementedError

    def note_time(self, environment: str, export: str, export_time: ExportTime) -> None:
        """Remember a typed or scheduled export time so that minted ones are later. Idempotent.

        Raises DeclarationError where it is later than now by the database's clock."""
        raise NotImplementedError

    def newest_time(self, environment: str, export: str) -> ExportTime | None:
        raise NotImplementedError

    # -- the lease: one an export
    def acquire(self, environment: str, export: str, *, run_id: str, export_time: ExportTime, seconds: float) -> Lease | None:
        """Take the lease if it is free, expired, or already held by this run_id (then with a new token). None: somebody else holds it; see `holder`."""
        raise NotImplementedError

    def holder(self, environment: str, export: str) -> Lease | None:
        """Who holds it now (unexpired)."""
        raise NotImplementedError

    def renew(self, lease: Lease, *, seconds: float) -> bool:
        """Heartbeat; False if it was lost (taken over by another token, released)."""
        raise NotImplementedError

    def release(self, lease: Lease) -> None:
        raise NotImplementedError

    # -- deliveries. `exports` and `members` hold the current id first, then the one it had before
    def delivery(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...], export_time: ExportTime) -> Delivery | None:
        raise NotImplementedError

    def last_committed(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> Delivery | None:
        """The committed delivery with the newest export time."""
        raise NotImplementedError

    def open_deliveries(self, environment: str, exports: tuple[str, ...], members: tuple[str, ...]) -> list[Delivery]:
        """Pinned or publishing, oldest first (normally at most one)."""
        raise NotImplementedError

    def pin(self, lease: Lease, delivery: Delivery) -> None:
        """Record a new delivery (state pinned). Fenced: raises Skip(reason="superseded") unless the lease is still valid.
        The database refuses a second open delivery of one member (partial unique index)."""
        raise NotImplementedError

    def start_attempt(self, lease: Lease, delivery_id: str, run_id: str) -> Attempt:
        """A new attempt, status running. Running attempts of earlier tokens become `abandoned`. Fenced."""
        raise NotImplementedError

    def begin_file(self, lease: Lease | None, attempt_id: str, path: str) -> None:
        """Record the path before its first byte leaves. Fenced where a lease is given (replay into another folder has none)."""
        raise NotImplementedError

    def end_file(self, attempt_id: str, file: FileRecord) -> None:
        raise NotImplementedError

    def publishing(self, lease: Lease, attempt_id: str, counts: Counts) -> None:
        """Record the intent to create the manifest (and the counts): state publishing, attempt_id. Fenced, and only from `pinned`, or from `publishing` by the same attempt; else Skip superseded."""
        raise NotImplementedError

    def commit(self, delivery_id: str, attempt_id: str, *, counts: Counts, files: Iterable[FileRecord], run_id: str) -> Delivery:
        """State committed with this attempt's complete, closed list of files. Not fenced: the manifest decided. Idempotent for the same attempt;
        a second commit by another attempt raises Skip superseded."""
        raise NotImplementedError

    def cover(self, delivery_id: str, covered_by: ExportTime) -> None:
        """State covered. Only from pinned or publishing."""
        raise NotImplementedError

    def reopen(self, lease: Lease, delivery_id: str) -> None:
        """From publishing back to pinned (`resolve --resend`). Fenced."""
        raise NotImplementedError

    def end_attempt(self, attempt_id: str, status: str, *, error_code: str | None = None, error: str | None = None, next_step: str | None = None) -> None:
        raise NotImplementedError

    def replace(self, delivery_id: str, attempt_id: str, *, files: Iterable[FileRecord], run_id: str) -> None:
        """A replay succeeded in place: the committed delivery's files are now this attempt's. Chain and counts stay."""
        raise NotImplementedError

    def attempts(self, delivery_id: str) -> list[Attempt]:
        """All attempts with their files, oldest first."""
        raise NotImplementedError

    def leftovers(self, environment: str, export: str) -> list[tuple[str, FileRecord]]:
        """(attempt_id, file) recorded by attempts that did not become the delivery, whose delivery is committed or covered, not yet removed."""
        raise NotImplementedError

    def removed(self, attempt_id: str, paths: Iterable[str]) -> None:
        """Mark files as swept."""
        raise NotImplementedError

    def adopt(self, deliveries: Iterable[Delivery]) -> int:
        """Insert committed deliveries rebuilt from manifests (with one attempt each, status committed, and its files) that are not here yet; how many were added. One transaction."""
        raise NotImplementedError

    # -- skips and reading
    def skip(self, record: SkipRecord) -> None:
        raise NotImplementedError

    def history(self, environment: str, export: str | None = None, *, limit: int = 50) -> list[Delivery | SkipRecord]:
        """Newest first."""
        raise NotImplementedError

    def last_attempts(self, environment: str) -> dict[tuple[str, str], Attempt]:
        """The newest attempt of every (export, member)."""
        raise NotImplementedError
