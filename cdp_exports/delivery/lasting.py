"""How long delivered files stay: until the next delivery takes their names, or their time is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from cdp_exports.delivery.member import Member
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CameLate
from cdp_exports.ledger.records import Delivery, Pin, Standing


def is_expired(keep_for: timedelta | None, written: datetime, now: datetime) -> bool:
    """Whether the time of files that were written then is over; None: they stay. The manifest announces a moment before."""
    return keep_for is not None and written + keep_for <= now


def expired_at(member: Member, delivery: Delivery) -> datetime | None:
    """When the time of a committed delivery's files was over; None where it is not, or they stay."""
    keep_for, ledger = delivery.pin.keep_for, member.context.ledger
    if keep_for is None:
        return None
    written = next((attempt.ended_at for attempt in ledger.attempts(delivery.id) if attempt.id == delivery.attempt_id), None)
    return written + keep_for if written and is_expired(keep_for, written, ledger.now()) else None


def came_late(member: Member, uri: str) -> CameLate:
    """What a run ends with that wrote or removed a fixed name after another had taken its place."""
    return CameLate(
        f"A run whose turn was over replaced or removed {uri}, where a later delivery may have put its rows.",
        next_step=f"`cdp-exports verify {member.export_id}` tells; `cdp-exports replay` of the newest delivery puts it right.",
    )


def replaced_by(member: Member, delivery: Delivery) -> ExportTime | None:
    """The newest delivery under the same fixed names, where that is another: what stands there is no longer this one."""
    return _newer(member, delivery.export_time, delivery.pin)


def is_replaced(member: Member, one: Standing) -> bool:
    """The same of what the ledger tells of it in short."""
    return _newer(member, one.export_time, one) is not None


def _newer(member: Member, export_time: ExportTime, names: Pin | Standing) -> ExportTime | None:
    if not names.overwrite:
        return None
    ledger = member.context.ledger
    newest = ledger.newest_under_fixed_names(member.environment, member.exports, member.members, names.target, names.folder)
    return newest if newest is not None and newest > export_time else None
