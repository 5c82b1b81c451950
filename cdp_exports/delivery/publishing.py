"""Making a delivery visible, once: the manifest is created only where none is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.announcing import announce, is_announced
from cdp_exports.delivery.holding import Holding, superseded
from cdp_exports.delivery.member import Member
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DestinationRefused, InDoubt, LedgerBehind, Occupied, Skip
from cdp_exports.ledger.records import Attempt, Counts, Delivery, FileRecord, SourcePin, State

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination


def publish(
    member: Member,
    held: Holding,
    destination: FileDestination,
    delivery: Delivery,
    attempt: Attempt,
    counts: Counts,
    files: tuple[FileRecord, ...],
    sources: tuple[SourcePin, ...],
) -> Delivery:
    """Record the intent, create the manifest, record the commit.

    Raises:
        Skip: another attempt published first, or a later export time closed this one.
        DestinationRefused: the manifest was refused, so it is certain that nothing was published.
        InDoubt: the manifest that stood there is gone.
    """
    ledger, path = member.context.ledger, manifest.path_of(delivery.pin)
    document = manifest.published(delivery, attempt.id, counts, files, sources, ledger.now()).encode()
    held.write(lambda lease: ledger.publishing(lease, attempt.id, counts))
    held.check()
    try:
        created = destination.create(path, document)
        settled = None if created else settle(member, destination, delivery)
    except (DestinationRefused, Occupied):
        held.write(lambda lease: ledger.reopen(lease, delivery.id))
        raise
    if created:
        now = member.delivery(delivery.export_time) if is_announced(member, delivery) else None
        if now is not None and now.state is State.PUBLISHING and now.attempt_id == attempt.id:  # else whoever decided it announced it
            announce(member, destination, delivery, document)
        return _commit(member, destination, delivery, attempt, counts, files)
    if settled is None:
        raise in_doubt(member, delivery)
    if settled.attempt_id != attempt.id:
        raise superseded()
    return settled


def _commit(
    member: Member, destination: FileDestination, delivery: Delivery, attempt: Attempt, counts: Counts, files: tuple[FileRecord, ...]
) -> Delivery:
    try:
        return member.context.ledger.commit(delivery.id, attempt.id, counts=counts, files=files, run_id=attempt.run_id)
    except Skip:
        # It had been decided while this attempt stood still, and the receiver has taken what was delivered: a second
        # manifest would have it delivered twice.
        destination.delete([manifest.path_of(delivery.pin)])
        raise


def settle(member: Member, destination: FileDestination, delivery: Delivery) -> Delivery | None:
    """Bring the ledger up to what the destination shows of an open delivery: committed if its manifest is there.

    Returns None where no manifest is there.

    Raises:
        Skip: a void manifest closed it.
        LedgerBehind: the ledger was restored from a backup, and does not know what was delivered there.
        Occupied: the manifest is of somebody else.
        NotIntact: it cannot be read.
    """
    path = manifest.path_of(delivery.pin)
    content = destination.read(path)
    if content is None:
        return None
    found = manifest.decode(content, destination.uri(path))
    if not member.owns(found):
        raise Occupied(
            f"{destination.uri(path)} is of {found.environment} / {found.export} / {found.member}.",
            next_step="Give this export a folder of its own, and run a new export time.",
        )
    if found.covered_by is not None:
        member.context.ledger.cover(delivery.id, ExportTime.parse(found.covered_by))
        raise covered(found.covered_by)
    attempts = {attempt.id: attempt for attempt in member.context.ledger.attempts(delivery.id)}
    attempt = attempts.get(found.attempt or "")
    files = manifest.files_of(found, delivery.pin.folder)
    if found.delivery != delivery.id or attempt is None or not _same_files(files, attempt.files):
        raise LedgerBehind(
            f"{destination.uri(path)} is of a delivery that this ledger did not see: it was restored from a backup, or replaced.",
            next_step=f"Mend the ledger with `cdp-exports adopt {member.export_id}`.",
        )
    announce(member, destination, delivery, content)
    return member.context.ledger.commit(delivery.id, attempt.id, counts=manifest.counts_of(found), files=files, run_id=attempt.run_id)


def _same_files(listed: tuple[FileRecord, ...], written: tuple[FileRecord, ...]) -> bool:
    """All of them, each as the ledger saw it written, or none."""
    return {file.path: file.sha256 for file in listed} == {file.path: file.sha256 for file in written}


def covered(by: str) -> Skip:
    """What a run of an export time ends with whose rows went with a later one."""
    return Skip(
        f"Its rows went, or will go, with the delivery of {by}.",
        next_step="Nothing to do: nothing is missing.",
        reason="covered_by",
    )


def in_doubt(member: Member, delivery: Delivery) -> InDoubt:
    """What a run ends with where publishing was begun and nothing is there now."""
    command = f"cdp-exports resolve {member.export_id} --member {member.id} --at {delivery.export_time}"
    return InDoubt(
        f"Publishing the delivery of {delivery.export_time} was begun and no manifest of it is there:"
        " either it never was, or the receiver has already taken the files.",
        next_step=f"Ask the receiver. If they have the files: `{command} --delivered`; if not: `{command} --resend`.",
    )
