"""Which exports a refresh made due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cdp_exports.automation.changes import due_members, has_changed
from cdp_exports.automation.reads import Reads
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.refresh import AfterRefresh
from cdp_exports.ledger.delivered import Delivered
from cdp_exports.ledger.signals import Signal

LastDelivered = Mapping[tuple[str, str], Delivered]
"""By export and member."""


@dataclass(frozen=True)
class Refreshed:
    """An export that is due: its `members` to deliver, the versions that were `seen`, by dataset, and `since` when."""

    export: str
    members: tuple[str, ...]
    seen: Mapping[str, str]
    since: datetime


def refreshed(
    reads: Reads,
    export_id: str,
    export: DatasetExport | SegmentExport,
    after: AfterRefresh,
    signals: Mapping[str, Signal],
    delivered: LastDelivered,
) -> Refreshed | None:
    """What of an export has changed since its last delivery, if that makes it due."""
    catalog = reads.catalog
    changed: dict[str, dict[str, bool]] = {}
    for member in export.members:
        last = _last(catalog, export_id, export, member, delivered)
        changed[member] = {
            dataset: dataset in signals and has_changed(signals[dataset], last, catalog.datasets[dataset].formerly)
            for dataset in reads.of(export_id, member)
        }
    members = due_members(changed, after.refresh)
    if not members:
        return None
    moved = sorted({dataset for member in members for dataset, has_moved in changed[member].items() if has_moved})
    seen = {dataset: f"{signals[dataset].table_id}:{signals[dataset].changed_version}" for dataset in moved}
    return Refreshed(export_id, members, seen, min(signals[dataset].noticed_at for dataset in moved))


def _last(
    catalog: Catalog, export_id: str, export: DatasetExport | SegmentExport, member: str, delivered: LastDelivered
) -> Delivered | None:
    """Under the present names or the former ones."""
    declared = catalog.datasets[member] if isinstance(export, DatasetExport) else catalog.segments[member]
    found = [
        delivered[name, of]
        for name in (export_id, export.formerly)
        for of in (member, declared.formerly)
        if name and of and (name, of) in delivered
    ]
    return max(found, key=lambda one: one.export_time, default=None)
