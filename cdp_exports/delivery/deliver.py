"""Deliver an export at one export time: the protocol, member by member."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cdp_exports.delivery.attempt import attempt_delivery
from cdp_exports.delivery.audience_rows import evaluated
from cdp_exports.delivery.chains import Plan, refuse_if_ledger_is_behind
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.dataset_rows import dataset_reading
from cdp_exports.delivery.ending import committed, ended, passed, recorded, unexpected
from cdp_exports.delivery.holding import Holding, holding
from cdp_exports.delivery.keeping import keep_in_order
from cdp_exports.delivery.limits import LimitState, is_below, limits_of, refuse_below, refuse_over
from cdp_exports.delivery.member import Member, is_to_audience, members_of
from cdp_exports.delivery.members_memory import refuse_if_unsafe
from cdp_exports.delivery.members_sending import send_members
from cdp_exports.delivery.memory import newest_manifest
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.ownership import claim
from cdp_exports.delivery.planning import plan
from cdp_exports.delivery.publishing import covered
from cdp_exports.delivery.questions import Subject, subject_of
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.settling import settle_open
from cdp_exports.delivery.sweeping import sweep
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, DeclarationError, Skip
from cdp_exports.ledger.records import Delivery, Pin, State
from cdp_exports.segments.audience import Way

T = TypeVar("T")


def deliver(
    context: Context,
    export_id: str,
    export_time: ExportTime,
    *,
    run_id: str,
    members: Sequence[str] | None = None,
    full: bool = False,
    known_elsewhere: Mapping[str, ExportTime] | None = None,
) -> Iterator[Outcome]:
    """Deliver members (default: all) one after the other under the export's lease; one Outcome each, whatever happens to the others.

    The segments of an export are evaluated and counted together before the first of them is sent.
    `known_elsewhere`: the newest export time of each member that Dagster has materialized.
    Interrupts (KeyboardInterrupt, Dagster's) abort uploads, free the lease and go on up.

    Raises:
        DeclarationError: no such export or member; an export time later than now.
        TransientError: the ledger is not there.
    """
    chosen = members_of(context, export_id, members)
    environment = context.catalog.environment.name
    there = [(member, recorded(member, export_time) or passed(member, export_time)) for member in chosen]
    if all(found for _, found in there):  # whoever delivers now is not waited for
        for member, found in there:
            assert found is not None
            yield ended(member, export_time, found, run_id) if isinstance(found, Skip) else found
        return
    context.ledger.note_time(environment, export_id, export_time)
    try:
        with holding(context.ledger, environment, chosen[0].exports, run_id=run_id, export_time=export_time) as held:
            run = _Run(held, export_time, run_id, full, known_elsewhere or {}, Upstream(context))
            together = [chosen] if chosen[0].audience else [[member] for member in chosen]
            for members_together in together:
                yield from run.deliver(members_together)
    except Skip as skip:
        for member in chosen:
            yield recorded(member, export_time) or ended(member, export_time, skip, run_id)


@dataclass(frozen=True)
class _Ready:
    """A member whose delivery is pinned already, or planned."""

    member: Member
    delivery: Delivery | None
    plan: Plan | None


@dataclass(frozen=True)
class _Rows:
    """How to read what a member is sent, and the limits it was judged by."""

    read: Callable[[], AbstractContextManager[Reading]]
    limits: tuple[LimitState, ...] = ()
    leaving: int = 0  # members who leave an audience


@dataclass(frozen=True)
class _Run:
    held: Holding
    export_time: ExportTime
    run_id: str
    full: bool
    known: Mapping[str, ExportTime]
    upstream: Upstream

    def deliver(self, members: Sequence[Member]) -> Iterator[Outcome]:
        """Members that are read together; one Outcome each."""
        ready: list[_Ready] = []
        for member in members:
            found = self._or_ended(member, partial(self._prepare, member))
            if isinstance(found, Outcome):
                yield found
            else:
                ready.append(found)
        left, limits = list(ready), dict[str, tuple[LimitState, ...]]()
        try:
            with self._rows(ready, limits) as rows:
                for one, its_rows in zip(ready, rows, strict=True):
                    outcome = self._or_ended(one.member, partial(self._send, one, its_rows), its_rows.limits)
                    left.remove(one)
                    yield outcome
        except Exception as error:  # noqa: BLE001  what could not be read ends every member that waited for it
            for one in left:
                yield self._ended(one.member, error, limits.get(one.member.id, ()))

    def _or_ended(self, member: Member, step: Callable[[], T], limits: tuple[LimitState, ...] = ()) -> T | Outcome:
        try:
            return step()
        except Exception as error:  # noqa: BLE001  the other members are delivered all the same
            return self._ended(member, error, limits)

    def _ended(self, member: Member, error: Exception, limits: tuple[LimitState, ...]) -> Outcome:
        explained = error if isinstance(error, CdpExportsError) else unexpected(error)
        return ended(member, self.export_time, explained, self.run_id, limits)

    def _prepare(self, member: Member) -> _Ready | Outcome:
        """Resolve what was begun, and plan what was not."""
        there = recorded(member, self.export_time)
        if there is not None:
            return there
        pinned = settle_open(member, self.export_time)
        if pinned is not None and pinned.state is State.COMMITTED:
            return committed(member, pinned, sent=False)
        last = member.last_committed()
        if last is not None and self.export_time <= last.export_time:
            raise covered(str(last.export_time))
        newest = None if member.to_audience else newest_manifest(member, last)
        refuse_if_ledger_is_behind(member, self.known.get(member.id), newest, full=self.full)
        if member.to_audience and not self.full:
            refuse_if_unsafe(member)
        if pinned is None:
            if not member.to_audience:
                claim(member, member.destination, member.owner_folder())
            member.context.progress(member.id, "planning", 0, None)
            return _Ready(member, None, plan(member, self.upstream, self.export_time, full=self.full))
        everybody = pinned.pin.mode == "full" or pinned.pin.way == Way.RESENT
        if self.full and not everybody:  # a retry of the run that asked for it finds its own pin
            raise DeclarationError(
                f"{self.export_time} is pinned to an increment already, so it cannot become a full.",
                next_step="Run it again without --full, or run --full at a new export time.",
            )
        return _Ready(member, pinned, None)

    @contextmanager
    def _rows(self, ready: Sequence[_Ready], limits: dict[str, tuple[LimitState, ...]]) -> Generator[list[_Rows]]:
        """Datasets are read when their turn comes; segments all at once and before the first is sent, for the sake of their
        limits, which are noted by member.

        Raises:
            Skip, OverLimit: a segment is larger than its receiver takes.
        """
        if not ready or (ready[0].member.audience is None and self._pin(ready[0]).audience is None):
            yield [_Rows(partial(dataset_reading, one.member, self.upstream, self._pin(one))) for one in ready]
            return
        with evaluated([self._subject(one) for one in ready], self.upstream) as found:
            limits.update({member: one.limits for member, one in found.items()})
            refuse_over(limits_of(ready[0].member), limits)
            rows = [found[one.member.id] for one in ready]
            yield [_Rows(partial(nullcontext, one.reading), one.limits, one.answer.sent["exited"]) for one in rows]

    def _subject(self, one: _Ready) -> Subject:
        if one.delivery is not None:
            return subject_of(one.member, one.delivery)
        assert one.plan is not None
        return Subject(one.member, self.export_time, one.plan.pin, one.plan.previous)

    def _pin(self, one: _Ready) -> Pin:
        if one.delivery is not None:
            return one.delivery.pin
        assert one.plan is not None
        return one.plan.pin

    def _send(self, one: _Ready, rows: _Rows) -> Outcome:
        member, only_leaving = one.member, False
        if is_to_audience(self._pin(one)) and rows.leaving:
            only_leaving = is_below(rows.limits)  # a minimum keeps nobody in an audience
        else:
            refuse_below(rows.limits)
        delivery = one.delivery
        if delivery is None:
            assert one.plan is not None
            delivery = self._record(member, one.plan)
        if is_to_audience(delivery.pin):
            delivery = send_members(member, self.held, delivery, rows.read, run_id=self.run_id, only_leaving=only_leaving)
        else:
            delivery = attempt_delivery(member, self.held, delivery, rows.read, run_id=self.run_id)
            sweep(member, self.held)
        keep_in_order(member, delivery)
        return committed(member, delivery, sent=True, limits=rows.limits)

    def _record(self, member: Member, planned: Plan) -> Delivery:
        """The pin: from here on every attempt delivers the same rows."""
        previous, ledger = planned.previous, member.context.ledger
        delivery = Delivery(
            id=str(uuid.uuid4()),
            environment=member.environment,
            kind=member.export.kind,
            export=member.export_id,
            member=member.id,
            export_time=self.export_time,
            chain=previous.chain if previous else str(uuid.uuid4()),
            sequence=previous.sequence + 1 if previous else 1,
            base_export_time=previous.base_export_time if previous else self.export_time,
            previous_export_time=previous.export_time if previous else None,
            state=State.PINNED,
            pin=planned.pin,
            run_id=self.run_id,
            pinned_at=ledger.now(),
        )
        self.held.write(lambda lease: ledger.pin(lease, delivery))
        return delivery
