"""Which rows of a dataset a new delivery would carry, and why. Deciding changes nothing."""

from __future__ import annotations

from typing import Any

from cdp_exports.delivery.chains import Plan, changed, definition_of, full_after_loss, reason_for_full, refuse_new_chain
from cdp_exports.delivery.dataset_rows import schema_of
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.pinning import pin_of, source_pin
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import HistoryLost
from cdp_exports.increments.increment import Full, Nothing, increment, same_history
from cdp_exports.ledger.records import Delivery
from cdp_exports.sources.source import Head


def plan_dataset(member: Member, upstream: Upstream, export_time: ExportTime, *, full: bool) -> Plan:
    """Decide the increment since the last committed delivery.

    Raises:
        HistoryLost: the source lost what the increment needs and the export says `on_history_lost: fail`.
        ChainChanged: the declaration changed and the export says `on_change: fail`.
        SourceUnreadable, CannotHold, DeclarationError, TransientError: as the parts find.
    """
    source, head = upstream.source(member.id), upstream.head(member.id)
    last = member.last_committed()
    definition = definition_of(member)
    reason = reason_for_full(member, last, full=full)
    if reason is None and last is not None and (said := _changed(member, last, head, definition)):
        refuse_new_chain(member, said)
        reason = f"changed: {said}"
    if reason is None and last is not None:
        try:
            return _continue(member, upstream, last, export_time, definition)
        except HistoryLost as lost:
            reason = full_after_loss(member, lost)
    rows = source.rows(head.version)
    columns = schema_of(member, source, head.version)
    pin = pin_of(member, export_time, definition, [source_pin(member.id, head)], columns=columns, incremental=False, reason=reason)
    return Plan(Full(head.version), head, None, pin, rows.expected, rows.bytes_estimate)


def _changed(member: Member, last: Delivery, head: Head, definition: dict[str, Any]) -> str | None:
    said = changed(last, definition)
    if "membership" in last.pin.definition:  # it went like a segment: who was left out then is in no version's difference
        said = ", ".join(filter(None, (said, "consent was required and is not")))
    was, now = last.pin.table_uri, member.dataset.source.uri
    if was is not None and was != now and last.pin.sources[0].table_id != head.table_id:  # the same table elsewhere goes on
        return ", ".join(filter(None, (said, f"table was {was!r} and is {now!r}")))
    return said


def _continue(member: Member, upstream: Upstream, last: Delivery, export_time: ExportTime, definition: dict[str, Any]) -> Plan:
    """Go on from the last committed delivery."""
    source, head = upstream.source(member.id), upstream.head(member.id)
    before = last.pin.sources[0]
    wanted = increment(before, head)
    change_source, estimate = None, 0
    if not isinstance(wanted, Nothing):
        same_history(before, source.at(before.upto_version))
        difference = source.difference(before.upto_version, head.version)
        change_source, estimate = difference.change_source, difference.bytes_estimate
    pin = pin_of(
        member,
        export_time,
        definition,
        [source_pin(member.id, head, after=before, change_source=change_source)],
        columns=schema_of(member, source, head.version),
        incremental=True,
        reason=None,
    )
    return Plan(wanted, head, last, pin, 0 if change_source is None else None, estimate)
