"""What is put, and replaced, for receivers who look at one place: after a delivery's manifest is there, before the ledger commits it.

So of a committed delivery it was put at least once. A run that stands still between its look at the ledger and the put may
put an older one over a newer: `verify` tells, a replay or the next delivery puts it right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest
from cdp_exports.delivery.model_json import put_model

if TYPE_CHECKING:
    from cdp_exports.delivery.member import Member
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Delivery


def is_announced(member: Member, delivery: Delivery) -> bool:
    """Whether receivers look anywhere but at the delivery's own manifest."""
    return manifest.latest_of(delivery.pin) is not None or member.export.model_json


def announce(member: Member, destination: FileDestination, delivery: Delivery, document: bytes) -> None:
    """Say what is there now: `document` is the delivery's manifest. A delivery that a later one has followed is no news, except that
    its files may have other names since it was written again."""
    if not is_announced(member, delivery):
        return
    latest = manifest.latest_of(delivery.pin)
    last = member.last_committed()
    is_newest = last is None or last.export_time <= delivery.export_time
    if latest is not None and is_newest:
        destination.put(latest, document)
    if member.export.model_json and destination.place == member.destination.place:
        files = manifest.files_of(manifest.decode(document, destination.uri(manifest.path_of(delivery.pin))), delivery.pin.folder)
        put_model(member, destination, delivery.model_copy(update={"files": files}) if is_newest else None)
