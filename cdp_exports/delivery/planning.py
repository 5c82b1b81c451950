"""What a new delivery would be: which rows, why, and where they go. Deciding changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cdp_exports.delivery.member import Member
from cdp_exports.delivery.rows import schema_of
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import ChainChanged, HistoryLost, LedgerBehind
from cdp_exports.increments.increment import Full, Increment, Nothing, increment, same_history
from cdp_exports.ledger.records import Delivery, Pin, SourcePin
from cdp_exports.sources.source import Head, Source


@dataclass(frozen=True)
class Plan:
    """A delivery not yet pinned. `reason` says why it is a full, where it is one though the export is incremental."""

    increment: Increment
    head: Head
    previous: Delivery | None  # the last committed delivery that this one continues; None starts a chain
    pin: Pin
    rows_estimate: int | None  # None: not known before reading
    bytes_estimate: int


def plan(member: Member, export_time: ExportTime, *, full: bool) -> Plan:
    """Decide the increment since the last committed delivery.

    Raises:
        HistoryLost: the source lost what the increment needs and the export says `on_history_lost: fail`.
        ChainChanged: the declaration changed and the export says `on_change: fail`.
        SourceUnreadable, CannotHold, DeclarationError, TransientError: as the parts find.
    """
    source = member.context.open_source(member.id)
    head = source.head()
    last = member.last_committed()
    definition = definition_of(member)
    reason = _reason_for_full(member, last, head, definition, full=full)
    if reason is None and last is not None:
        try:
            return _continue(member, source, head, last, export_time, definition)
        except HistoryLost as lost:
            if member.export.on_history_lost == "fail":
                raise HistoryLost(
                    lost.message,
                    next_step=f"{lost.next_step} To deliver the whole dataset now:"
                    f" `cdp-exports run {member.export_id} --member {member.id} --full`; to always do so: `on_history_lost: full`.",
                    reason=lost.reason,
                ) from None
            reason = f"history_lost ({lost.reason}): {lost.message}"
    rows = source.rows(head.version)
    pin = _pin(member, export_time, definition, source, head, after=None, change_source=None, reason=reason)
    return Plan(Full(head.version), head, None, pin, rows.expected, rows.bytes_estimate)


def _reason_for_full(member: Member, last: Delivery | None, head: Head, definition: dict[str, Any], *, full: bool) -> str | None:
    """Why the next delivery must be a full; None if it may continue the chain."""
    if member.export.mode == "full":
        return "mode: full"
    if last is None:
        return "first delivery"
    if full:
        return "asked for with --full"
    before = last.pin.definition
    changed = [f"{key} was {before.get(key)!r} and is {value!r}" for key, value in definition.items() if before.get(key) != value]
    was, now = last.pin.table_uri, member.dataset.source.uri
    if was is not None and was != now and last.pin.sources[0].table_id != head.table_id:  # the same table elsewhere goes on
        changed.append(f"table was {was!r} and is {now!r}")
    if not changed:
        return None
    said = ", ".join(changed)
    if member.export.on_change == "fail":
        raise ChainChanged(
            f"This would start a new chain: {said}.",
            next_step="Undo the change, or deliver the whole dataset once:"
            f" `cdp-exports run {member.export_id} --member {member.id} --full`.",
        )
    return f"changed: {said}"


def _continue(member: Member, source: Source, head: Head, last: Delivery, export_time: ExportTime, definition: dict[str, Any]) -> Plan:
    """Go on from the last committed delivery."""
    before = last.pin.sources[0]
    wanted = increment(before, head)
    if isinstance(wanted, Nothing):
        pin = _pin(member, export_time, definition, source, head, after=before, change_source=None, reason=None)
        return Plan(wanted, head, last, pin, 0, 0)
    same_history(before, source.at(before.upto_version))
    difference = source.difference(before.upto_version, head.version)
    pin = _pin(member, export_time, definition, source, head, after=before, change_source=difference.change_source, reason=None)
    return Plan(wanted, head, last, pin, None, difference.bytes_estimate)


def definition_of(member: Member) -> dict[str, Any]:
    """What may not change within a chain, templates as written so that a rename is none."""
    export = member.export
    return {
        "target": member.destination.place,
        "path": export.path,
        "key": list(member.dataset.key),
        "mode": export.mode,
        "changes": export.changes,
    }


def _pin(
    member: Member,
    export_time: ExportTime,
    definition: dict[str, Any],
    source: Source,
    head: Head,
    *,
    after: SourcePin | None,
    change_source: str | None,
    reason: str | None,
) -> Pin:
    export, catalog = member.export, member.context.catalog
    return Pin(
        mode="full" if after is None else "incremental",
        changes=export.changes,
        sources=(
            SourcePin(
                dataset=member.id,
                table_id=head.table_id,
                after_version=after.upto_version if after else None,
                after_commit=after.upto_commit if after else None,
                upto_version=head.version,
                upto_commit=head.commit,
                change_source=change_source,
            ),
        ),
        key=member.dataset.key,
        connection_id=export.connection,
        connection=catalog.connections[export.connection].model_dump(mode="json"),
        target=definition["target"],
        owner_folder=member.owner_folder(),
        folder=member.folder(export_time),
        file_name=export.file_name,
        format=export.format.model_dump(mode="json"),
        columns=schema_of(member, source, head.version),
        definition=definition,
        table_uri=member.dataset.source.uri,
        reason=reason,
    )


def refuse_if_ledger_is_behind(
    member: Member, known_to_dagster: ExportTime | None, newest_manifest: ExportTime | None, *, full: bool
) -> None:
    """A delivery that only the destination or Dagster remembers must not be sent again.

    Raises:
        LedgerBehind: the ledger was lost or restored from a backup.
    """
    last = member.last_committed()
    for place, newest in (("The destination", newest_manifest), ("Dagster", None if full else known_to_dagster)):
        if newest is not None and (last is None or newest > last.export_time):
            known = f"only up to {last.export_time}" if last else "none of this member's deliveries"
            raise LedgerBehind(
                f"{place} holds the delivery of {newest}, the ledger {known}.",
                next_step=f"Rebuild the ledger with `cdp-exports adopt {member.export_id}`; if the manifests are gone,"
                f" begin again with `cdp-exports run {member.export_id} --member {member.id} --full`.",
            )
