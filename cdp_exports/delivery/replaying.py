"""Writing a committed delivery once more: the same rows, another attempt. No chain moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.announcing import announce
from cdp_exports.delivery.attempt import Files, attempting
from cdp_exports.delivery.control import NAME as CONTROL
from cdp_exports.delivery.holding import Holding, holding
from cdp_exports.delivery.lasting import replaced_by
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.ownership import owner_of
from cdp_exports.delivery.rows import reading_of
from cdp_exports.delivery.sweeping import sweep
from cdp_exports.delivery.verifying import inspect
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, HistoryLost, NotCounted
from cdp_exports.ledger.records import Attempt, Counts, Delivery, State

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination


def replay(member: Member, export_time: ExportTime, *, run_id: str, replace: bool = False, to: str | None = None) -> Delivery:
    """Send a delivery again, to its own folder or `to` another below the connection's.

    Where the source no longer has the rows, the delivered files are copied, if they are still what was delivered.
    Returns the delivery with the files as they are now.

    Raises:
        DeclarationError: nothing was committed at this export time; or it is intact and `replace` was not said; or newer files have
            its names.
        HistoryLost: neither the source nor the destination has the rows any more.
    """
    if member.to_audience:
        raise DeclarationError(
            f"{member.export_id}/{member.id} goes to an audience, and what it was told then is not kept.",
            next_step=f"To tell it everybody again: `cdp-exports run {member.export_id} --member {member.id} --full`.",
        )
    with holding(member.context.ledger, member.environment, member.exports, run_id=run_id, export_time=export_time) as held:
        delivery = member.delivery(export_time)
        if delivery is None or delivery.state is not State.COMMITTED:
            raise DeclarationError(
                f"{member.export_id}/{member.id} has no committed delivery at {export_time}.",
                next_step="`cdp-exports history` shows those there are.",
            )
        if to is None and (newer := replaced_by(member, delivery)) is not None:
            raise DeclarationError(
                f"The files of {export_time} were replaced by those of {newer}, and older rows would take the place of newer ones.",
                next_step="Say `--to FOLDER` to write it elsewhere.",
            )
        found = inspect(member, delivery, against_source=False) if to is None and not replace else None
        if found is not None and not found.differences and not found.over:
            raise DeclarationError(
                f"The delivery of {export_time} is intact at the destination.",
                next_step="Say `--replace` to write it again all the same, or `--to FOLDER` to write it elsewhere.",
            )
        if to is not None:
            _refuse_folder(member, member.destination_of(delivery.pin), to)
        with attempting(member, held, delivery, run_id=run_id, folder=to) as (attempt, files):
            return _send(member, held, delivery, attempt, files, to)


def _send(member: Member, held: Holding, delivery: Delivery, attempt: Attempt, files: Files, to: str | None) -> Delivery:
    ledger, destination = member.context.ledger, files.destination
    counts = _write(member, delivery, files)
    files.keep()
    records = tuple(files.records)
    if to is None:
        held.write(lambda lease: ledger.replace(lease, delivery.id, attempt.id, counts=counts, files=records, run_id=attempt.run_id))
        replaced = _put_manifest(member, destination, delivery.export_time)
        sweep(member, held)
        return replaced
    pin = delivery.pin.model_copy(update={"folder": to, "manifest": None, "overwrite": False, "keep_for": None})
    copy = delivery.model_copy(update={"pin": pin, "counts": counts, "files": records, "attempt_id": attempt.id})
    if not destination.create(manifest.path_of(copy.pin), _manifest(member, copy)):
        raise DeclarationError(f"{destination.uri(to)} holds a delivery already.", next_step="Name another folder.")
    ledger.end_attempt(attempt.id, "committed")
    return copy


def _put_manifest(member: Member, destination: FileDestination, export_time: ExportTime) -> Delivery:
    """Show what the ledger holds. If this run stood still and another replay came between, the ledger's word is put again."""
    while True:
        delivery = member.delivery(export_time)
        assert delivery is not None
        document = _manifest(member, delivery)
        destination.put(manifest.path_of(delivery.pin), document)
        announce(member, destination, delivery, document)
        now = member.delivery(export_time)
        if now is not None and now.attempt_id == delivery.attempt_id:
            return delivery


def _manifest(member: Member, delivery: Delivery) -> bytes:
    assert delivery.counts is not None
    assert delivery.attempt_id is not None
    at = member.context.ledger.now()
    return manifest.published(delivery, delivery.attempt_id, delivery.counts, delivery.files, delivery.pin.sources, at).encode()


def _refuse_folder(member: Member, destination: FileDestination, to: str) -> None:
    """A copy stands where nothing is ever delivered."""
    if any(destination.list(f"{to}/{CONTROL}")):
        raise DeclarationError(f"{destination.uri(to)} is a folder that exports deliver into.", next_step="Name another folder.")
    parts = to.split("/")
    for depth in range(1, len(parts) + 1):
        parent = "/".join(parts[:depth])
        if owner_of(destination, parent) is not None:
            raise DeclarationError(f"{destination.uri(parent)} belongs to an export.", next_step="Name a folder outside of it.")


def _write(member: Member, delivery: Delivery, files: Files) -> Counts:
    """The rows again from the source, else the delivered files themselves; how they count now.

    Who must not be sent any more is left out, so that a segment may count fewer. What the receiver holds is not changed
    by that: the next delivery tells them to leave.
    """
    assert delivery.counts is not None
    guarded = member.audience is not None and bool(member.audience.guards)
    try:
        with reading_of(member, delivery, withhold=True) as reading:
            files.write(reading)
            counts = reading.counts(sum(file.rows or 0 for file in files.records))
    except HistoryLost as lost:
        if guarded:
            raise HistoryLost(
                f"{lost.message} The delivered files cannot be copied either: consent and suppression are judged anew.",
                next_step="This delivery cannot be written again; the next one goes on from it all the same.",
                reason=lost.reason,
            ) from None
        _copy(delivery, files, lost)
        return delivery.counts
    counts = counts.model_copy(update={name: getattr(delivery.counts, name) for name in ("funnel", "movement", "held")})
    if counts != delivery.counts and not guarded:
        raise NotCounted(
            "The source gave other rows for these versions than were delivered.",
            next_step="Nothing was replaced. Compare with `cdp-exports verify`.",
        )
    return counts


def _copy(delivery: Delivery, files: Files, lost: HistoryLost) -> None:
    for file in delivery.files:
        chunks = None if file.removed else files.destination.stream(file.path)
        if chunks is None:
            raise HistoryLost(
                f"{lost.message} And {file.path} is no longer at the destination.",
                next_step="This delivery cannot be written again; the next one goes on from it all the same.",
                reason=lost.reason,
            ) from None
        files.copy(file, chunks)
