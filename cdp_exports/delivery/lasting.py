"""How long delivered files stay: until the next delivery takes their names, or their time is over."""

from __future__ import annotations

from datetime import datetime

from cdp_exports.delivery.member import Member
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CameLate
from cdp_exports.ledger.records import Delivery


def expires_at(delivery: Delivery, written: datetime) -> datetime | None:
    """When files that were written then are removed, at the earliest; None: they stay. The manifest announces a moment before."""
    return written + delivery.pin.keep_for if delivery.pin.keep_for else None


def is_expired(delivery: Delivery, written: datetime, now: datetime) -> bool:
    """Whether their time is over."""
    at = expires_at(delivery, written)
    return at is not None and at <= now


def expired_at(member: Member, delivery: Delivery) -> datetime | None:
    """When the time of a committed delivery's files was over; None where it is not, or they stay."""
    if delivery.pin.keep_for is None:
        return None
    ledger = member.context.ledger
    written = next((attempt.ended_at for attempt in ledger.attempts(delivery.id) if attempt.id == delivery.attempt_id), None)
    return expires_at(delivery, written) if written and is_expired(delivery, written, ledger.now()) else None


def came_late(member: Member, uri: str) -> CameLate:
    """What a run ends with that wrote or removed a fixed name after another had taken its place."""
    return CameLate(
        f"A run whose turn was over replaced or removed {uri}, where a later delivery may have put its rows.",
        next_step=f"`cdp-exports verify {member.export_id}` tells; `cdp-exports replay` of the newest delivery puts it right.",
    )


def replaced_by(member: Member, delivery: Delivery) -> ExportTime | None:
    """The newest delivery under the same fixed names, where that is another: what stands there is no longer this one."""
    pin = delivery.pin
    if not pin.overwrite:
        return None
    ledger = member.context.ledger
    newest = ledger.newest_under_fixed_names(member.environment, member.exports, member.members, pin.target, pin.folder)
    return newest if newest is not None and newest > delivery.export_time else None
