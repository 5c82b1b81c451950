"""Removing what attempts left behind that did not become the delivery: only files the ledger recorded, never a listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.member import Member
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Attempt, Delivery


def sweep(member: Member) -> None:
    """Remove the recorded files and open uploads of attempts that lost.

    What cannot be removed now stays recorded, and never fails a delivery that is done.
    """
    ledger = member.context.ledger
    try:
        for delivery, attempts in ledger.leftovers(member.environment, member.exports, member.members):
            destination = member.destination_of(delivery.pin)
            for attempt in attempts:
                _sweep_attempt(member, destination, delivery, attempt)
    except CdpExportsError:
        return


def _sweep_attempt(member: Member, destination: FileDestination, delivery: Delivery, attempt: Attempt) -> None:
    """An abandoned attempt may be alive and finish a file after this: it is forgotten only when a later delivery sweeps it again."""
    left = [file.path for file in attempt.files if not file.removed]
    listed = {path for folder in {path.rpartition("/")[0] for path in left} for path in _listed(destination, folder)}
    paths = [path for path in left if path not in listed]
    destination.delete(paths)
    if attempt.status != "abandoned" or _is_past(member, delivery):
        member.context.ledger.removed(attempt.id, paths)


def _listed(destination: FileDestination, folder: str) -> set[str]:
    """What the manifest that stands in this folder lists: whatever the ledger thinks, a receiver may rely on it."""
    path = manifest.path_of(folder)
    content = destination.read(path)
    if content is None:
        return set()
    return {file.path for file in manifest.files_of(manifest.decode(content, destination.uri(path)), folder)}


def _is_past(member: Member, delivery: Delivery) -> bool:
    last = member.last_committed()
    return last is not None and last.export_time != delivery.export_time
