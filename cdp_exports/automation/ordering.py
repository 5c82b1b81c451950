"""Which of the exports that are due together runs first, where the environment says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.ledger.ledger import Ledger

PRIORITY = "dagster/priority"
"""The tag by which Dagster's queue is ordered: the greatest number first, runs without it count as 0."""

_EVER = datetime(2000, 1, 1, tzinfo=UTC)  # what was never delivered waits longest
_FAR = datetime(2100, 1, 1, tzinfo=UTC)


def priorities(catalog: Catalog, ledger: Ledger, exports: Sequence[str]) -> dict[str, int]:
    """By export, the greatest first; empty where the environment names no order.

    `largest`: the KiB of the last delivery of all its members; `longest_waiting`: the minutes from the oldest of them until the year
    2100. Not until now: a run keeps its number in the queue, and whoever came later, and waited less, would pass it.
    """
    first = catalog.environment.first
    if first is None or not exports:
        return {}
    former = [name for export_id in exports if (name := catalog.exports[export_id].formerly)]
    delivered = ledger.last_delivered(catalog.environment.name, [*exports, *former])
    found: dict[str, int] = {}
    for export_id in exports:
        export = catalog.exports[export_id]
        names = (export_id, export.formerly)
        last = [
            next((delivered[name, member] for name in names if name and (name, member) in delivered), None) for member in export.members
        ]
        if first == "largest":
            found[export_id] = sum(one.bytes for one in last if one) // 1024
        else:
            oldest = min((one.export_time.at if one else _EVER for one in last), default=_EVER)
            found[export_id] = int((_FAR - oldest).total_seconds()) // 60
    return found
