"""Noticing that a dataset was refreshed: by its asset's events where it has an asset of its own, else by its table's version."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from logging import Logger
from typing import TYPE_CHECKING

from dagster import AssetKey, AssetMaterialization, DagsterInstance, MetadataValue

from cdp_exports.assets.keys import dataset_key
from cdp_exports.assets.refreshing import IDLE, Refresh
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.errors import CdpExportsError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.signals import Signal

if TYPE_CHECKING:
    from cdp_exports.sources.source import Head, Source

SECONDS = 20.0
"""How long one tick looks at tables; the next goes on where it stopped."""

_AT_ONCE = 16
_FORGOTTEN = timedelta(minutes=2)
"""After this a signal that was recorded and not reported was left behind by a process that died."""


@dataclass(frozen=True)
class Noticing:
    """Looks at datasets. `standing`: how their assets stand, by key."""

    catalog: Catalog
    instance: DagsterInstance
    ledger: Ledger
    standing: Mapping[AssetKey, Refresh]
    log: Logger

    def notice(self, datasets: Collection[str], after: str | None) -> tuple[dict[str, Signal], str | None]:
        """All signals, and the last dataset that was looked at, where not all could be; the next tick begins `after` it."""
        known = self.ledger.signals(self.catalog.environment.name)
        ordered = sorted(datasets)
        ordered = [name for name in ordered if after is None or name > after] + [name for name in ordered if after and name <= after]
        until, stopped = time.monotonic() + SECONDS, after
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for some in _batches(ordered, 4 * _AT_ONCE):
                moved = list(pool.map(self._moved, some, map(known.get, some)))
                for name, has_moved in zip(some, moved, strict=True):
                    if time.monotonic() > until:
                        return known, stopped
                    if has_moved and (signal := self._noted(name, known.get(name))) is not None:
                        known[name] = signal
                    stopped = name
        return known, None

    def _moved(self, dataset_id: str, before: Signal | None) -> bool:
        """Whether there is something to be noticed, or left to be reported."""
        if self.catalog.datasets[dataset_id].asset_key:
            # once its newest event is another, and nobody is at work on it
            refresh = self.standing.get(dataset_key(self.catalog, dataset_id), IDLE)
            return refresh.event is not None and not refresh.running and (before is None or before.event != refresh.event)
        if before is None or not before.reported:
            return True
        try:
            return not self._open(dataset_id).is_head(_head(before))
        except CdpExportsError as error:
            self.log.warning("%s: %s", dataset_id, error)
            return False

    def _noted(self, dataset_id: str, before: Signal | None) -> Signal | None:
        """The new signal, of which Dagster was told where nobody else tells it; None where there is none, or the table cannot be read."""
        try:
            source = self._open(dataset_id)
            if self.catalog.datasets[dataset_id].asset_key:
                return self._recorded(dataset_id, source, before)
            noted = None
            if before is None or not source.is_head(_head(before)):
                noted = self._recorded(dataset_id, source, before)
                told = noted
            else:  # recorded and not reported: whoever did is at it now, or died
                told = before if before.noticed_at < self.ledger.now() - _FORGOTTEN else None
            if told is not None:
                self._report(source, told)
                self.ledger.reported(told)
            return noted
        except CdpExportsError as error:
            self.log.warning("%s: %s", dataset_id, error)
            return None

    def _recorded(self, dataset_id: str, source: Source, before: Signal | None) -> Signal | None:
        head = source.head()
        quiet = before is not None and before.table_id == head.table_id and source.only_rearranged(before.version, head.version)
        signal = Signal(
            environment=self.catalog.environment.name,
            dataset=dataset_id,
            table_id=head.table_id,
            version=head.version,
            commit_hash=head.commit,
            committed_at=head.committed_at,
            changed_version=before.changed_version if before is not None and quiet else head.version,
            event=self.standing.get(dataset_key(self.catalog, dataset_id), IDLE).event,
            noticed_at=head.committed_at,  # the ledger puts its own moment here
        )
        return self.ledger.note_signal(signal, before)

    def _report(self, source: Source, signal: Signal) -> None:
        """A materialization of `datasets/<id>`, unless its newest one is of this version: a process may have died in between."""
        key = dataset_key(self.catalog, signal.dataset)
        never = self.standing.get(key, IDLE).event is None
        if never or self._newest_reported(key) != (signal.table_id, signal.version):
            rows = source.rows(signal.version).expected
            metadata = {
                "cdp/version": signal.version,
                "cdp/table_id": signal.table_id,
                "cdp/committed_at": MetadataValue.timestamp(signal.committed_at),
                "cdp/environment": signal.environment,
                **({} if rows is None else {"dagster/row_count": rows}),
            }
            noticed = f"Version {signal.version} of the table was noticed."
            self.instance.report_runless_asset_event(AssetMaterialization(key, description=noticed, metadata=metadata))

    def _newest_reported(self, key: AssetKey) -> tuple[object, object]:
        event = self.instance.get_latest_materialization_event(key)
        if event is None or event.asset_materialization is None:
            return None, None
        said = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        return said.get("cdp/table_id"), said.get("cdp/version")

    def _open(self, dataset_id: str) -> Source:
        from cdp_exports.sources.open import open_source

        return open_source(self.catalog.datasets[dataset_id], self.catalog.root, os.environ)


def _head(signal: Signal) -> Head:
    from cdp_exports.sources.source import Head

    return Head(signal.table_id, signal.version, signal.commit_hash, signal.committed_at)


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    """Lists of at most this many."""
    return (names[start : start + size] for start in range(0, len(names), size))
