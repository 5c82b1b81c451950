"""Whether the next delivery goes on from the last one, and what a new chain would begin for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdp_exports.delivery.definition import SQL, digest_of
from cdp_exports.delivery.member import Member
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import ChainChanged, HistoryLost, LedgerBehind
from cdp_exports.increments.increment import Increment
from cdp_exports.ledger.records import Delivery, Pin
from cdp_exports.sources.source import Head


@dataclass(frozen=True)
class Plan:
    """A delivery not yet pinned. `pin.reason` says why it is a full, where it is one though the export is incremental."""

    increment: Increment
    head: Head
    previous: Delivery | None  # the last committed delivery that this one continues; None starts a chain
    pin: Pin
    rows_estimate: int | None  # None: not known before reading
    bytes_estimate: int


def definition_of(member: Member) -> dict[str, Any]:
    """What may not change within a chain, templates as written so that a rename is none."""
    export = member.export
    definition: dict[str, Any] = {
        "target": member.place,
        **({"audience_name": export.audience_name} if isinstance(export, SegmentExport) and member.to_audience else {"path": export.path}),
        "key": list(member.dataset.key),
        "mode": export.mode,
    }
    if isinstance(export, DatasetExport):
        definition["changes"] = export.changes
    return definition | dict(member.audience.definition if member.audience else {})


def reason_for_full(member: Member, last: Delivery | None, *, full: bool) -> str | None:
    """Why the next delivery must be a full, whatever was declared; None if it may continue the chain."""
    if member.export.mode == "full":
        return "mode: full"
    if last is None:
        return "first delivery"
    return "asked for with --full" if full else None


def changed(last: Delivery, definition: Mapping[str, Any]) -> str | None:
    """What of the definition is not as it was at the last delivery, as a phrase."""
    before = last.pin.definition
    said = [
        f"{key} was {before.get(key)!r} and is {value!r}" if isinstance(value, str) and key not in SQL else f"{key} changed"
        for key, value in definition.items()
        if before.get(key) not in (value, digest_of(value))
    ]
    return ", ".join(said) or None


def refuse_new_chain(member: Member, said: str) -> None:
    """Raises ChainChanged where the export says `on_change: fail`."""
    if member.export.on_change == "fail":
        raise ChainChanged(
            f"This would start a new chain: {said}.",
            next_step=f"Undo the change, or deliver everything once: `cdp-exports run {member.export_id} --member {member.id} --full`.",
        )


def full_after_loss(member: Member, lost: HistoryLost) -> str:
    """The reason of the full that follows lost history.

    Raises:
        HistoryLost: the export says `on_history_lost: fail`.
    """
    if member.export.on_history_lost == "fail":
        raise HistoryLost(
            lost.message,
            next_step=f"{lost.next_step} To deliver everything now:"
            f" `cdp-exports run {member.export_id} --member {member.id} --full`; to always do so: `on_history_lost: full`.",
            reason=lost.reason,
        ) from None
    return f"history_lost ({lost.reason}): {lost.message}"


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
