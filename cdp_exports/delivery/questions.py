"""What is asked of the evaluation: members of one export, pinned or planned, and what their increments follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery import held
from cdp_exports.delivery import members_journal as journal
from cdp_exports.delivery.limits import limits_of
from cdp_exports.delivery.lists import read_list
from cdp_exports.delivery.member import Member, is_to_audience
from cdp_exports.delivery.pinned_audience import guarded_as_now, list_types, pinned_audience
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, HistoryLost, SourceUnreadable
from cdp_exports.evaluation.inputs import IDENTITY, Question, Since, Tables
from cdp_exports.increments.net import net_changes
from cdp_exports.ledger.records import Delivery, Pin, SourcePin
from cdp_exports.segments.audience import Audience, Way

if TYPE_CHECKING:
    import polars as pl

IMAGES_MEMORY_LIMIT = 128 * 2**20
"""Bytes for the net change of the members' dataset."""


@dataclass(frozen=True)
class Subject:
    """A delivery of a segment that is pinned, or is about to be.

    `delivered`: it is evaluated once more, to be sent again (then without those who must not be sent any more, `withhold`)
    or to be compared.
    """

    member: Member
    export_time: ExportTime
    pin: Pin
    previous: Delivery | None  # that it goes on from; None of a full
    delivered: Delivery | None = None
    withhold: bool = True
    by_key: bool = False  # of an audience destination: as if it took files, to tell what becomes of each key

    @cached_property
    def audience(self) -> Audience | None:
        """The compiled segment as it was pinned."""
        return pinned_audience(self.pin)


def subject_of(member: Member, delivery: Delivery, *, again: bool = False, withhold: bool = True) -> Subject:
    """A delivery that is in the ledger; `again`: it was delivered, and is evaluated once more."""
    previous = member.delivery(delivery.previous_export_time) if delivery.previous_export_time else None
    return Subject(member, delivery.export_time, delivery.pin, previous, delivery if again else None, withhold)


class Questions:
    """The questions of members that are evaluated together, in the order of `subjects`; all frames last as long as `stack`.

    Raises:
        HistoryLost: a pinned version, the state or a list is gone.
        DeclarationError: what was pinned cannot be judged by what is declared now.
        SourceUnreadable, TransientError: as reading finds.
    """

    def __init__(self, subjects: Sequence[Subject], upstream: Upstream, stack: ExitStack, folder: Path) -> None:
        self.subjects = subjects
        self._upstream, self._stack, self._folder = upstream, stack, folder
        self._images: dict[tuple[str, int | None, int], pl.LazyFrame] = {}
        self._pins = {pin.dataset: pin for subject in subjects for pin in subject.pin.sources}
        self._audiences = [_audience(subject) for subject in subjects]
        self.questions = [self._question(number) for number in range(len(subjects))]
        self.tables = Tables(pinned=self._pinned, head=self._head)

    def _question(self, number: int) -> Question:
        subject, (audience, as_pinned) = self.subjects[number], self._audiences[number]
        limits = limits_of(subject.member)
        folder = self._folder / f"{number}-{subject.member.id}"
        folder.mkdir()
        if is_to_audience(subject.pin) and not subject.by_key:
            return Question(
                audience=audience,
                at=subject.export_time.at,
                keep=limits.audience.max if limits.over == "truncate" else None,
                holds=self._holds(subject, folder),
            )
        way, since = Way.COMPARED, None
        as_delivered = self._as_delivered(subject, audience, folder)
        if subject.pin.mode == "incremental":
            planned = Way(subject.pin.way) if subject.pin.way and as_pinned and as_delivered is None else Way.COMPARED
            way, since = self._since(subject, audience, planned, folder)
        return Question(
            audience=audience,
            at=subject.export_time.at,
            way=way,
            since=since,
            keep=limits.audience.max if limits.over == "truncate" else None,
            with_status=audience.status is not None,
            keep_state=subject.pin.definition.get("mode") == "incremental",
            as_delivered=as_delivered,
            withhold=subject.withhold,
        )

    def _holds(self, subject: Subject, folder: Path) -> pl.LazyFrame:
        resend = subject.pin.way == Way.RESENT
        return journal.holds(subject.member, subject.previous, subject.pin.target, subject.pin.folder, folder, resend=resend)

    def _as_delivered(self, subject: Subject, audience: Audience, folder: Path) -> pl.LazyFrame | None:
        """Who was sent then, where consent and suppression may say otherwise now; where that is not kept they decide alone."""
        delivered = subject.delivered
        if delivered is None or delivered.counts is None or delivered.counts.held is None or not audience.guards:
            return None
        (folder / "then").mkdir()
        return held.read(subject.member.context.open_state(), subject.member.chain_up_to(delivered), folder / "then")

    def _since(self, subject: Subject, audience: Audience, way: Way, folder: Path) -> tuple[Way, Since]:
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
        if way is Way.TOUCHED and (guard_rows := _guard_rows(previous, audience, self._upstream)) is None:
            way = Way.COMPARED
        if way is not Way.COMPARED:
            try:
                images = self._images_of(subject.pin.sources[0], audience)
            except HistoryLost as lost:
                if lost.reason == "source_rewound":
                    raise
                way, guard_rows = Way.COMPARED, None
        since = Since(
            at=previous.export_time.at,
            funnel=previous.counts.funnel,
            held_rows=previous.counts.movement.held,
            images=images,
            guard_rows=guard_rows,
            held=None if way is Way.CHANGES else _held(subject.member, previous, audience, folder),
        )
        return way, since

    def _images_of(self, own: SourcePin, audience: Audience) -> pl.LazyFrame:
        """The net change of a dataset, in the columns that any of the members read: it is compared once."""
        import polars as pl

        wanted = (own.dataset, own.after_version, own.upto_version)
        if wanted in self._images:
            return self._images[wanted]
        source = self._upstream.pinned(own)
        columns = list(dict.fromkeys(name for one, _ in self._audiences if one.of == audience.of for name in one.tables[one.of]))
        there = {column.name for column in source.columns(own.upto_version)}
        if missing := next((name for name in columns if name not in there), None):
            raise SourceUnreadable(
                f"The table of dataset {own.dataset}: has no column {missing} any more, which the catalog declares.",
                next_step=f"Correct `columns` in datasets/{own.dataset}.yaml, or the table.",
            )
        if own.after_version is None or own.after_version == own.upto_version:
            nothing = source.rows(own.upto_version).frame.select(columns).head(0)
            self._images[wanted] = nothing.with_columns(pl.lit(None, pl.String).alias("_change_type"))
        else:
            difference = source.difference(own.after_version, own.upto_version)
            net = net_changes(
                difference.minus.select(columns),
                difference.plus.select(columns),
                key=audience.key,
                changes="images",
                subsets=difference.subsets,
                memory_limit=IMAGES_MEMORY_LIMIT,
                folder=self._folder,
            )
            self._images[wanted] = self._stack.enter_context(net).frame
        return self._images[wanted]

    def _pinned(self, name: str) -> pl.LazyFrame:
        for audience, _ in self._audiences:
            for part in audience.parts:
                if part.segment == name and part.query is None:
                    return self._list(name, list_types(audience, part))
        return self._upstream.rows(self._pins[name])

    def _list(self, name: str, types: Mapping[str, str]) -> pl.LazyFrame:
        context = self.subjects[0].member.context
        declared = context.catalog.segments[name].list if name in context.catalog.segments else None
        if declared is None:
            raise HistoryLost(
                f"The segment {name} was a list when this delivery was pinned, and is none any more.",
                next_step="Run a new export time: it closes this one.",
                reason="list_lost",
            )
        return read_list(context.open_state(), self._pins[name], declared, types, self._folder)

    def _head(self, dataset: str) -> pl.LazyFrame | None:
        now, pin = self._upstream.head(dataset), self._pins.get(dataset)
        if pin is not None and (pin.upto_version, pin.upto_commit) == (now.version, now.commit):
            return None
        return self._upstream.source(dataset).rows(now.version).frame


def together(subjects: Sequence[Subject]) -> list[list[Subject]]:
    """Those that read every dataset at one version, and mean one thing by every name, share their scans."""
    groups: list[tuple[dict[str, object], list[Subject]]] = []
    for subject in subjects:
        meant = _meant(subject)
        for known, group in groups:
            if all(known.get(name, meaning) == meaning for name, meaning in meant.items()):
                known.update(meant)
                group.append(subject)
                break
        else:
            groups.append((meant, [subject]))
    return [group for _, group in groups]


def _meant(subject: Subject) -> dict[str, object]:
    """The versions of datasets and lists, their types, and what queries of segments say."""
    audience = subject.audience
    meant: dict[str, object] = {pin.dataset: (pin.upto_version, pin.upto_commit) for pin in subject.pin.sources}
    if audience is not None:
        meant |= {f"part {part.segment}": part for part in audience.parts}
        meant |= {f"type {table}.{column}": type for table, columns in audience.tables.items() for column, type in columns.items()}
        meant["at"] = subject.export_time
    return meant


def _audience(subject: Subject) -> tuple[Audience, bool]:
    """As pinned, with the consent and suppression of now; whether those are what it was pinned with."""
    pinned = subject.audience
    if pinned is None:
        raise DeclarationError(
            "Consent was not required when this delivery was pinned, and is now.",
            next_step="Run a new export time: it closes this one, and begins a new chain.",
        )
    return guarded_as_now(pinned, subject.member)


def _guard_rows(previous: Delivery, audience: Audience, upstream: Upstream) -> dict[str, pl.LazyFrame] | None:
    """Rows of consent and suppression as they were and as they are, where they changed since the last delivery read them; None
    where nobody can tell any more what changed: they are read at their heads, whatever became of their history."""
    import polars as pl

    assert previous.counts is not None
    assert previous.counts.held is not None
    then = {pin.dataset: pin for pin in previous.counts.held.guards}
    found: dict[str, pl.LazyFrame] = {}
    for dataset in audience.guards:
        source, was, now = upstream.source(dataset), then.get(dataset), upstream.head(dataset)
        if was is None or was.table_id != now.table_id:
            return None
        if was.upto_version == now.version and was.upto_commit == now.commit:
            found[dataset] = source.rows(now.version).frame.head(0)
            continue
        try:
            upstream.pinned(was)
            difference = source.difference(was.upto_version, now.version)
        except HistoryLost:
            return None
        found[dataset] = pl.concat([difference.minus, difference.plus])
    return found


def _held(member: Member, previous: Delivery, audience: Audience, folder: Path) -> pl.LazyFrame:
    """The state, without identities that were of other fields; with other columns every member counts as updated."""
    import polars as pl

    state = held.read(member.context.open_state(), member.chain_up_to(previous), folder)
    earlier = pinned_audience(previous.pin)
    if earlier is None:
        return state
    if _identities(earlier) != _identities(audience):
        state = state.drop([name for name in state.collect_schema() if name.startswith(IDENTITY)])
    if [field.name for field in earlier.fields] != [field.name for field in audience.fields]:
        state = state.with_columns(pl.lit(0, pl.UInt64).alias("hash"))
    return state


def _identities(audience: Audience) -> list[tuple[str, str]]:
    return [(field.name, field.expression.sql) for field in audience.fields if field.identity]
