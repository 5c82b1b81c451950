"""What became of one profile, account or row in each delivery: sent, left out and why, or no member at all.

The state folder knows, where it is kept; else the segment is evaluated once more at the pinned versions; else the
delivered files are searched. The key is personal data: no message holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from cdp_exports.delivery.member import Member, is_to_audience
from cdp_exports.delivery.pinned_audience import pinned_audience
from cdp_exports.delivery.searching import delivered_rows
from cdp_exports.delivery.standing import Standing, Standings, is_in_dataset, judged, kept, rows_at
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports.increments.net import CHANGE_TYPE
from cdp_exports.ledger.records import Delivery
from cdp_exports.segments.audience import Audience

What = Literal[
    "entered", "updated", "exited", "inserted", "deleted", "unchanged", "left_out", "not_a_member", "not_in_dataset", "not_sent", "unknown"
]
KnownBy = Literal["state", "evaluation", "table", "files", "ledger"]

_OUTCOME_OF_SEGMENT = ("entered", "updated", "exited")
_OF_ROWS: dict[What, What] = {"entered": "inserted", "exited": "deleted", "not_a_member": "not_in_dataset"}
_NOBODY: Standings = {}
_KINDS: dict[str, What] = {"insert": "inserted", "update": "updated", "delete": "deleted"}


@dataclass(frozen=True)
class Fate:
    """One key in one delivery.

    `what`: entered, updated, exited (of datasets: inserted, updated, deleted), unchanged (the receiver holds it from
    earlier), left_out, not_a_member, not_in_dataset, not_sent (in this delivery; more is not known), unknown. `reason`: why
    it exited or was left out. `sent`: whether a row of it is in the delivery; None: not known. `known_by`: state (folder),
    evaluation (once more), table (its pinned versions), (delivered) files, ledger; None: nothing tells. `contact`: the key
    of an exploded contact.
    """

    delivery: Delivery
    what: What
    reason: str | None = None
    sent: bool | None = False
    known_by: KnownBy | None = None
    contact: tuple[str, ...] = ()


def explain(member: Member, key: Sequence[str], *, export_time: ExportTime | None = None, limit: int = 20) -> Iterator[Fate]:
    """What became of a key in the member's committed deliveries, newest first: in `limit` of them, or in that of an export time.

    Of exploded contacts the account's key is enough; then each of its contacts has a Fate.

    Raises:
        DeclarationError: no delivery at this export time; a key with too few or too many values, or of another type.
        CdpExportsError: as evaluating and the destination fail.
    """
    member = replace(member, context=replace(member.context, open_source=cache(member.context.open_source)))
    committed = member.context.ledger.committed(member.environment, member.exports, member.members)
    asked = [delivery for delivery in committed if export_time in (None, delivery.export_time)][-limit:][::-1]
    if export_time is not None and not asked:
        raise DeclarationError(
            f"{member.export_id}/{member.id} has no committed delivery at {export_time}.",
            next_step="`cdp-exports history` shows those there are, and what ended otherwise.",
        )
    names = key_columns(member)
    least = len(member.dataset.key)
    if not least <= len(key) <= len(names) or not names:
        named = ", ".join(names) or "none"
        raise DeclarationError(
            f"The key of {member.id} has the columns {named}; {len(key)} values were given.",
            next_step="Give one value for each, in this order."
            if names
            else f"Declare the key in datasets/{member.id}.yaml: the columns that name a row.",
        )
    if member.audience is None:
        yield from _dataset(member, key, asked)
    elif member.export.kind == "segment":
        yield from _segment(member, key, committed, asked)
    else:  # a dataset of which only those leave who consent is delivered like a segment
        for fate in _segment(member, key, committed, asked):
            yield replace(fate, what=_OF_ROWS.get(fate.what, fate.what))


def key_columns(member: Member) -> tuple[str, ...]:
    """What names a row that is sent: columns of the dataset's key, then of exploded contacts."""
    contacts = member.audience and member.audience.contacts
    return (*member.dataset.key, *(contacts.key if contacts and contacts.how == "explode" else ()))


# segments
def _segment(member: Member, key: Sequence[str], committed: Sequence[Delivery], asked: Sequence[Delivery]) -> Iterator[Fate]:
    standings: dict[str, Standings] = {}
    for chain in dict.fromkeys(delivery.chain for delivery in asked):
        if not member.to_audience:  # whose state is by what the receiver tells people apart by
            standings |= kept(member, [delivery for delivery in committed if delivery.chain == chain], key)
    earlier = {(delivery.chain, delivery.sequence): delivery for delivery in committed}
    for delivery in asked:
        before = earlier.get((delivery.chain, delivery.sequence - 1))
        yield from _of_segment(member, key, delivery, before, standings)


def _of_segment(member: Member, key: Sequence[str], delivery: Delivery, before: Delivery | None, kept_: dict[str, Standings]) -> list[Fate]:
    full = delivery.pin.mode == "full"
    if is_to_audience(delivery.pin):
        return _of_audience(member, key, delivery, before)
    if delivery.id in kept_ and (full or (before and before.id in kept_)):
        was = _NOBODY if full or before is None else kept_[before.id]
        return _compared(member, key, delivery, was, kept_[delivery.id], "state")
    guarded = (audience := pinned_audience(delivery.pin)) is None or bool(audience.guards)
    if not guarded or full:
        if guarded and (sent := _searched(member, key, delivery)) and sent[0].sent is not False:
            return sent  # whoever consented then may not now, so that only the files know who was sent
        now = judged(member, delivery, key)
        was = _NOBODY if full or before is None else kept_[before.id] if before.id in kept_ else judged(member, before, key)
        if now is not None and was is not None:
            if guarded:
                now = {contact: _not_sent_then(standing) for contact, standing in now.items()}
            return _compared(member, key, delivery, was, now, "evaluation")
    return _searched(member, key, delivery)


def _of_audience(member: Member, key: Sequence[str], delivery: Delivery, before: Delivery | None) -> list[Fate]:
    """Evaluated once more, with consent and suppression as they are now; whom the receiver rejected is not told."""
    now = judged(member, delivery, key)
    was = _NOBODY if before is None else judged(member, before, key)
    if now is None or was is None:
        return [Fate(delivery, "unknown", sent=None)]
    return _compared(member, key, delivery, was, now, "evaluation")


def _not_sent_then(standing: Standing) -> Standing:
    """Of somebody who would be sent now and was not: what is read at its head decided otherwise then."""
    return standing if standing.reason else Standing(standing.fingerprint, "consent_or_suppression")


def _compared(member: Member, key: Sequence[str], delivery: Delivery, was: Standings, now: Standings, known_by: KnownBy) -> list[Fate]:
    """A Fate for every contact that is or was a member; where there is none, one that says so."""
    send = _send(delivery)
    fates = [_fate(member, key, delivery, was.get(contact), now.get(contact), contact, known_by, send) for contact in sorted({*was, *now})]
    return fates or [Fate(delivery, *_absent(member, key, delivery), known_by=known_by)]


def _fate(
    member: Member,
    key: Sequence[str],
    delivery: Delivery,
    was: Standing | None,
    now: Standing | None,
    contact: tuple[str, ...],
    known_by: KnownBy,
    send: frozenset[str],
) -> Fate:
    held, holds = was is not None and was.reason is None, now is not None and now.reason is None
    what: What
    reason: str | None = None
    if holds:
        changed = was is not None and now is not None and was.fingerprint != now.fingerprint
        what = "entered" if not held else "updated" if changed else "unchanged"
    elif held:
        what = "exited"
        reason = now.reason if now else {True: "left_segment", False: "deleted", None: None}[is_in_dataset(member, delivery, key)]
    elif now is not None:
        what, reason = "left_out", now.reason
    else:
        what, reason = _absent(member, key, delivery)
    return Fate(delivery, what, reason, what in send, known_by, contact)


def _absent(member: Member, key: Sequence[str], delivery: Delivery) -> tuple[What, str | None]:
    """Of who is no member: whether the dataset knows it. Accounts without a contact have no row where contacts are exploded."""
    there = is_in_dataset(member, delivery, key)
    if there is False:
        return "not_in_dataset", None
    contacts = member.audience and member.audience.contacts
    if there and contacts and contacts.how == "explode":
        alone = (judged(member, delivery, key) or {}).get(())
        if alone is not None:
            return "left_out", alone.reason
    return "not_a_member", None


def _send(delivery: Delivery) -> frozenset[str]:
    """What this delivery sends of what it finds."""
    audience = pinned_audience(delivery.pin)
    return audience.send if audience and delivery.pin.mode == "incremental" else frozenset(_OUTCOME_OF_SEGMENT)


# datasets
def _dataset(member: Member, key: Sequence[str], asked: Sequence[Delivery]) -> Iterator[Fate]:
    for delivery in asked:
        (pin,) = delivery.pin.sources
        now = rows_at(member, pin.dataset, pin.upto_version, member.dataset.key, key)
        was = None if now is None else now.clear()
        if now is not None and pin.after_version is not None:
            was = rows_at(member, pin.dataset, pin.after_version, member.dataset.key, key)
        if now is None or was is None:
            yield from _searched(member, key, delivery)
            continue
        what: What = "not_in_dataset"
        if now.height and not was.height:
            what = "inserted"
        elif now.height:
            what = "unchanged" if now.equals(was) else "updated"
        elif was.height:
            what = "deleted"
        yield Fate(delivery, what, None, what == "inserted" or (what in _KINDS.values() and delivery.pin.changes == "all"), "table")


# the delivered files
def _searched(member: Member, key: Sequence[str], delivery: Delivery) -> list[Fate]:
    """What the files of a delivery tell; without them what the ledger tells."""
    if delivery.counts is not None and not delivery.counts.delivered:
        return [Fate(delivery, "not_sent", known_by="ledger")]
    audience = pinned_audience(delivery.pin)
    columns = _columns_of_key(member, delivery, audience)
    rows = delivered_rows(member, delivery, columns, key) if columns else None
    if rows is None or columns is None:
        return [Fate(delivery, "unknown", sent=None)]
    return [
        Fate(delivery, *_said(row, audience, member), sent=True, known_by="files", contact=tuple(row[name] for name in columns[len(key) :]))
        for row in rows
    ] or [Fate(delivery, "not_sent", known_by="files")]


def _columns_of_key(member: Member, delivery: Delivery, audience: Audience | None) -> tuple[str, ...] | None:
    """The key's columns as the files name them; None where the files have not all of them."""
    if member.audience is None:
        return delivery.pin.key
    names = key_columns(member)
    fields = {field.key: field.name for field in (audience or member.audience).fields if field.key}
    rest = iter((audience or member.audience).key_names)
    found = [fields.get(name) or next(rest, None) for name in names]
    columns = tuple(name for name in found if name)
    return columns if len(columns) == len(names) else None


def _said(row: Mapping[str, str], audience: Audience | None, member: Member) -> tuple[What, str | None]:
    """What a delivered row says of itself."""
    if member.audience is None:
        return _KINDS.get(row.get(CHANGE_TYPE, "insert"), "inserted"), None
    status = (audience or member.audience).status
    if status is None or status.column not in row:
        return "entered", None
    words: dict[str, What] = {status.entered: "entered", status.updated: "updated", status.exited: "exited"}
    return words.get(row[status.column], "entered"), row.get(status.reason) or None
