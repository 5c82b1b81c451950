"""Deliver an export at one export time: the protocol, member by member."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.attempt import attempt_delivery
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.holding import Holding, holding
from cdp_exports.delivery.member import Member, members_of
from cdp_exports.delivery.memory import newest_manifest
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.ownership import claim
from cdp_exports.delivery.planning import Plan, plan, refuse_if_ledger_is_behind
from cdp_exports.delivery.publishing import covered, in_doubt, settle
from cdp_exports.delivery.sweeping import sweep
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused, Occupied, Skip, Unexpected
from cdp_exports.ledger.records import Delivery, SkipRecord, State

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination


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

    `known_elsewhere`: the newest export time of each member that Dagster has materialized.
    Interrupts (KeyboardInterrupt, Dagster's) abort uploads, free the lease and go on up.

    Raises:
        DeclarationError: no such export or member; an export time later than now.
        TransientError: the ledger is not there.
    """
    chosen = members_of(context, export_id, members)
    environment = context.catalog.environment.name
    known = known_elsewhere or {}
    recorded = [outcome for member in chosen if (outcome := _recorded(member, export_time)) is not None]
    if len(recorded) == len(chosen):
        yield from recorded
        return
    context.ledger.note_time(environment, export_id, export_time)
    try:
        with holding(context.ledger, environment, chosen[0].exports, run_id=run_id, export_time=export_time) as held:
            for member in chosen:
                yield _outcome(member, held, export_time, run_id=run_id, full=full, known_to_dagster=known.get(member.id))
    except Skip as skip:
        for member in chosen:
            yield _recorded(member, export_time) or _ended(member, export_time, skip, run_id)


def _recorded(member: Member, export_time: ExportTime) -> Outcome | None:
    """The delivery of this export time, if it was committed already: nothing is sent again."""
    delivery = member.delivery(export_time)
    if delivery is None or delivery.state is not State.COMMITTED:
        return None
    return _committed(member, delivery, sent=False)


def _outcome(
    member: Member, held: Holding, export_time: ExportTime, *, run_id: str, full: bool, known_to_dagster: ExportTime | None
) -> Outcome:
    try:
        return _recorded(member, export_time) or _deliver(
            member, held, export_time, run_id=run_id, full=full, known_to_dagster=known_to_dagster
        )
    except CdpExportsError as error:
        return _ended(member, export_time, error, run_id)
    except Exception as fault:  # noqa: BLE001  the other members are delivered all the same
        return _ended(member, export_time, _unexpected(fault), run_id)


def _deliver(
    member: Member, held: Holding, export_time: ExportTime, *, run_id: str, full: bool, known_to_dagster: ExportTime | None
) -> Outcome:
    pinned = _settle_open(member, export_time)
    if pinned is not None and pinned.state is State.COMMITTED:
        return _committed(member, pinned, sent=False)
    last = member.last_committed()
    if last is not None and export_time <= last.export_time:
        raise covered(str(last.export_time))
    refuse_if_ledger_is_behind(member, known_to_dagster, newest_manifest(member, last), full=full)
    if pinned is None:
        claim(member, member.destination, member.owner_folder())
        member.context.progress(member.id, "planning", 0, None)
        pinned = _pin(member, held, export_time, plan(member, export_time, full=full), run_id)
    elif full and pinned.pin.mode != "full":  # a retry of the run that asked for it finds its own pin
        raise DeclarationError(
            f"{export_time} is pinned to an increment already, so it cannot become a full.",
            next_step="Run it again without --full, or run --full at a new export time.",
        )
    delivery = attempt_delivery(member, held, pinned, run_id=run_id)
    sweep(member)
    return _committed(member, delivery, sent=True)


def _settle_open(member: Member, export_time: ExportTime) -> Delivery | None:
    """Resolve everything that was begun and not finished; returns this export time's delivery if it is pinned or was found committed.

    Raises:
        InDoubt: nobody can tell whether one was published.
        Skip: this export time is closed.
    """
    mine: Delivery | None = None
    for delivery in member.open_deliveries():
        destination = member.destination_of(delivery.pin)
        settled = _settle(member, destination, delivery, export_time)
        if delivery.export_time == export_time:
            mine = settled
        elif settled is None or settled.state is State.COMMITTED:
            continue
        elif delivery.export_time > export_time:
            raise covered(str(delivery.export_time))
        else:
            _close(member, destination, delivery, export_time)
    return mine


def _settle(member: Member, destination: FileDestination, delivery: Delivery, export_time: ExportTime) -> Delivery | None:
    """The delivery as it stands now: committed after all, or still pinned; None where it was closed."""
    try:
        settled = settle(member, destination, delivery)
    except Skip:
        if delivery.export_time == export_time:
            raise
        return None
    except (Occupied, DestinationRefused) as error:
        if isinstance(error, DestinationRefused) and destination.place == member.destination.place:
            raise  # this run cannot deliver there either
        if delivery.state is State.PUBLISHING:
            raise in_doubt(member, delivery) from None
        if delivery.export_time >= export_time:
            raise
        return delivery
    if settled is None and delivery.state is State.PUBLISHING:
        raise in_doubt(member, delivery)
    return settled or delivery


def _close(member: Member, destination: FileDestination, delivery: Delivery, covered_by: ExportTime) -> None:
    """Close an export time that a later one takes over, so that nobody publishes it any more: in the ledger, whose fence
    holds off attempts that are still alive, and at the destination, which outlives the ledger."""
    document = manifest.void(delivery, covered_by, member.context.ledger.now())
    try:
        if not destination.create(manifest.path_of(delivery.pin.folder), document.encode()) and settle(member, destination, delivery):
            return  # published at the last moment: then it is the delivery
    except Skip:
        return
    except Occupied:
        pass  # somebody else's manifest stands there: ours can never be created
    except DestinationRefused:
        if destination.place == member.destination.place:
            raise  # else the place it was pinned to is gone, and the ledger alone closes it
    member.context.ledger.cover(delivery.id, covered_by)


def _pin(member: Member, held: Holding, export_time: ExportTime, planned: Plan, run_id: str) -> Delivery:
    previous = planned.previous
    delivery = Delivery(
        id=str(uuid.uuid4()),
        environment=member.environment,
        kind=member.export.kind,
        export=member.export_id,
        member=member.id,
        export_time=export_time,
        chain=previous.chain if previous else str(uuid.uuid4()),
        sequence=previous.sequence + 1 if previous else 1,
        base_export_time=previous.base_export_time if previous else export_time,
        previous_export_time=previous.export_time if previous else None,
        state=State.PINNED,
        pin=planned.pin,
        run_id=run_id,
        pinned_at=member.context.ledger.now(),
    )
    held.write(lambda lease: member.context.ledger.pin(lease, delivery))
    return delivery


def _unexpected(fault: Exception) -> Unexpected:
    """Its own text may hold data: only its kind and place are told."""
    where = traceback.extract_tb(fault.__traceback__)[-1]
    error = Unexpected(
        f"An unexpected fault, {type(fault).__name__} at {Path(where.filename).name}:{where.lineno}.",
        next_step="Report it with this line. Run this export time again: what was published is found, nothing is sent twice.",
    )
    error.__cause__ = fault
    return error


def _committed(member: Member, delivery: Delivery, *, sent: bool) -> Outcome:
    uri = member.destination_of(delivery.pin).uri(delivery.pin.folder)
    return Outcome(member.export_id, member.id, delivery.export_time, "committed", delivery=delivery, sent=sent, uri=uri)


def _ended(member: Member, export_time: ExportTime, error: CdpExportsError, run_id: str) -> Outcome:
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
    return Outcome(member.export_id, member.id, export_time, status, error=error)
