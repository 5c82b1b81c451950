"""Removing what nobody shall read any more: only files the ledger recorded, never a listing.

Files of attempts that did not become the delivery; of fixed names those that a later delivery has no use for; those whose
time is over.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.holding import Holding, holding_if_free
from cdp_exports.delivery.lasting import came_late, is_expired, is_replaced
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.model_json import put_model
from cdp_exports.errors import CameLate, CdpExportsError
from cdp_exports.ledger.records import Delivery

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Attempt


def sweep(member: Member, held: Holding | None = None) -> tuple[Delivery, ...]:
    """Remove them, and open uploads; returns the deliveries whose files were removed because their time is over, as they were.

    Other runs write to fixed names: whoever removes there holds the export's lease. Without `held` it is taken where it is needed
    and free. What cannot be removed now stays recorded, and never fails a delivery that is done.

    Raises:
        CameLate: it removed fixed names after another run had taken over.
    """
    try:
        if held is not None:
            return _sweep_held(member, held)
        _sweep_lost(member, None)
        if not _needs_lease(member):
            return ()
        with holding_if_free(member.context.ledger, member.environment, member.exports, run_id=f"sweep-{uuid.uuid4()}") as taken:
            return _sweep_held(member, taken) if taken is not None else ()
    except CameLate:
        raise
    except CdpExportsError:
        return ()


def _needs_lease(member: Member) -> bool:
    ledger = member.context.ledger
    now, standing = ledger.now(), ledger.standing(member.environment, member.exports, member.members)
    if any(is_replaced(member, one) or is_expired(one.keep_for, one.written, now) for one in standing):
        return True
    return any(delivery.pin.overwrite for delivery, _ in ledger.leftovers(member.environment, member.exports, member.members))


def _sweep_held(member: Member, held: Holding) -> tuple[Delivery, ...]:
    _sweep_lost(member, held)
    return _sweep_delivered(member, held)


def _sweep_lost(member: Member, held: Holding | None) -> None:
    """What attempts left that lost; under fixed names by the lease's holder only."""
    for delivery, attempts in member.context.ledger.leftovers(member.environment, member.exports, member.members):
        if delivery.pin.overwrite and held is None:
            continue
        destination = member.destination_of(delivery.pin)
        for attempt in attempts:
            _sweep_attempt(member, destination, delivery, attempt, held if delivery.pin.overwrite else None)


def _sweep_attempt(member: Member, destination: FileDestination, delivery: Delivery, attempt: Attempt, held: Holding | None) -> None:
    """An abandoned attempt may be alive and finish a file after this: it is forgotten only when a later delivery sweeps it again."""
    left = [file.path for file in attempt.files if not file.removed]
    manifests = {manifest.path_of(delivery.pin), *(manifest.path_in(path.rpartition("/")[0]) for path in left)}
    if (latest := manifest.latest_of(delivery.pin)) is not None:
        manifests.add(latest)
    listed = {path for found in manifests for path in _listed(destination, found)}
    paths = [path for path in left if path not in listed]
    _delete(member, destination, paths, held)
    if attempt.status != "abandoned" or _is_past(member, delivery):
        member.context.ledger.removed(attempt.id, paths)


def _delete(member: Member, destination: FileDestination, paths: list[str], held: Holding | None) -> None:
    """`held`: they have fixed names, which a run that has taken over since may have given to other rows."""
    if held is not None and paths:
        held.check()
    destination.delete(paths)
    if held is not None and paths and held.is_lost():
        raise came_late(member, destination.uri(paths[0]))


def _listed(destination: FileDestination, path: str) -> set[str]:
    """What the manifest at this path lists: whatever the ledger thinks, a receiver may rely on it."""
    content = destination.read(path)
    if content is None:
        return set()
    found = manifest.decode(content, destination.uri(path))
    return {file.path for file in manifest.files_of(found, manifest.folder_of(found, path))}


def _is_past(member: Member, delivery: Delivery) -> bool:
    last = member.last_committed()
    return last is not None and last.export_time != delivery.export_time


def _sweep_delivered(member: Member, held: Holding) -> tuple[Delivery, ...]:
    """Delivered files that a later delivery took the place of, and those whose time is over. Nothing that stands under a name that was
    given to another delivery since."""
    ledger, expired = member.context.ledger, list[Delivery]()
    standing = ledger.standing(member.environment, member.exports, member.members)
    if not standing:
        return ()
    now = ledger.now()
    for one in standing:
        replaced, over = is_replaced(member, one), is_expired(one.keep_for, one.written, now)
        delivery = member.delivery(one.export_time) if one.overwrite or over else None
        if delivery is None:
            continue
        destination = member.destination_of(delivery.pin)
        if not replaced and not over:  # fixed names: what attempts that lost left open under them
            destination.abandon(file.path for file in delivery.files)
            continue
        assert delivery.attempt_id is not None
        paths = [file.path for file in delivery.files if not file.removed]
        passed_on = ledger.passed_on(delivery.attempt_id, paths)
        _delete(member, destination, [path for path in paths if path not in passed_on], held if delivery.pin.overwrite else None)
        ledger.removed(delivery.attempt_id, paths)
        if not replaced:
            expired.append(delivery)
    if expired and member.export.model_json:
        put_model(member, member.destination)
    return tuple(expired)
