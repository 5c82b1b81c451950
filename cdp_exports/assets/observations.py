"""The newest observation of many assets, cheaply: each is asked for once, then only what came since.

Materializations stand in the asset's own row, which is read in bulk; observations don't, and Dagster's API asks for one asset at
a time. What came since is asked of the storage itself, which is no public API, so it is used in this file alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dagster import AssetKey, DagsterEventType, DagsterInstance, EventRecordsFilter

_LATE = 500
"""How many numbers are asked for again: a database gives them out before others see what bears them."""


@dataclass
class Observations:
    """Of one instance; as long as this process lives."""

    _newest: dict[AssetKey, int | None] = field(default_factory=dict[AssetKey, "int | None"])
    _upto: int = 0

    def newest(self, instance: DagsterInstance, keys: Collection[AssetKey]) -> Mapping[AssetKey, int | None]:
        """By asset, the number of its newest observation."""
        storage = instance.event_log_storage
        upto = storage.get_maximum_record_id() or 0
        if self._newest:
            since = EventRecordsFilter(DagsterEventType.ASSET_OBSERVATION, after_cursor=max(self._upto - _LATE, 0))
            for record in storage.get_event_records(since, ascending=True):
                if record.asset_key is not None and record.asset_key in self._newest:
                    self._newest[record.asset_key] = max(record.storage_id, self._newest[record.asset_key] or 0)
        self._upto = max(self._upto, upto)
        for key in keys:
            if key not in self._newest:
                found = instance.fetch_observations(key, limit=1).records
                self._newest[key] = found[0].storage_id if found else None
        return self._newest
