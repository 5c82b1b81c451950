"""Who of a segment a new delivery would carry, how that is found, and why. Deciding changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cdp_exports.delivery import held
from cdp_exports.delivery.audience_pins import bytes_of, columns_of, fresh_pins, list_pins, mapping_of
from cdp_exports.delivery.chains import Plan, changed, definition_of, full_after_loss, reason_for_full, refuse_new_chain
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.pinned_audience import pinned_audience, plain, same_dataset
from cdp_exports.delivery.pinning import pin_of, source_pin
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import HistoryLost
from cdp_exports.increments.increment import Changes, Full, Nothing, increment, same_history
from cdp_exports.ledger.records import Delivery, SourcePin
from cdp_exports.segments.audience import Audience, Way

_RECEIVER = ("target", "path", "key", "mode")
"""A change of these is another receiver's matter, which holds nothing yet."""

_COMPARED = "evaluation"
"""The change source of an increment that is found by evaluating everybody."""


@dataclass(frozen=True)
class _Continued:
    sources: tuple[SourcePin, ...]
    way: Way
    why: str
    bytes_estimate: int


def plan_audience(member: Member, upstream: Upstream, export_time: ExportTime, *, full: bool) -> Plan:
    """Decide the increment since the last committed delivery, and the way to find it.

    Raises:
        HistoryLost: a table was recreated or rewound, or the state is gone, and the export says `on_history_lost: fail`.
        ChainChanged: the declaration changed and the export says `on_change: fail`.
        SourceUnreadable, DeclarationError, TransientError: as the parts find.
    """
    audience = member.audience
    assert audience is not None
    last = member.last_committed()
    definition = definition_of(member)
    reason = reason_for_full(member, last, full=full)
    difference: str | None = None
    if reason is None and last is not None and (said := _changed(member, audience, last, definition)):
        if member.export.on_change == "difference" and _same_receiver(audience, last, definition) and last.counts and last.counts.held:
            difference = said
        else:
            refuse_new_chain(member, said)
            reason = f"changed: {said}"
    if reason is None and last is not None and not (last.counts and last.counts.held):
        reason = "what the receiver holds was not kept"
    continued: _Continued | None = None
    if reason is None and last is not None:
        try:
            continued = _continue(member, audience, upstream, last, difference)
        except HistoryLost as lost:
            reason = full_after_loss(member, lost)
    head = upstream.head(audience.of)
    sources = continued.sources if continued else fresh_pins(member, audience, upstream)
    pin = pin_of(
        member,
        export_time,
        definition,
        sources,
        columns=columns_of(member, audience),
        incremental=continued is not None,
        reason=continued.why if continued else reason,
        mapping=mapping_of(audience),
        way=continued.way.value if continued else None,
        audience=plain(audience),
    )
    if continued is None:
        return Plan(Full(head.version), head, None, pin, None, bytes_of(audience, upstream))
    own = sources[0]
    unmoved = all((source.after_version, source.after_commit) == (source.upto_version, source.upto_commit) for source in sources)
    wanted = Nothing(head.version) if unmoved else Changes(own.after_version or 0, own.upto_version)
    return Plan(wanted, head, last, pin, None, continued.bytes_estimate)


def _changed(member: Member, audience: Audience, last: Delivery, definition: dict[str, Any]) -> str | None:
    earlier = pinned_audience(last.pin)
    contacts = (earlier.contacts if earlier else None, audience.contacts)
    tables = [("members", last.pin.sources[0].dataset, audience.of)]
    tables += [("contacts", contacts[0].dataset, contacts[1].dataset)] if contacts[0] and contacts[1] else []
    said = [f"its {what} were of {was!r} and are of {now!r}" for what, was, now in tables if not same_dataset(member, was, now)]
    return ", ".join(filter(None, (*said, changed(last, definition)))) or None


def _same_receiver(audience: Audience, last: Delivery, definition: dict[str, Any]) -> bool:
    """Whether what the receiver holds can be compared with what it would be sent now: by the same key, or the same identities."""
    earlier = pinned_audience(last.pin)
    if earlier is None or changed(last, {name: definition[name] for name in _RECEIVER}):
        return False
    return earlier.of == audience.of and _told_by(earlier) == _told_by(audience)


def _told_by(audience: Audience) -> tuple[object, ...]:
    contacts = audience.contacts and (audience.contacts.how, audience.contacts.key)
    identities = tuple((field.name, field.expression.sql) for field in audience.fields if field.identity)
    return contacts, audience.key_names, identities if audience.by_identity else ()


def _continue(member: Member, audience: Audience, upstream: Upstream, last: Delivery, difference: str | None) -> _Continued:
    """Go on from the last committed delivery.

    Raises:
        HistoryLost: a table is no longer the one that was read, or what the receiver holds was lost.
    """
    held.refuse_if_lost(member.context.open_state(), member.chain_up_to(last))
    before = {pin.dataset: pin for pin in last.pin.sources}
    pins: list[SourcePin] = []
    for dataset in audience.datasets:
        was, head = before.get(dataset) or before.get(member.context.catalog.datasets[dataset].formerly or ""), upstream.head(dataset)
        if was is not None:
            increment(was, head)
        pins.append(source_pin(dataset, head, after=was, change_source=_COMPARED))
    way, why, estimate = _way(audience, upstream, last, pins[0], difference)
    if way is not Way.COMPARED:
        pins[0] = pins[0].model_copy(update={"change_source": why[1]})
        return _Continued((*pins, *list_pins(member, audience)), way, why[0], estimate)
    return _Continued((*pins, *list_pins(member, audience)), way, why[0], bytes_of(audience, upstream))


def _way(
    audience: Audience, upstream: Upstream, last: Delivery, own: SourcePin, difference: str | None
) -> tuple[Way, tuple[str, str | None], int]:
    """The cheapest way that is right now: the way, why (and the change source), and the bytes of the changes."""
    if difference is not None:
        return Way.COMPARED, (f"the difference is sent, since this changed: {difference}", None), 0
    if audience.way is Way.COMPARED:
        return Way.COMPARED, (audience.way_reason, None), 0
    earlier = pinned_audience(last.pin)
    if earlier is None:
        return Way.COMPARED, ("the ledger was rebuilt, and no longer knows how the last delivery was evaluated", None), 0
    if not _same_guards(earlier, audience):
        return Way.COMPARED, ("consent, suppression or limits are others than at the last delivery", None), 0
    if own.after_version is None:
        return Way.COMPARED, ("the last delivery did not read this dataset", None), 0
    source = upstream.source(audience.of)
    if own.after_version == own.upto_version:
        return audience.way, (audience.way_reason, None), 0
    try:
        same_history(_as_delivered(own), source.at(own.after_version))
        found = source.difference(own.after_version, own.upto_version)
    except HistoryLost as lost:
        if lost.reason == "source_rewound":
            raise
        return Way.COMPARED, (f"compared with what the receiver holds, since the table's history is gone: {lost.message}", None), 0
    if found.change_source == "delta-snapshots":
        return Way.COMPARED, ("neither a change feed nor the table's files tell what changed", None), 0
    return audience.way, (audience.way_reason, found.change_source), found.bytes_estimate


def _as_delivered(own: SourcePin) -> SourcePin:
    """What was delivered up to, as a pin."""
    assert own.after_version is not None
    assert own.after_commit is not None
    return own.model_copy(update={"upto_version": own.after_version, "upto_commit": own.after_commit})


def _same_guards(earlier: Audience, now: Audience) -> bool:
    """Whether what was withheld then was withheld by the same rules."""
    return (earlier.consents, earlier.suppressions, earlier.keep_by) == (now.consents, now.suppressions, now.keep_by)
