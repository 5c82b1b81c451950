"""The rows of segment deliveries: all members of an export evaluated together, before a byte of any of them leaves."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery import held
from cdp_exports.delivery.limits import LimitState, limits_of, states
from cdp_exports.delivery.lists import read_list
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.pinned_audience import guarded_as_now, list_types, pinned_audience
from cdp_exports.delivery.pinning import source_pin
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import HistoryLost
from cdp_exports.evaluation.inputs import IDENTITY, Answer, Question, Since, Tables
from cdp_exports.formats.check import check
from cdp_exports.increments.net import net_changes
from cdp_exports.ledger.records import Attempt, Counts, Delivery, Held, Pin, SourcePin
from cdp_exports.segments.audience import Audience, Way
from cdp_exports.sources.reading import reading

if TYPE_CHECKING:
    import polars as pl

MEMORY_LIMIT = 384 * 2**20
"""Bytes that DuckDB may use; beyond it it spills to the temporary folder."""

IMAGES_MEMORY_LIMIT = 128 * 2**20
"""Bytes for the net change of the members' dataset."""

DISK_LIMIT = 50 * 2**30
"""Bytes that both may spill."""


@dataclass(frozen=True)
class Subject:
    """A delivery of a segment that is pinned, or is about to be."""

    member: Member
    export_time: ExportTime
    pin: Pin
    previous: Delivery | None  # that it goes on from; None of a full


@dataclass(frozen=True)
class Evaluated:
    """What a member would be sent, and how it counts."""

    reading: Reading
    answer: Answer
    limits: tuple[LimitState, ...]


@contextmanager
def evaluated(subjects: Sequence[Subject], upstream: Upstream) -> Generator[dict[str, Evaluated]]:
    """Evaluate members, by id; those of the same versions share their scans. Valid inside the block.

    Raises:
        HistoryLost: a pinned version, the state or a list is gone.
        KeyNotUnique, CannotHold, NotCounted, SourceUnreadable, TransientError: as evaluating finds.
    """
    from cdp_exports.evaluation.evaluate import evaluate

    found: dict[str, Evaluated] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cdp_exports_")))
        for number, group in enumerate(_groups(subjects)):
            stack.enter_context(reading(" and ".join(subject.member.id for subject in group)))
            tables = _tables(group, upstream, folder)
            guards: list[tuple[SourcePin, ...]] = []
            questions: list[Question] = []
            for subject in group:
                place = folder / f"{number}-{subject.member.id}"
                place.mkdir()
                questions.append(_question(subject, upstream, stack, place))
                guards.append(tuple(source_pin(dataset, upstream.head(dataset)) for dataset in questions[-1].audience.guards))
                subject.member.context.progress(subject.member.id, "evaluating", 0, None)
            answers = stack.enter_context(evaluate(questions, tables, memory_limit=MEMORY_LIMIT, disk_limit=DISK_LIMIT, folder=folder))
            for subject, guard, answer in zip(group, guards, answers, strict=True):
                check(answer.rows.collect_schema(), subject.member.export.format)
                limits = states(limits_of(subject.member), answer)
                found[subject.member.id] = Evaluated(_reading(subject, answer, guard), answer, limits)
        yield found


def subject_of(member: Member, delivery: Delivery) -> Subject:
    """A pinned or committed delivery, to be evaluated once more."""
    previous = member.delivery(delivery.previous_export_time) if delivery.previous_export_time else None
    return Subject(member, delivery.export_time, delivery.pin, previous)


def _groups(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Together what reads no dataset at two versions."""
    groups: list[tuple[dict[str, SourcePin], list[Subject]]] = []
    for subject in subjects:
        read = {pin.dataset: pin for pin in subject.pin.sources}
        for versions, group in groups:
            if all(_same_version(versions.get(dataset, pin), pin) for dataset, pin in read.items()):
                versions.update(read)
                group.append(subject)
                break
        else:
            groups.append((read, [subject]))
    return [group for _, group in groups]


def _same_version(one: SourcePin, other: SourcePin) -> bool:
    return (one.upto_version, one.upto_commit) == (other.upto_version, other.upto_commit)


def _tables(group: Sequence[Subject], upstream: Upstream, folder: Path) -> Tables:
    pins = {pin.dataset: pin for subject in group for pin in subject.pin.sources}
    lists = {
        part.segment: list_types(audience, part)
        for subject in group
        if (audience := pinned_audience(subject.pin))
        for part in audience.parts
        if part.query is None
    }
    context = group[0].member.context

    def pinned(name: str) -> pl.LazyFrame:
        if name not in lists:
            return upstream.rows(pins[name])
        declared = context.catalog.segments[name].list if name in context.catalog.segments else None
        if declared is None:
            raise HistoryLost(
                f"The segment {name} was a list when this delivery was pinned, and is none any more.",
                next_step="Run a new export time: it closes this one.",
                reason="list_lost",
            )
        return read_list(context.open_state(), pins[name], declared, lists[name], folder)

    def head(dataset: str) -> pl.LazyFrame | None:
        now = upstream.head(dataset)
        if dataset in pins and (pins[dataset].upto_version, pins[dataset].upto_commit) == (now.version, now.commit):
            return None
        return upstream.source(dataset).rows(now.version).frame

    return Tables(pinned=pinned, head=head)


def _question(subject: Subject, upstream: Upstream, stack: ExitStack, folder: Path) -> Question:
    pin, export = subject.pin, subject.member.export
    audience = pinned_audience(pin)
    assert audience is not None
    audience, as_pinned = guarded_as_now(audience, subject.member.audience)
    limits = limits_of(subject.member)
    way, since = Way.COMPARED, None
    if pin.mode == "incremental":
        way = Way(pin.way) if pin.way and as_pinned else Way.COMPARED
        way, since = _since(subject, audience, way, upstream, stack, folder)
    return Question(
        audience=audience,
        at=subject.export_time.at,
        way=way,
        since=since,
        keep=limits.audience.max if limits.over == "truncate" else None,
        with_status=audience.status is not None and (export.mode == "incremental" or audience.status.in_full),
        keep_state=export.mode == "incremental",
    )


def _since(subject: Subject, audience: Audience, way: Way, upstream: Upstream, stack: ExitStack, folder: Path) -> tuple[Way, Since]:
    """What the increment follows. Where the changes can no longer be read, everybody is compared with what the receiver holds."""
    previous = subject.previous
    if previous is None or previous.counts is None or previous.counts.funnel is None or previous.counts.movement is None:
        raise HistoryLost(
            "The ledger no longer knows what was delivered before.",
            next_step="Deliver everybody once: `--full`.",
            reason="state_lost",
        )
    images: pl.LazyFrame | None = None
    guard_rows: Mapping[str, pl.LazyFrame] | None = None
    if way is not Way.COMPARED:
        try:
            images = _images(subject.pin.sources[0], audience, upstream, stack)
            guard_rows = _guard_rows(previous, audience, upstream) if way is Way.TOUCHED else None
        except HistoryLost as lost:
            if lost.reason == "source_rewound":
                raise
            way, images = Way.COMPARED, None
    since = Since(
        at=previous.export_time.at,
        funnel=previous.counts.funnel,
        held_rows=previous.counts.movement.held,
        images=images,
        guard_rows=guard_rows,
        held=None if way is Way.CHANGES else _held(subject.member, previous, audience, folder),
    )
    return way, since


def _images(own: SourcePin, audience: Audience, upstream: Upstream, stack: ExitStack) -> pl.LazyFrame:
    """The net change of the members' dataset, in the columns that are read."""
    import polars as pl

    source = upstream.pinned(own)
    columns = list(audience.tables[audience.of])
    if own.after_version is None or own.after_version == own.upto_version:
        nothing = source.rows(own.upto_version).frame.select(columns).head(0)
        return nothing.with_columns(pl.lit(None, pl.String).alias("_change_type"))
    difference = source.difference(own.after_version, own.upto_version)
    net = net_changes(
        difference.minus.select(columns),
        difference.plus.select(columns),
        key=audience.key,
        changes="images",
        subsets=difference.subsets,
        memory_limit=IMAGES_MEMORY_LIMIT,
        disk_limit=DISK_LIMIT,
    )
    return stack.enter_context(net).frame


def _guard_rows(previous: Delivery, audience: Audience, upstream: Upstream) -> dict[str, pl.LazyFrame]:
    """Rows of consent and suppression as they were and as they are, where they changed since the last delivery read them."""
    import polars as pl

    assert previous.counts is not None
    assert previous.counts.held is not None
    then = {pin.dataset: pin for pin in previous.counts.held.guards}
    found: dict[str, pl.LazyFrame] = {}
    for dataset in audience.guards:
        if dataset not in then:
            raise HistoryLost(f"{dataset} was not read then.", next_step="", reason="vacuumed")
        source, was, now = upstream.source(dataset), then[dataset].upto_version, upstream.head(dataset).version
        upstream.pinned(then[dataset])
        if was == now:
            found[dataset] = source.rows(now).frame.head(0)
        else:
            difference = source.difference(was, now)
            found[dataset] = pl.concat([difference.minus, difference.plus])
    return found


def _held(member: Member, previous: Delivery, audience: Audience, folder: Path) -> pl.LazyFrame:
    """The state, without identities that were of other fields."""
    state = held.read(member.context.open_state(), member.chain_up_to(previous), folder)
    earlier = pinned_audience(previous.pin)
    if earlier is not None and _identities(earlier) != _identities(audience):
        return state.drop([name for name in state.collect_schema() if name.startswith(IDENTITY)])
    return state


def _identities(audience: Audience) -> list[tuple[str, str]]:
    return [(field.name, field.expression.sql) for field in audience.fields if field.identity]


def _reading(subject: Subject, answer: Answer, guards: tuple[SourcePin, ...]) -> Reading:
    def keep(delivery: Delivery, attempt: Attempt) -> Held:
        assert answer.state is not None
        return held.write(
            subject.member.context.open_state(), delivery, attempt.id, answer.state, whole=answer.state_is_whole, guards=guards
        )

    return Reading(
        answer.rows,
        answer.expected,
        subject.pin.sources,
        _counts(subject, answer),
        keep if answer.state is not None else None,
    )


def _counts(subject: Subject, answer: Answer) -> Counts:
    """Of a full all members are received, of an increment those who entered, changed or left."""
    not_sent = dict(_not_sent(answer))
    full = subject.pin.mode == "full"
    left_out = {**answer.funnel.left_out, **not_sent} if full else not_sent
    return Counts(
        received=answer.funnel.rows if full else sum(answer.found.values()),
        delivered=sum(answer.sent.values()),
        left_out=left_out,
        inserted=answer.sent.get("entered", 0),
        updated=answer.sent.get("updated", 0),
        deleted=answer.sent.get("exited", 0),
        funnel=answer.funnel,
        movement=answer.movement,
    )


def _not_sent(answer: Answer) -> Iterator[tuple[str, int]]:
    """Whom the export declares not to send."""
    for status, count in answer.found.items():
        if count > answer.sent.get(status, 0):
            yield f"not_sent:{status}", count - answer.sent.get(status, 0)
