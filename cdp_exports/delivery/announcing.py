"""What is put, and replaced, for receivers who look at one place: after a delivery's manifest is there, before the ledger commits it.

So of a committed delivery it was put at least once. A run that stands still between its look at the lease and the put may
put an older one over a newer: `verify` tells, a replay or the next delivery puts it right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.delivery import manifest

if TYPE_CHECKING:
    from cdp_exports.delivery.member import Member
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Delivery


def announce(member: Member, destination: FileDestination, delivery: Delivery, document: bytes) -> None:
    """Say what fixed names hold now: `document` is the delivery's manifest. A delivery that a later one has followed is no news."""
    latest = manifest.latest_of(delivery.pin)
    last = member.last_committed()
    if latest is not None and (last is None or last.export_time <= delivery.export_time):
        destination.put(latest, document)
