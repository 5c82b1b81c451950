"""What of an export has changed since it was delivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cdp_exports.ledger.delivered import Delivered
from cdp_exports.ledger.signals import Signal


def has_changed(signal: Signal, delivered: Delivered | None, formerly: str | None = None) -> bool:
    """Whether a dataset's refresh brought rows that a member's last delivery did not have.

    `formerly`: the id the dataset had before. Consent and lists, whose versions a delivery does not always write down, changed
    where the refresh was noticed after the delivery began.
    """
    if delivered is None:
        return True
    found = delivered.versions.get(signal.dataset) or delivered.versions.get(formerly or "")
    if found is None:
        return signal.noticed_at > delivered.pinned_at
    table_id, version = found
    if table_id != signal.table_id:
        return True
    rewound = signal.version < version and signal.noticed_at > delivered.pinned_at  # restored from a backup: the run says so
    return signal.changed_version > version or rewound


def due_members(reads: Mapping[str, Mapping[str, bool]], refresh: Literal["any", "all"]) -> tuple[str, ...]:
    """The members to deliver. `reads`: by member, whether each dataset that it reads has changed.

    >>> due_members({"vip": {"profiles": True}, "buyers": {"orders": False}}, "any")
    ('vip',)
    >>> due_members({"vip": {"profiles": True}, "buyers": {"orders": False}}, "all")
    ()
    """
    changed = {dataset for datasets in reads.values() for dataset, moved in datasets.items() if moved}
    if refresh == "all" and any(changed.isdisjoint([dataset]) for datasets in reads.values() for dataset in datasets):
        return ()
    return tuple(member for member, datasets in reads.items() if any(datasets.values()))
