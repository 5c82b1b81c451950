"""Resolving what was begun and not finished, before anything new is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.member import Member, is_to_audience
from cdp_exports.delivery.publishing import covered, in_doubt, settle
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DestinationRefused, Occupied, Skip
from cdp_exports.ledger.records import Delivery, State

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination


def settle_open(member: Member, export_time: ExportTime) -> Delivery | None:
    """Resolve everything that was begun and not finished; returns this export time's delivery if it is pinned or was found committed.

    Raises:
        InDoubt: nobody can tell whether one was published.
        Skip: this export time is closed.
    """
    mine: Delivery | None = None
    for delivery in member.open_deliveries():
        if is_to_audience(delivery.pin):
            mine = _settle_members(member, delivery, export_time) or mine
            continue
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


def _settle_members(member: Member, delivery: Delivery, export_time: ExportTime) -> Delivery | None:
    """What was sent of it stands in the journal, whichever delivery goes on from there."""
    if delivery.export_time == export_time:
        return delivery
    if delivery.export_time > export_time:
        raise covered(str(delivery.export_time))
    member.context.ledger.cover(delivery.id, export_time)
    return None


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
        if not destination.create(manifest.path_of(delivery.pin), document.encode()) and settle(member, destination, delivery):
            return  # published at the last moment: then it is the delivery
    except Skip:
        return
    except Occupied:
        pass  # somebody else's manifest stands there: ours can never be created
    except DestinationRefused:
        if destination.place == member.destination.place:
            raise  # else the place it was pinned to is gone, and the ledger alone closes it
    member.context.ledger.cover(delivery.id, covered_by)
