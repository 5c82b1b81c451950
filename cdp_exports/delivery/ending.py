"""How a member's run ends: with a delivery, or with a reason that is recorded."""

from __future__ import annotations

import traceback
from pathlib import Path

from cdp_exports.delivery.limits import BELOW_MINIMUM, LimitState, warnings
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.publishing import covered
from cdp_exports.delivery.recipients import key_warnings
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, Skip, Unexpected
from cdp_exports.ledger.records import Delivery, SkipRecord, State


def recorded(member: Member, export_time: ExportTime) -> Outcome | None:
    """The delivery of this export time, if it was committed already: nothing is sent again."""
    delivery = member.delivery(export_time)
    if delivery is None or delivery.state is not State.COMMITTED:
        return None
    return committed(member, delivery, sent=False)


def passed(member: Member, export_time: ExportTime) -> Skip | None:
    """Why nothing is left to deliver at an export time that a later one has passed, unless it was begun and not finished."""
    own, last = member.delivery(export_time), member.last_committed()
    if last is None or export_time >= last.export_time or (own is not None and own.state is not State.COVERED):
        return None
    return covered(str(last.export_time))


def unexpected(fault: Exception) -> Unexpected:
    """Its own text may hold data: only its kind and place are told."""
    where = traceback.extract_tb(fault.__traceback__)[-1]
    error = Unexpected(
        f"An unexpected fault, {type(fault).__name__} at {Path(where.filename).name}:{where.lineno}.",
        next_step="Report it with this line. Run this export time again: what was published is found, nothing is sent twice.",
    )
    error.__cause__ = fault
    return error


def committed(member: Member, delivery: Delivery, *, sent: bool, limits: tuple[LimitState, ...] = ()) -> Outcome:
    """The outcome of a delivery that is there; `sent` by this run, or before."""
    return Outcome(
        member.export_id,
        member.id,
        delivery.export_time,
        "committed",
        delivery=delivery,
        sent=sent,
        uri=member.uri_of(delivery.pin),
        warnings=(*_rejected(delivery), *_held_back(delivery), *warnings(limits), *(key_warnings(member, delivery.pin) if sent else ())),
        limits=limits,
    )


def _rejected(delivery: Delivery) -> tuple[str, ...]:
    if delivery.counts is None or delivery.counts.rejections is None:
        return ()
    said = ", ".join(f"{reason} {rows:,}" for reason, rows in delivery.counts.rejections.reasons.items())
    return (f"The receiver did not take {delivery.counts.failed:,} members: {said}. They are sent again with the next delivery.",)


def _held_back(delivery: Delivery) -> tuple[str, ...]:
    if delivery.counts is None or not (waiting := delivery.counts.left_out.get(BELOW_MINIMUM)):
        return ()
    return (f"The audience is below its minimum: who leaves was sent, {waiting:,} others wait until it has grown.",)


def ended(member: Member, export_time: ExportTime, error: CdpExportsError, run_id: str, limits: tuple[LimitState, ...] = ()) -> Outcome:
    """Not delivered: recorded with its reason, for `history` and for Dagster."""
    error.of(export=member.export_id, member=member.id, export_time=str(export_time))
    status = "skipped" if isinstance(error, Skip) else "failed"
    member.context.ledger.skip(
        SkipRecord(
            environment=member.environment,
            export=member.export_id,
            member=member.id,
            export_time=export_time,
            outcome=status,
            reason=error.reason if isinstance(error, Skip) else error.code,
            message=error.message,
            next_step=error.next_step,
            run_id=run_id,
            at=member.context.ledger.now(),
        )
    )
    return Outcome(member.export_id, member.id, export_time, status, error=error, limits=limits)
