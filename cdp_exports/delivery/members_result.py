"""What a delivery to an audience destination comes to: counted from the answers, kept as state, committed in the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery import held
from cdp_exports.delivery import members_journal as journal
from cdp_exports.delivery.holding import Holding
from cdp_exports.delivery.limits import BELOW_MINIMUM
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.reading import Reading
from cdp_exports.entities.export import SegmentExport
from cdp_exports.errors import NotCounted, TooManyRejected
from cdp_exports.ledger.records import Attempt, Counts, Delivery, Movement, Rejections, SentBatch

if TYPE_CHECKING:
    import polars as pl


def result(
    member: Member, holding: Holding, delivery: Delivery, attempt: Attempt, reading: Reading, folder: Path, *, held_back: int = 0
) -> Delivery:
    """Commit what was taken. `held_back`: members who wait for a later delivery.

    Raises:
        TooManyRejected: the receiver rejected more than the export allows; what it took stays known.
        Skip: another run took over.
    """
    ledger, state = member.context.ledger, member.context.open_state()
    batches = journal.relevant(member, delivery.pin.target, delivery.pin.folder)
    previous = member.delivery(delivery.previous_export_time) if delivery.previous_export_time else None
    told = _told(member, previous, batches, folder)
    rejected, rejections = _rejections(member, delivery, attempt, previous, told)
    _refuse_too_many(member, told, rejections)
    if rejections is not None:
        journal.put(state, rejections.file, rejected)
    counts = _counts(told, reading, previous, rejections, len([batch for batch in batches if batch.delivery_id == delivery.id]))
    assert counts.movement is not None
    at_once = not held_back and all(batch.attempt_id == attempt.id for batch in batches)
    if at_once and rejections is None and counts.movement.held != reading.movement.held:
        raise NotCounted(
            f"The receiver holds {counts.movement.held:,} members now and should hold {reading.movement.held:,}.",
            next_step="Deliver everybody once: `--full`; and please report it.",
        )
    kept = held.write(state, delivery, attempt.id, told.state, whole=previous is None)
    waiting = {BELOW_MINIMUM: held_back} if held_back else {}
    counts = counts.model_copy(
        update={
            "held": kept.model_copy(update={"guards": reading.guards}),
            "received": counts.received + held_back,
            "left_out": {**counts.left_out, **waiting},
        }
    )
    committed = holding.write(lambda lease: ledger.commit_batches(lease, attempt, counts=counts, settled=[one.id for one in batches]))
    journal.tidy(member, committed, batches)
    return committed


@dataclass(frozen=True)
class _Told:
    """What became of everybody who was told something since the last committed delivery, batches of all attempts together."""

    entered: int
    updated: int
    exited: int
    before: int
    rejected: pl.DataFrame  # identity, status, reason
    state: pl.LazyFrame  # key_0, hash, reason, gone


def _told(member: Member, previous: Delivery | None, batches: list[SentBatch], folder: Path) -> _Told:
    import polars as pl

    state = member.context.open_state()
    sent = journal.sent_since(state, batches, folder)
    now = journal.applied(sent)
    if previous is not None:
        of_newest = pl.col(held.SEQUENCE) == pl.col(held.SEQUENCE).max().over("key_0")
        before = held.read(state, member.chain_up_to(previous), folder).filter(of_newest).filter(~pl.col("gone")).select(identity="key_0")
    else:
        before = pl.LazyFrame(schema={"identity": pl.String})
    were = now.join(before, on="identity", how="semi")
    were_not = now.join(before, on="identity", how="anti")
    rejected = journal.last_told(sent).filter(pl.col("reason").is_not_null()).select("identity", "status", "reason")
    held_before, entered, updated, exited, refused = pl.collect_all(
        [
            before.select(pl.len()),
            were_not.filter(~pl.col("gone")).select(pl.len()),
            were.filter(~pl.col("gone")).join(rejected, on="identity", how="anti").select(pl.len()),
            were.filter("gone").select(pl.len()),
            rejected,
        ]
    )
    rows = now.filter(~pl.col("gone")) if previous is None else now
    kept = rows.select(pl.col("identity").alias("key_0"), "hash", pl.lit(None, pl.String).alias("reason"), "gone")
    return _Told(entered.item(), updated.item(), exited.item(), held_before.item(), refused, kept)


def _rejections(
    member: Member, delivery: Delivery, attempt: Attempt, previous: Delivery | None, told: _Told
) -> tuple[pl.DataFrame, Rejections | None]:
    """Who was rejected, hashed, with the reason and by how many deliveries in a row."""
    import polars as pl

    if told.rejected.is_empty():
        return told.rejected, None
    earlier = _earlier(member, previous)
    names = [hashlib.sha256(identity.encode()).hexdigest() for identity in told.rejected["identity"]]
    attempts = [earlier.get(name, 0) + 1 for name in names]
    frame = told.rejected.select(pl.Series("identity", names), "status", "reason", pl.Series("attempts", attempts, dtype=pl.Int64))
    reasons = dict(told.rejected.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows())
    path = journal.rejections_path(delivery, attempt.id)
    return frame, Rejections(file=path, reasons=reasons, again=sum(number > 1 for number in attempts))


def _earlier(member: Member, previous: Delivery | None) -> Mapping[str, int]:
    """How often those whom the last delivery's receiver rejected have been, by their hashes."""
    import io

    import polars as pl

    rejections = previous.counts.rejections if previous and previous.counts else None
    content = member.context.open_state().read(rejections.file) if rejections else None
    if content is None:
        return {}
    return dict(pl.read_parquet(io.BytesIO(content)).select("identity", "attempts").iter_rows())


def _refuse_too_many(member: Member, told: _Told, rejections: Rejections | None) -> None:
    """Whoever was rejected by the delivery before too says nothing about this one."""
    assert isinstance(member.export, SegmentExport)
    if rejections is None:
        return
    failed = told.rejected.height - rejections.again
    sent = told.entered + told.updated + told.exited + failed
    if sent and failed / sent > member.export.fail_above:
        said = ", ".join(f"{reason} {rows:,}" for reason, rows in rejections.reasons.items())
        raise TooManyRejected(
            f"The receiver rejected {failed:,} of {sent:,} members ({failed / sent:.0%}; at most {member.export.fail_above:.0%} may be): "
            f"{said}.",
            next_step="Correct the fields it names, or raise `fail_above`, then run again: those it took are not sent twice.",
        )


def _counts(told: _Told, reading: Reading, previous: Delivery | None, rejections: Rejections | None, batches: int) -> Counts:
    """Rows as the receiver answered; left out is who is no member for it, or is not to be sent.

    Raises:
        NotCounted: whom it holds now is not whom it should hold, those apart who were rejected.
    """
    assert reading.counted is not None
    movement = Movement(
        before=told.before,
        entered=told.entered,
        updated=told.updated,
        exited=told.exited,
        held=told.before + told.entered - told.exited,
        exits=_exits(told, reading),
    )
    remembered = previous.counts.movement.held if previous and previous.counts and previous.counts.movement else 0
    if told.before != remembered:
        raise NotCounted(
            f"The state folder has {told.before:,} members whom the receiver held, the ledger {remembered:,}.",
            next_step="Deliver everybody once: `--full`; and please report it.",
        )
    delivered, failed = told.entered + told.updated + told.exited, told.rejected.height
    left_out = reading.counted.left_out
    return reading.counted.model_copy(
        update={
            "received": delivered + failed + sum(left_out.values()),
            "delivered": delivered,
            "failed": failed,
            "inserted": told.entered,
            "updated": told.updated,
            "deleted": told.exited,
            "movement": movement,
            "rejections": rejections,
            "batches": batches,
        }
    )


def _exits(told: _Told, reading: Reading) -> dict[str, int]:
    """Why members left, where all who were to leave did so in this attempt."""
    exits = reading.movement.exits
    return exits if sum(exits.values()) == told.exited else {"left_segment": told.exited} if told.exited else {}
