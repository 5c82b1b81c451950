"""One attempt at a pinned delivery: read, encode, write, verify, publish, record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from cdp_exports.delivery.encrypted_writer import EncryptedWriter
from cdp_exports.delivery.holding import Holding, superseded
from cdp_exports.delivery.lasting import came_late
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.publishing import publish
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.recipients import pinned_keys
from cdp_exports.encryption.keys import PublicKey
from cdp_exports.entities.file_format import FORMAT
from cdp_exports.entities.templates import resolve_file_name
from cdp_exports.errors import CameLate, CdpExportsError, NotIntact, Occupied, Skip
from cdp_exports.formats.names import extension
from cdp_exports.formats.write import write
from cdp_exports.formats.writing import ByteStream, WrittenFile
from cdp_exports.ledger.records import Attempt, Delivery, FileRecord

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileWriter


def attempt_delivery(
    member: Member, held: Holding, delivery: Delivery, read: Callable[[], AbstractContextManager[Reading]], *, run_id: str
) -> Delivery:
    """Try once. However it ends, the ledger knows: committed, failed, cancelled or superseded."""
    with attempting(member, held, delivery, run_id=run_id) as (attempt, files):
        with read() as reading:
            files.write(reading)
            counts = reading.counts(sum(file.rows or 0 for file in files.records))
            if reading.keep is not None:
                counts = counts.model_copy(update={"held": reading.keep(delivery, attempt)})
        files.keep()
        return publish(member, held, files.destination, delivery, attempt, counts, tuple(files.records), reading.sources)


@contextmanager
def attempting(
    member: Member, held: Holding, delivery: Delivery, *, run_id: str, folder: str | None = None
) -> Generator[tuple[Attempt, Files]]:
    """An attempt and its files (in the delivery's folder, or another); if it fails it leaves as little as it may."""
    attempt = held.write(lambda lease: member.context.ledger.start_attempt(lease, delivery.id, run_id))
    files = Files(member, held, delivery, attempt, folder=folder)
    try:
        yield attempt, files
    except BaseException as ended:
        others_doing = isinstance(ended, Exception) and not isinstance(ended, CameLate) and held.is_lost()
        end = superseded() if others_doing else ended
        files.give_up()
        record_end(member, attempt, end)
        if end is ended:
            raise
        raise end from ended


class Files:
    """The files of one attempt, recorded in the ledger before their first byte leaves and once they are proved."""

    def __init__(self, member: Member, held: Holding, delivery: Delivery, attempt: Attempt, *, folder: str | None = None) -> None:
        self.records: list[FileRecord] = []
        self.destination = member.destination_of(delivery.pin)
        self._member, self._held, self._delivery, self._attempt = member, held, delivery, attempt
        self._folder = folder or delivery.pin.folder
        self._shared = folder is None and delivery.pin.manifest is not None
        self._fixed_names = folder is None and delivery.pin.overwrite
        self._format = FORMAT.validate_python(delivery.pin.format)
        self._writers: dict[int, tuple[str, FileWriter]] = {}
        self._keys: tuple[PublicKey, ...] = ()
        self._kept = False

    def write(self, reading: Reading) -> None:
        """Stream the rows into files."""
        self._keys = pinned_keys(self._member, self._delivery.pin)
        progress = self._member.context.progress
        write(
            reading.frame,
            self._format,
            self._open,
            self._done,
            expected=reading.expected,
            progress=lambda rows: progress(self._member.id, "writing", rows, reading.expected),
        )

    def copy(self, original: FileRecord, chunks: Iterator[bytes]) -> None:
        """Write one file from the bytes of a delivered one, encrypted or not.

        Raises:
            NotIntact: they are not what was delivered.
        """
        index = len(self.records)
        writer, digest, size = self._begin(index), hashlib.sha256(), 0
        for chunk in chunks:
            writer.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        if digest.hexdigest() != original.sha256:
            raise NotIntact(f"{original.path} is no longer what was delivered.", next_step="It cannot be copied.")
        self._done(WrittenFile(index, original.rows or 0, size, digest.hexdigest()))

    def keep(self) -> None:
        """From here on a manifest may list these files: only a sweep, which reads it, removes them."""
        self._kept = True

    def give_up(self) -> None:
        """Leave nothing behind of what nobody will ever see: open uploads, and this attempt's own files."""
        for _, writer in self._writers.values():
            writer.abort()
        if self._kept or self._fixed_names:  # under a fixed name stands what was delivered before, or whole files of this attempt
            return
        paths = [record.path for record in self.records]
        try:
            self.destination.delete(paths)
            self._member.context.ledger.removed(self._attempt.id, paths)
        except CdpExportsError:
            return  # they stand recorded: the next delivery sweeps them

    def path(self, index: int) -> str:
        """Unique for ever, fixed names apart: an attempt never writes where another one did."""
        pin, attempt = self._delivery.pin, self._attempt.id[:8]  # not its number: a ledger rebuilt by `adopt` counts anew
        again = f"-{attempt}" if self._attempt.number > 1 and "{attempt}" not in pin.file_name and not self._fixed_names else ""
        name = resolve_file_name(
            pin.file_name,
            {**self._member.names, "delivery": self._delivery.id, "attempt": attempt},
            self._delivery.export_time,
            index=index,
            extension=again + extension(self._format) + (".pgp" if pin.recipients else ""),
        )
        return f"{self._folder}/{name}"

    def _open(self, index: int) -> ByteStream:
        writer = self._begin(index)
        if self._keys:
            path, _ = self._writers[index]
            writer = EncryptedWriter(writer, self._keys)
            self._writers[index] = (path, writer)
        return writer

    def _begin(self, index: int) -> FileWriter:
        path = self.path(index)
        if self._shared:
            self._refuse_foreign(path)
        self._held.write(lambda lease: self._member.context.ledger.begin_file(lease, self._attempt.id, path))
        writer = self.destination.open(path)
        self._writers[index] = (path, writer)
        return writer

    def _refuse_foreign(self, path: str) -> None:
        """In a folder that others may write to, nothing is replaced that we did not write."""
        member = self._member
        if member.context.ledger.is_ours(member.environment, member.exports, member.members, self._delivery.pin.target, path):
            return
        chunks = self.destination.stream(path)
        if chunks is not None:
            next(chunks, None)  # what was never begun could not be closed
            raise Occupied(
                f"{self.destination.uri(path)} is there already, and this export did not write it.",
                next_step="Choose another `file_name` or `path`; or move that file away, if nobody needs it, and run again.",
            )

    def _done(self, file: WrittenFile) -> None:
        path, writer = self._writers[file.index]
        if self._fixed_names:
            self._held.check()  # a run whose turn is over must not replace what came after it
        proof = writer.close()
        if self._fixed_names and self._held.is_lost():
            raise came_late(self._member, self.destination.uri(path))
        stored = writer if isinstance(writer, EncryptedWriter) else file
        record = FileRecord(path=path, rows=file.rows, bytes=stored.bytes, sha256=stored.sha256, verified_by=proof.value)
        self._member.context.ledger.end_file(self._attempt.id, record)
        self.records.append(record)
        del self._writers[file.index]


def record_end(member: Member, attempt: Attempt, ended: BaseException) -> None:
    """Tell the ledger how an attempt ended that did not deliver."""
    status = "superseded" if isinstance(ended, Skip) else "failed" if isinstance(ended, Exception) else "cancelled"
    try:
        if isinstance(ended, CdpExportsError):
            member.context.ledger.end_attempt(attempt.id, status, error_code=ended.code, error=ended.message, next_step=ended.next_step)
        else:
            # an exception's own text may hold data or secrets: only its kind is recorded
            member.context.ledger.end_attempt(attempt.id, status, error_code=status, error=type(ended).__name__)
    except CdpExportsError:
        return  # the ledger is away: the next attempt finds this one abandoned
