"""Removing what nobody shall read any more: only files the ledger recorded, never a listing.

Files of attempts that did not become the delivery; of fixed names those that a later delivery has no use for; those whose
time is over.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.holding import Holding, holding_if_free
from cdp_exports.delivery.lasting import came_late, is_expired, is_replaced
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.model_json import put_model
from cdp_exports.delivery.ownership import owner_of
from cdp_exports.errors import CameLate, CdpExportsError
from cdp_exports.ledger.records import Delivery

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Attempt


@dataclass
class Swept:
    """`expired`: deliveries whose files were removed because their time is over, as they were. `failed`: why at some places nothing
    was removed, by place."""

    expired: list[Delivery] = field(default_factory=list[Delivery])
    failed: dict[str, CdpExportsError] = field(default_factory=dict[str, CdpExportsError])

    @contextmanager
    def at(self, place: str) -> Generator[None]:
        """What is done at one place: if that fails, other places are swept all the same.

        Raises:
            CameLate: as it was raised.
        """
        try:
            yield
        except CameLate:
            raise
        except CdpExportsError as error:
            self.failed[place] = error


def sweep(member: Member, held: Holding | None = None) -> Swept:
    """Remove them, and open uploads.

    Other runs write to fixed names: whoever removes there holds the export's lease. Without `held` it is taken where it is needed
    and free. What cannot be removed now stays recorded, and never fails a delivery that is done.

    Raises:
        CameLate: it removed fixed names after another run had taken over.
    """
    swept = Swept()
    with swept.at(_LEDGER):
        if held is not None:
            _sweep_held(member, held, swept)
            return swept
        _sweep_lost(member, None, swept)
        if _needs_lease(member):
            with holding_if_free(member.context.ledger, member.environment, member.exports, run_id=f"sweep-{uuid.uuid4()}") as taken:
                if taken is not None:
                    _sweep_held(member, taken, swept)
    return swept


_LEDGER = ""  # not at a destination


def _needs_lease(member: Member) -> bool:
    ledger = member.context.ledger
    now, standing = ledger.now(), ledger.standing(member.environment, member.exports, member.members)
    if any(is_replaced(member, one) or is_expired(one.keep_for, one.written, now) for one in standing):
        return True
    return any(delivery.pin.overwrite for delivery, _ in ledger.leftovers(member.environment, member.exports, member.members))


def _sweep_held(member: Member, held: Holding, swept: Swept) -> None:
    _sweep_lost(member, held, swept)
    _sweep_delivered(member, held, swept)


def _sweep_lost(member: Member, held: Holding | None, swept: Swept) -> None:
    """What attempts left that lost; under fixed names by the lease's holder only."""
    for delivery, attempts in member.context.ledger.leftovers(member.environment, member.exports, member.members):
        place = delivery.pin.target
        if (delivery.pin.overwrite and held is None) or place in swept.failed:
            continue
        with swept.at(place):
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


def _sweep_delivered(member: Member, held: Holding, swept: Swept) -> None:
    """Delivered files that a later delivery took the place of, and those whose time is over."""
    ledger = member.context.ledger
    standing = ledger.standing(member.environment, member.exports, member.members)
    if not standing:
        return
    now = ledger.now()
    for one in standing:
        replaced, over = is_replaced(member, one), is_expired(one.keep_for, one.written, now)
        if one.target in swept.failed or not (one.overwrite or over):
            continue
        with swept.at(one.target):
            delivery = member.delivery(one.export_time)
            assert delivery is not None
            destination = member.destination_of(delivery.pin)
            if not replaced and not over:  # fixed names: what attempts that lost left open under them
                destination.abandon(file.path for file in delivery.files)
            elif owner_of(destination, delivery.pin.owner_folder) is not None:  # else a share may not be mounted: nothing is gone yet
                _remove(member, destination, delivery, held)
                swept.expired += [] if replaced else [delivery]
    if swept.expired and member.export.model_json:
        put_model(member, member.destination)


def _remove(member: Member, destination: FileDestination, delivery: Delivery, held: Holding) -> None:
    """Its files, but nothing that stands under a name that was given to another delivery since."""
    assert delivery.attempt_id is not None
    ledger, paths = member.context.ledger, [file.path for file in delivery.files if not file.removed]
    passed_on = ledger.passed_on(delivery.attempt_id, paths)
    own = [path for path in paths if path not in passed_on]
    _delete(member, destination, own, held if delivery.pin.overwrite else None)
    ledger.removed(delivery.attempt_id, paths)
