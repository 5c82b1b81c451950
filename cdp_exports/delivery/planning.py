"""What a new delivery would be: which rows, why, and where they go. Deciding changes nothing."""

from __future__ import annotations

from cdp_exports.delivery.audience_planning import plan_audience
from cdp_exports.delivery.chains import Plan
from cdp_exports.delivery.dataset_planning import plan_dataset
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.members_planning import plan_members
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime


def plan(member: Member, upstream: Upstream, export_time: ExportTime, *, full: bool) -> Plan:
    """Decide the increment since the last committed delivery.

    Raises:
        HistoryLost: what the increment needs is gone and the export says `on_history_lost: fail`.
        ChainChanged: the declaration changed and the export says `on_change: fail`.
        SourceUnreadable, CannotHold, DeclarationError, TransientError: as the parts find.
    """
    how = plan_members if member.to_audience else plan_dataset if member.audience is None else plan_audience
    return how(member, upstream, export_time, full=full)
