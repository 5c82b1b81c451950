"""One attempt at telling an audience destination what changed: each batch is written down, sent, and its answer kept.

Every attempt compares anew, so that one after a crash sends only what is still missing. A batch of which nobody knows whether it
arrived is sent once more as it was, where that does no harm; else the receiver is asked, else a person is.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from cdp_exports.delivery import members_journal as journal
from cdp_exports.delivery.attempt import record_end
from cdp_exports.delivery.holding import Holding, superseded
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.members_batches import changes_of, digest_of, write_rows
from cdp_exports.delivery.members_rest import leaving, rest
from cdp_exports.delivery.members_result import result
from cdp_exports.delivery.pinned_audience import pinned_audience
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.scratch import scratch
from cdp_exports.delivery.staged import upload
from cdp_exports.destinations.audience import Answered, AudienceDestination, Batch, Change
from cdp_exports.entities.capabilities import Members, Repeat
from cdp_exports.errors import DestinationRefused, InDoubt, NotApplied, NotCounted, Skip, TransientError
from cdp_exports.evaluation.reconciling import sent_columns
from cdp_exports.ledger.records import Attempt, BatchState, Delivery, SentBatch
from cdp_exports.segments.audience import Way

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def send_members(
    member: Member,
    held: Holding,
    delivery: Delivery,
    read: Callable[[], AbstractContextManager[Reading]],
    *,
    run_id: str,
    only_leaving: bool = False,
) -> Delivery:
    """Try once. However it ends, the ledger knows: committed, failed, cancelled or superseded.

    `only_leaving`: who leaves is told, and nobody else; a later delivery finds the others.
    """
    with _attempting(member, held, delivery, run_id=run_id) as attempt, scratch() as folder, read() as reading:
        return _Sending(member, held, delivery, attempt, reading, folder).send(only_leaving=only_leaving)


@contextmanager
def _attempting(member: Member, held: Holding, delivery: Delivery, *, run_id: str) -> Generator[Attempt]:
    attempt = held.write(lambda lease: member.context.ledger.start_attempt(lease, delivery.id, run_id))
    try:
        yield attempt
    except BaseException as ended:
        end = superseded() if isinstance(ended, Exception) and held.is_lost() else ended
        record_end(member, attempt, end)
        if end is ended:
            raise
        raise end from ended


class _Sending:
    def __init__(self, member: Member, held: Holding, delivery: Delivery, attempt: Attempt, reading: Reading, folder: Path) -> None:
        audience = pinned_audience(delivery.pin)
        assert audience is not None
        self._member, self._held, self._delivery, self._attempt = member, held, delivery, attempt
        self._reading, self._folder = reading, folder
        self._ledger, self._state = member.context.ledger, member.context.open_state()
        self._destination: AudienceDestination = member.audience_destination_of(delivery.pin)
        self._rows = write_rows(reading.frame, tuple(name for name, _, _ in sent_columns(audience)), folder / "changes.arrow")
        self._outbox = journal.outbox_path(delivery, attempt.id)

    def send(self, *, only_leaving: bool) -> Delivery:
        if self._rows.total != self._reading.expected:
            raise NotCounted(
                f"{self._reading.expected} members were to be told and {self._rows.total} were read.",
                next_step="Nothing was sent. Run again; if it repeats, report it.",
            )
        pin = self._delivery.pin
        self._destination.prepare(pin.folder, create=pin.mode == "full" or pin.way == Way.RESENT)
        self._rows = rest(self._rows, self._settle_doubts(), self._state, self._folder)
        every = self._rows.total
        if only_leaving:
            self._rows = leaving(self._rows)
        if self._rows.total:
            self._write_outbox()
        size = self._can.batch_max
        for first, changes in self._rows.batches(size):
            self._member.context.progress(self._member.id, "sending", first, self._rows.total)
            self._send(self._begin(first, changes), changes)
        held_back = every - self._rows.total
        return result(self._member, self._held, self._delivery, self._attempt, self._reading, self._folder, held_back=held_back)

    @property
    def _can(self) -> Members:
        assert self._destination.capabilities.members is not None
        return self._destination.capabilities.members

    # batches that were begun by an earlier attempt
    def _settle_doubts(self) -> list[SentBatch]:
        """Those of which something was, or may have been, applied: as they are known now."""
        batches = journal.relevant(self._member, self._delivery.pin.target, self._delivery.pin.folder)
        doubtful = [batch for batch in batches if batch.state is BatchState.SENDING]
        return [settled for batch in doubtful if (settled := self._settle(batch)) is not None]

    def _settle(self, batch: SentBatch) -> SentBatch | None:
        """None: nothing of it was applied."""
        changes = self._as_sent(batch)
        self._held.check()
        if changes is not None and len(changes) <= self._can.batch_max and self._can.repeat is not Repeat.UNKNOWN:
            # an error now says nothing of what became of it then: it stays in doubt, under its key
            return self._keep(batch, self._destination.send(batch.audience, Batch(batch.id, changes)))
        try:
            answered = self._destination.outcome(batch.audience, Batch(batch.id, changes or ()))
        except NotApplied:
            self._end(batch, BatchState.VOID)
            return None
        if answered is not None:
            return self._keep(batch, answered)
        if self._can.repeat is Repeat.HARMLESS:
            return self._end(batch, BatchState.UNKNOWN)
        raise in_doubt(self._member, self._delivery, batch)

    def _as_sent(self, batch: SentBatch) -> tuple[Change, ...] | None:
        """The changes of a batch once more; None where they would be others now, since consent or suppression is."""
        import polars as pl

        members = journal.rows_of(self._state, batch, self._folder).select("identity", "status")
        rows = pl.scan_ipc(self._rows.file).join(members, on=["identity", "status"], how="semi", maintain_order="left")
        changes = changes_of(rows.sort("row").collect(), self._rows.names)
        return changes if digest_of(changes) == batch.digest else None

    # new ones
    def _write_outbox(self) -> None:
        import polars as pl

        content = self._folder / self._outbox.rpartition("/")[2]  # where the journal looks before it fetches
        pl.scan_ipc(self._rows.file).select(journal.OUTBOX).head(self._rows.total).sink_parquet(content, compression="zstd")
        upload(self._state, content, self._outbox)

    def _begin(self, first: int, changes: tuple[Change, ...]) -> SentBatch:
        batch = SentBatch(
            id=str(uuid.uuid4()),
            environment=self._delivery.environment,
            export=self._delivery.export,
            member=self._delivery.member,
            delivery_id=self._delivery.id,
            attempt_id=self._attempt.id,
            place=self._delivery.pin.target,
            audience=self._delivery.pin.folder,
            outbox=self._outbox,
            first=first,
            rows=len(changes),
            digest=digest_of(changes),
        )
        self._held.write(lambda lease: self._ledger.begin_batch(lease, batch))
        return batch

    def _send(self, batch: SentBatch, changes: tuple[Change, ...]) -> None:
        try:
            answered = self._destination.send(batch.audience, Batch(batch.id, changes))
        except (DestinationRefused, NotApplied):
            self._end(batch, BatchState.VOID)
            raise
        except TransientError:
            if self._held.is_lost():
                self._came_late(batch)
            raise
        self._keep(batch, answered)

    def _keep(self, batch: SentBatch, answered: Answered) -> SentBatch:
        """Write down what became of a batch.

        Raises:
            TransientError: the answer is about other members than were sent, so nobody knows what was applied.
            Skip: another run took over before the answer came.
        """
        import polars as pl

        places = {one.index: one.reason for one in answered.rejected}
        if len(places) != len(answered.rejected) or any(not 0 <= place < batch.rows for place in places):
            raise TransientError(
                f"The receiver of {self._member.export_id}/{self._member.id} rejected members that were not in the batch.",
                next_step="Report it to whoever runs it. The batch counts as in doubt.",
            )
        rejected: str | None = None
        if places:
            rejected = journal.rejected_path(batch, self._attempt.id)
            rows = {"row": [batch.first + place for place in places], "reason": [_code(reason) for reason in places.values()]}
            journal.put(self._state, rejected, pl.DataFrame(rows, schema={"row": pl.Int64, "reason": pl.String}))
        return self._end(batch, BatchState.DONE, rejected)

    def _end(self, batch: SentBatch, state: BatchState, rejected: str | None = None) -> SentBatch:
        """Only the lease's holder says what became of a batch."""
        try:
            self._held.write(lambda lease: self._ledger.end_batch(lease, batch.id, state, rejected))
        except Skip:
            if state is not BatchState.VOID:
                self._came_late(batch)
            raise
        return batch.model_copy(update={"state": state, "rejected": rejected})

    def _came_late(self, batch: SentBatch) -> None:
        """The batch arrived, or may have, after another run had taken over, who knows how long after: whatever that run has sent since,
        nobody knows what the receiver has of these members. The next delivery tells it once more."""
        late = journal.late_path(self._delivery, self._attempt.id, batch.first)
        journal.put(self._state, late, journal.rows_of(self._state, batch, self._folder).select(journal.OUTBOX).collect())
        update = {"id": str(uuid.uuid4()), "outbox": late, "state": BatchState.UNKNOWN, "rejected": None}
        self._ledger.note_late(batch.model_copy(update=update))


def _code(reason: str) -> str:
    """A receiver may write anything there, also about a person: what is no code is not kept."""
    return reason if _CODE.fullmatch(reason) else "rejected"


def in_doubt(member: Member, delivery: Delivery, batch: SentBatch) -> InDoubt:
    """What a run ends with where nobody knows whether a batch was applied."""
    command = f"cdp-exports resolve {member.export_id} --member {member.id} --at {delivery.export_time}"
    return InDoubt(
        f"A batch of {batch.rows:,} members was sent to {batch.audience} and no answer came: nobody knows whether it was applied.",
        next_step=f"Ask the receiver for the batch {batch.id}. If it was applied: `{command} --delivered`; if not: `{command} --resend`.",
    )
