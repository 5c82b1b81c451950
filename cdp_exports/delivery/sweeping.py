"""Removing what attempts left behind that did not become the delivery: only files the ledger recorded, never a listing."""

from __future__ import annotations

from cdp_exports.delivery.member import Member
from cdp_exports.errors import CdpExportsError


def sweep(member: Member) -> int:
    """Remove the recorded files and open uploads of attempts that lost; returns how many paths were gone over.

    An attempt that was abandoned may still be alive and finish a file after this sweep: its files are forgotten only
    when a later delivery has swept them again. What cannot be removed now stays recorded.
    """
    ledger = member.context.ledger
    gone_over = 0
    for delivery, attempts in ledger.leftovers(member.environment, member.exports, member.members):
        try:
            destination = member.destination_of(delivery.pin)
            for attempt in attempts:
                paths = [file.path for file in attempt.files if not file.removed]
                destination.delete(paths)
                gone_over += len(paths)
                if attempt.status != "abandoned" or _is_past(member, delivery.export_time):
                    ledger.removed(attempt.id, paths)
        except CdpExportsError:
            continue
    return gone_over


def _is_past(member: Member, export_time: object) -> bool:
    last = member.last_committed()
    return last is not None and last.export_time != export_time
