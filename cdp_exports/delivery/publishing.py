"""Making a delivery visible, once: the manifest is created only where none is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.holding import Holding, superseded
from cdp_exports.delivery.member import Member
from cdp_exports.errors import InDoubt, NotIntact, Occupied, Skip
from cdp_exports.ledger.records import Attempt, Counts, Delivery, FileRecord, SourcePin

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
        InDoubt: the manifest that stood there is gone.
    """
    ledger = member.context.ledger
    document = manifest.published(delivery, attempt.id, counts, files, sources, ledger.now())
    held.check()
    ledger.publishing(held.lease, attempt.id, counts)
    if destination.create(manifest.path_of(delivery.pin.folder), document.encode()):
        return ledger.commit(delivery.id, attempt.id, counts=counts, files=files, run_id=attempt.run_id)
    settled = settle(member, destination, delivery)
    if settled is None:
        raise in_doubt(member, delivery)
    if settled.attempt_id != attempt.id:
        raise superseded()
    return settled


def settle(member: Member, destination: FileDestination, delivery: Delivery) -> Delivery | None:
    """Bring the ledger up to what the destination shows of an open delivery: committed if its manifest is there.

    Returns None where no manifest is there.

    Raises:
        Skip: a void manifest closed it.
        Occupied: the manifest is another delivery's.
        NotIntact: the manifest's files are not those that the ledger saw written.
    """
    path = manifest.path_of(delivery.pin.folder)
    content = destination.read(path)
    if content is None:
        return None
    found = manifest.decode(content, destination.uri(path))
    if found.delivery != delivery.id:
        raise Occupied(
            f"{destination.uri(path)} belongs to another delivery ({found.export}/{found.member}, {found.delivery}).",
            next_step="If the ledger was replaced, rebuild it with `cdp-exports adopt`; else give this export a folder of its own.",
        )
    if found.covered_by is not None:
        closed_by = type(delivery.export_time).parse(found.covered_by)
        member.context.ledger.cover(delivery.id, closed_by)
        raise covered(str(closed_by))
    return _adopt(member, delivery, found)


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
        "Publishing was begun and no manifest is there: either it never was, or the receiver has already taken the files.",
        next_step=f"Ask the receiver. If they have the files: `{command} --delivered`; if not: `{command} --resend`.",
    )


def _adopt(member: Member, delivery: Delivery, found: manifest.Manifest) -> Delivery:
    """All the manifest's files together, each as the ledger saw it written, or none."""
    attempts = {attempt.id: attempt for attempt in member.context.ledger.attempts(delivery.id)}
    attempt = attempts.get(found.attempt or "")
    files = manifest.files_of(found, delivery.pin.folder)
    if attempt is None or {file.path: file.sha256 for file in files} != {file.path: file.sha256 for file in attempt.files}:
        raise NotIntact(
            "The manifest at the destination does not list the files that this ledger saw written.",
            next_step="The ledger or the destination was restored from a backup: compare them with `cdp-exports verify`.",
        )
    return member.context.ledger.commit(delivery.id, attempt.id, counts=manifest.counts_of(found), files=files, run_id=attempt.run_id)
