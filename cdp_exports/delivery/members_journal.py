"""Whom an audience holds, as far as is known: the state after the last committed delivery, and the batches sent since then.

An outbox is a Parquet file in the state folder that an attempt writes before its first batch: `row` (0, 1, ... in the order of
sending), `identity` (JSON of what tells a member apart, as it is sent), `hash` and `status`. A batch is some of its rows; who of
them was not taken stands in a small file of `row` and `reason` beside it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery import held
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.members_memory import unknown_state
from cdp_exports.errors import CdpExportsError, HistoryLost
from cdp_exports.ledger.records import BatchState, Delivery, SentBatch
from cdp_exports.segments.audience import Way

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.destinations.destination import FileDestination

OUTBOX = ("row", "identity", "hash", "status")
_STATE_COLUMNS = ("identity", "hash", "gone", "sequence")
_ENDINGS, _LATE = (".outbox.parquet", ".rejected.parquet", ".rejections.parquet"), ".late.outbox.parquet"
_AFTER_ALL_DELIVERIES = 2**40  # as a sequence: later than every delivery's


def outbox_path(delivery: Delivery, attempt_id: str) -> str:
    return f"{_folder(delivery)}/{delivery.sequence:08}-{delivery.id}-{attempt_id[:8]}.outbox.parquet"


def late_path(delivery: Delivery, attempt_id: str, first: int) -> str:
    """Of a batch that arrived after another run had taken over."""
    return f"{_folder(delivery)}/{delivery.sequence:08}-{delivery.id}-{attempt_id[:8]}-{first:08}.late.outbox.parquet"


def rejected_path(batch: SentBatch, attempt_id: str) -> str:
    """Where the rows of a batch stand that were not taken, by the answer that an attempt was given."""
    return f"{batch.outbox.removesuffix('.outbox.parquet')}-{batch.first:08}-{attempt_id[:8]}.rejected.parquet"


def rejections_path(delivery: Delivery, attempt_id: str) -> str:
    """Where a delivery keeps who was rejected."""
    return f"{_folder(delivery)}/{delivery.sequence:08}-{delivery.id}-{attempt_id[:8]}.rejections.parquet"


def _folder(delivery: Delivery) -> str:
    return f"{delivery.environment}/{delivery.export}/{delivery.member}/{delivery.chain}"


def put(state: FileDestination, path: str, frame: pl.DataFrame) -> None:
    """Write a small file at once."""
    content = io.BytesIO()
    frame.write_parquet(content)
    state.put(path, content.getvalue())


def fetch(state: FileDestination, path: str, folder: Path) -> pl.LazyFrame:
    """A file of the journal, through a copy in `folder`.

    Raises:
        HistoryLost: `state_lost`: it is not there.
    """
    import polars as pl

    file = folder / path.rpartition("/")[2]
    if not file.exists():
        chunks = state.stream(path)
        if chunks is None:
            raise HistoryLost(
                f"{state.uri(path)} is missing: it says whom the receiver was sent since the last delivery.",
                next_step="Put it back from a backup of the state folder, or deliver everybody once: `--full`.",
                reason="state_lost",
            )
        partial = file.with_suffix(".partial")
        with partial.open("wb") as output:
            output.writelines(chunks)
        partial.rename(file)
    return pl.scan_parquet(file)


def rows_of(state: FileDestination, batch: SentBatch, folder: Path) -> pl.LazyFrame:
    """The rows of one batch, as in the outbox, with `reason` where one was not taken."""
    import polars as pl

    rows = fetch(state, batch.outbox, folder).filter(pl.col("row").is_between(batch.first, batch.first + batch.rows - 1))
    if batch.rejected is None:
        return rows.with_columns(pl.lit(None, pl.String).alias("reason"))
    return rows.join(fetch(state, batch.rejected, folder), on="row", how="left")


def sent_since(state: FileDestination, batches: Sequence[SentBatch], folder: Path) -> pl.LazyFrame:
    """What was told since the last committed delivery, in order: `identity`, `hash`, `status`, `reason` (null: taken),
    `known` (false: nobody knows whether it was applied), `place` (the batch's number in the journal)."""
    import polars as pl

    told: dict[str, list[tuple[int, SentBatch]]] = {}
    for place, batch in enumerate(batches):
        if batch.state in (BatchState.DONE, BatchState.UNKNOWN):
            told.setdefault(batch.outbox, []).append((place, batch))
    frames = [_told_of(state, outbox, own, folder) for outbox, own in told.items()]
    return pl.concat([_nothing_told(), *frames])


def _nothing_told() -> pl.LazyFrame:
    import polars as pl

    texts = {"identity": pl.String, "hash": pl.UInt64, "status": pl.String, "reason": pl.String}
    return pl.LazyFrame(schema={**texts, "known": pl.Boolean, "place": pl.Int64})


def _told_of(state: FileDestination, outbox: str, batches: Sequence[tuple[int, SentBatch]], folder: Path) -> pl.LazyFrame:
    """The same of batches of one outbox, which is read once however many they are."""
    import polars as pl

    spans = [(batch.first, batch.first + batch.rows, batch.state is BatchState.DONE, place) for place, batch in batches]
    starts = pl.LazyFrame(spans, schema={"first": pl.Int64, "end": pl.Int64, "known": pl.Boolean, "place": pl.Int64}, orient="row")
    rows = fetch(state, outbox, folder).with_columns(pl.col("row").set_sorted())
    rows = rows.join_asof(starts.sort("first"), left_on="row", right_on="first", strategy="backward").filter(pl.col("row") < pl.col("end"))
    rejected = [fetch(state, batch.rejected, folder) for _, batch in batches if batch.rejected is not None]
    reasons = pl.concat(rejected) if rejected else pl.LazyFrame(schema={"row": pl.Int64, "reason": pl.String})
    return rows.join(reasons, on="row", how="left").select("identity", "hash", "status", "reason", "known", "place")


def last_told(sent: pl.LazyFrame) -> pl.LazyFrame:
    """Of each identity the last change that it was sent, taken or not."""
    import polars as pl

    return sent.group_by("identity").agg(pl.all().sort_by("place").last())


def applied(sent: pl.LazyFrame) -> pl.LazyFrame:
    """Of each identity the last change that was, or may have been, applied: `identity`, `hash` (0: not known), `gone`.

    Who may have left is taken for still there, with values that nobody knows: then they leave, or are sent, once more. So is whoever
    was not taken when they were sent again.
    """
    import polars as pl

    taken = pl.col("reason").is_null()
    sure = pl.col("known") & taken
    return last_told(sent.filter(taken | (pl.col("status") == "updated"))).select(
        "identity",
        pl.when(sure).then("hash").otherwise(pl.lit(0, pl.UInt64)).alias("hash"),
        (sure & (pl.col("status") == "exited")).alias("gone"),
    )


def relevant(member: Member, place: str, audience: str) -> list[SentBatch]:
    """The unsettled batches that went to this audience, in the order of sending."""
    return [batch for batch in member.unsettled_batches() if (batch.place, batch.audience) == (place, audience)]


def holds(member: Member, previous: Delivery | None, place: str, audience: str, folder: Path, *, resend: bool) -> pl.LazyFrame:
    """Whom the receiver holds: `identity`, `hash`, `gone`, `sequence` (of an identity the newest row counts).

    `resend`: as if everybody held had other values. `folder`: for copies; it must stay while the frame is used.

    Raises:
        HistoryLost: `state_lost`.
    """
    import polars as pl

    state, batches = member.context.open_state(), relevant(member, place, audience)
    frames = [pl.LazyFrame(schema={"identity": pl.String, "hash": pl.UInt64, "gone": pl.Boolean, "sequence": pl.Int64})]
    if previous is not None:
        before = held.read(state, member.chain_up_to(previous), folder).rename({"key_0": "identity"}).select(_STATE_COLUMNS)
        frames.append(before.with_columns(pl.lit(0, pl.UInt64).alias("hash")) if resend else before)
    since = applied(sent_since(state, batches, folder))
    frames.append(since.with_columns(pl.lit(_AFTER_ALL_DELIVERIES, pl.Int64).alias("sequence")))
    return pl.concat(frames, how="vertical_relaxed")


def tidy(member: Member, committed: Delivery, settled: Iterable[SentBatch]) -> None:
    """Remove files of the journal that nothing needs any more, those of attempts that died included; never at the cost of a delivery
    that is done. What was sent to another audience, and of no delivery that was committed there, stays."""
    try:
        state = member.context.open_state()
        folders = [f"{member.environment}/{export}/{of}" for export in member.exports for of in member.members]
        paths = {stored.path for folder in folders for stored in state.list(folder) if stored.path.endswith(_ENDINGS)}
        paths = {path for path in paths if not path.endswith(_LATE)}  # another run may be about to record it
        paths |= {path for batch in settled for path in (batch.outbox, batch.rejected) if path}
        needed = {path for batch in member.unsettled_batches() for path in (batch.outbox, batch.rejected)}
        if committed.counts and committed.counts.rejections:
            needed.add(committed.counts.rejections.file)
        if committed.pin.mode == "full" or committed.pin.way == Way.RESENT:
            paths |= set(unknown_state(member))  # a person said that it counts no more
        state.delete(sorted(paths - needed))
    except CdpExportsError:
        return
