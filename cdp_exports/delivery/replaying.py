"""Writing a committed delivery once more: the same rows, another attempt. No chain moves."""

from __future__ import annotations

from cdp_exports.delivery import manifest
from cdp_exports.delivery.attempt import Files, attempting
from cdp_exports.delivery.holding import Holding, holding
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.rows import reading_of
from cdp_exports.delivery.sweeping import sweep
from cdp_exports.delivery.verifying import inspect
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, HistoryLost, NotCounted
from cdp_exports.ledger.records import Attempt, Delivery, State


def replay(member: Member, export_time: ExportTime, *, run_id: str, replace: bool = False, to: str | None = None) -> Delivery:
    """Send a delivery again, to its own folder or `to` another below the connection's.

    Where the source no longer has the rows, the delivered files are copied, if they are still what was delivered.
    Returns the delivery with the files as they are now.

    Raises:
        DeclarationError: nothing was committed at this export time; or it is intact and `replace` was not said.
        HistoryLost: neither the source nor the destination has the rows any more.
    """
    with holding(member.context.ledger, member.environment, member.export_id, run_id=run_id, export_time=export_time) as held:
        delivery = member.delivery(export_time)
        if delivery is None or delivery.state is not State.COMMITTED:
            raise DeclarationError(
                f"{member.export_id}/{member.id} has no committed delivery at {export_time}.",
                next_step="`cdp-exports history` shows those there are.",
            )
        if to is None and not replace and not inspect(member, delivery, against_source=False).differences:
            raise DeclarationError(
                f"The delivery of {export_time} is intact at the destination.",
                next_step="Say `--replace` to write it again all the same, or `--to FOLDER` to write it elsewhere.",
            )
        with attempting(member, held, delivery, run_id=run_id, folder=to) as (attempt, files):
            return _send(member, held, delivery, attempt, files, to)


def _send(member: Member, held: Holding, delivery: Delivery, attempt: Attempt, files: Files, to: str | None) -> Delivery:
    ledger, destination = member.context.ledger, files.destination
    assert delivery.counts is not None
    _write(member, delivery, files)
    records = tuple(files.records)
    folder = to or delivery.pin.folder
    moved = delivery.model_copy(
        update={"pin": delivery.pin.model_copy(update={"folder": folder}), "files": records, "attempt_id": attempt.id}
    )
    document = manifest.published(moved, attempt.id, delivery.counts, records, delivery.pin.sources, ledger.now()).encode()
    held.check()
    files.keep()
    if to is None:
        destination.put(manifest.path_of(folder), document)
        ledger.replace(delivery.id, attempt.id, files=records, run_id=attempt.run_id)
        sweep(member)
    elif destination.create(manifest.path_of(folder), document):
        ledger.end_attempt(attempt.id, "committed")
    else:
        raise DeclarationError(f"{destination.uri(folder)} holds a delivery already.", next_step="Name another folder.")
    return moved


def _write(member: Member, delivery: Delivery, files: Files) -> None:
    """The rows again from the source, else the delivered files themselves."""
    try:
        with reading_of(member, delivery.pin) as reading:
            files.write(reading)
            counts = reading.counts(sum(file.rows or 0 for file in files.records))
    except HistoryLost as lost:
        for file in delivery.files:
            chunks = files.destination.stream(file.path)
            if chunks is None:
                raise HistoryLost(
                    f"{lost.message} And {file.path} is no longer at the destination.",
                    next_step="This delivery cannot be written again; the next one goes on from it all the same.",
                    reason=lost.reason,
                ) from None
            files.copy(file, chunks)
        return
    if counts != delivery.counts:
        raise NotCounted(
            "The source gave other rows for these versions than were delivered.",
            next_step="Nothing was replaced. Compare with `cdp-exports verify`.",
        )
