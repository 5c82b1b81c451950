"""What a run would deliver now. Sends nothing, records nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cdp_exports.delivery.audience_rows import evaluated
from cdp_exports.delivery.chains import Plan, refuse_if_ledger_is_behind
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.limits import LimitState, limits_of, refuse_below, refuse_over, warnings
from cdp_exports.delivery.member import Member, members_of
from cdp_exports.delivery.members_memory import refuse_if_unsafe
from cdp_exports.delivery.memory import newest_manifest
from cdp_exports.delivery.ownership import refuse_if_occupied
from cdp_exports.delivery.planning import plan
from cdp_exports.delivery.questions import Subject
from cdp_exports.delivery.recipients import pinned_keys
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.encryption.keys import PublicKey, expiring
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError
from cdp_exports.ledger.records import Counts


@dataclass(frozen=True)
class Preview:
    """One member: its plan, or the error that a run would end with (a limit's too). Segments are counted.

    `keys`: what its files would be encrypted to.
    """

    member: Member
    plan: Plan | None = None
    counts: Counts | None = None
    limits: tuple[LimitState, ...] = ()
    error: CdpExportsError | None = None
    warnings: tuple[str, ...] = ()
    keys: tuple[PublicKey, ...] = ()


def previews(context: Context, export_id: str, export_time: ExportTime, *, full: bool) -> Iterator[Preview]:
    """What a run at this export time would deliver of each member.

    Raises:
        DeclarationError: no such export.
    """
    upstream = Upstream(context)
    planned = [_planned(member, upstream, export_time, full=full) for member in members_of(context, export_id)]
    counted = iter(_counted([preview for preview in planned if preview.plan and preview.member.audience], upstream, export_time))
    for preview in planned:
        yield next(counted) if preview.plan and preview.member.audience else preview


def _planned(member: Member, upstream: Upstream, export_time: ExportTime, *, full: bool) -> Preview:
    try:
        if not member.to_audience:
            refuse_if_ledger_is_behind(member, None, newest_manifest(member, member.last_committed()), full=full)
            refuse_if_occupied(member, member.destination, member.owner_folder())
        elif not full:
            refuse_if_unsafe(member)
        planned = plan(member, upstream, export_time, full=full)
        keys = pinned_keys(member, planned.pin)
        return Preview(member, planned, warnings=expiring(keys, member.context.ledger.now()), keys=keys)
    except CdpExportsError as error:
        return Preview(member, error=error)


def _counted(planned: Sequence[Preview], upstream: Upstream, export_time: ExportTime) -> list[Preview]:
    """The same with their members counted, and judged by the limits."""
    if not planned:
        return []
    subjects = [Subject(one.member, export_time, one.plan.pin, one.plan.previous) for one in planned if one.plan]
    try:
        with evaluated(subjects, upstream) as found:
            limits = {member: one.limits for member, one in found.items()}
            counted = [
                replace(
                    one,
                    counts=found[one.member.id].reading.counted,
                    limits=limits[one.member.id],
                    warnings=(*warnings(limits[one.member.id]), *one.warnings),
                )
                for one in planned
            ]
            over: CdpExportsError | None = None
            try:
                refuse_over(limits_of(planned[0].member), limits)
            except CdpExportsError as error:
                over = error
            return [replace(one, error=over or _below(one)) for one in counted]
    except CdpExportsError as error:
        return [replace(one, error=error) for one in planned]


def _below(preview: Preview) -> CdpExportsError | None:
    if preview.member.to_audience and preview.counts and preview.counts.deleted:
        return None  # who leaves is sent all the same
    try:
        refuse_below(preview.limits)
    except CdpExportsError as error:
        return error
    return None
