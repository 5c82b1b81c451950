"""What an audience destination would be told next, and why: always the difference between whom it holds and whom it should."""

from __future__ import annotations

from cdp_exports.delivery import held
from cdp_exports.delivery.audience_pins import bytes_of, columns_of, fresh_pins, list_pins, mapping_of
from cdp_exports.delivery.chains import Plan, changed, definition_of, full_after_loss, refuse_new_chain
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.members_memory import receiver_of
from cdp_exports.delivery.pinned_audience import plain
from cdp_exports.delivery.pinning import pin_of, source_pin
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import ChainChanged, HistoryLost
from cdp_exports.increments.increment import Changes, Full, Nothing, increment
from cdp_exports.ledger.records import Delivery, SourcePin
from cdp_exports.segments.audience import Audience, Way

_COMPARED = "evaluation"

_DIFFERENCE = "Those who should be there are compared with whom the receiver holds."


def plan_members(member: Member, upstream: Upstream, export_time: ExportTime, *, full: bool) -> Plan:
    """Decide against what the receiver's members are compared, and whether all of them are sent again.

    Raises:
        HistoryLost: a table was recreated or rewound, or the state is gone, and the export says `on_history_lost: fail`.
        ChainChanged: the declaration changed and the export says `on_change: fail`.
        SourceUnreadable, DeclarationError, TransientError: as the parts find.
    """
    audience, last = member.audience, member.last_committed()
    assert audience is not None
    definition = definition_of(member)
    reason, resent = _begins_anew(member, last, full=full), _sent_again(member, last, full=full)
    pins: tuple[SourcePin, ...] | None = None
    if reason is None and last is not None:
        try:
            held.refuse_if_lost(member.context.open_state(), member.chain_up_to(last))
        except HistoryLost as lost:
            reason = "asked for with --full" if full else full_after_loss(member, lost)
    if reason is None and last is not None:
        try:
            pins = _continued(member, audience, upstream, last, ask=resent is None)
        except HistoryLost as lost:  # whom the receiver holds is known all the same, so that those who are gone leave
            resent = full_after_loss(member, lost)
            pins = _continued(member, audience, upstream, last, ask=False)
    way = Way.RESENT if resent else Way.COMPARED
    why = f"Everybody is sent again, and who should not be there leaves: {resent}." if resent else _DIFFERENCE
    pin = pin_of(
        member,
        export_time,
        definition,
        pins or fresh_pins(member, audience, upstream),
        columns=columns_of(member, audience),
        incremental=pins is not None,
        reason=why if pins is not None else reason,
        mapping=mapping_of(audience),
        way=way.value if pins is not None else None,
        audience=plain(audience),
    )
    if pins is not None and last is not None:
        pin = pin.model_copy(update={"folder": last.pin.folder, "owner_folder": last.pin.folder})  # a renamed segment keeps its audience
    head, estimate = upstream.head(audience.of), bytes_of(audience, upstream)
    if pins is None:
        return Plan(Full(head.version), head, None, pin, None, estimate)
    unmoved = all((source.after_version, source.after_commit) == (source.upto_version, source.upto_commit) for source in pins)
    wanted = Nothing(head.version) if unmoved and way is Way.COMPARED else Changes(pins[0].after_version or 0, head.version)
    return Plan(wanted, head, last, pin, None, estimate)


def _begins_anew(member: Member, last: Delivery | None, *, full: bool) -> str | None:
    """Why a new chain begins, with an audience that holds nobody; None where it goes on.

    Raises:
        ChainChanged: the export says `on_change: fail`; or this audience was filled before, so that somebody may be in it.
    """
    if last is None:
        return "first delivery"
    said = changed(last, receiver_of(member))
    if said is None:
        return None
    if full:
        return f"changed: {said}"
    refuse_new_chain(member, said)
    if (before := _filled_before(member)) is not None:
        raise ChainChanged(
            f"{member.audience_name} is filled again: {said}. It still has those who were sent there up to {before.export_time}, "
            "and whoever left since then would stay.",
            next_step="Take another `audience_name`; or empty that audience at the receiver, then deliver everybody once: "
            f"`cdp-exports run {member.export_id} --member {member.id} --full`.",
        )
    return f"changed: {said}"


def _filled_before(member: Member) -> Delivery | None:
    """The last delivery to the audience that is named now."""
    committed = member.context.ledger.committed(member.environment, member.exports, member.members)
    there = [one for one in committed if (one.pin.target, one.pin.folder) == (member.place, member.audience_name)]
    return max(there, key=lambda one: one.export_time, default=None)


def _sent_again(member: Member, last: Delivery | None, *, full: bool) -> str | None:
    """Why everybody is sent again, None where it is not."""
    if last is None:
        return None
    if full:
        return "asked for with --full"
    ledger = member.context.ledger
    if any(one.pin.way == Way.RESENT for one in ledger.covered_since(member.environment, member.exports, member.members, last.export_time)):
        return "an earlier delivery that was to do so was not finished"  # it may have made the audience anew
    if (said := changed(last, definition_of(member))) and member.export.on_change != "difference":
        refuse_new_chain(member, said)
        return f"changed: {said}"
    return None


def _continued(member: Member, audience: Audience, upstream: Upstream, last: Delivery, *, ask: bool) -> tuple[SourcePin, ...]:
    """`ask`: whether a table that was recreated or rewound stops it: everybody could leave by mistake.

    Raises:
        HistoryLost: a table is no longer the one that was read.
    """
    before = {pin.dataset: pin for pin in last.pin.sources}
    pins: list[SourcePin] = []
    for dataset in audience.datasets:
        was, head = before.get(dataset) or before.get(member.context.catalog.datasets[dataset].formerly or ""), upstream.head(dataset)
        if was is not None and ask:
            increment(was, head)
        pins.append(source_pin(dataset, head, after=was, change_source=_COMPARED))
    return (*pins, *list_pins(member, audience))
