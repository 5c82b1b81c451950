"""A Delta Lake table as a source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cdp_exports.errors import HistoryLost, SourceUnreadable
from cdp_exports.sources.delta.difference import file_difference
from cdp_exports.sources.delta.feed import feed, is_enabled
from cdp_exports.sources.delta.files import DataFile
from cdp_exports.sources.delta.log import Commit, changes_rows, commits, entry_path, is_newest
from cdp_exports.sources.delta.plan import Plan, frame
from cdp_exports.sources.delta.schema import conform, unshown
from cdp_exports.sources.delta.snapshot import Snapshot
from cdp_exports.sources.delta.storage import Storage
from cdp_exports.sources.reading import reading
from cdp_exports.sources.source import Column, Difference, Head, Rows

FEED, FILES, SNAPSHOTS = "delta-cdf", "delta-files", "delta-snapshots"
_LOOKED_AT = 100
_RETENTION = "delta.deletedFileRetentionDuration"
_FULL = "Deliver the whole dataset once (`--full`, or `on_history_lost: full`)."
_HOURS = {"hour": 1.0, "day": 24.0, "week": 168.0, "minute": 1 / 60, "second": 1 / 3600}


class DeltaTableSource:
    """Implements `Source`. Snapshots once loaded are kept, so an object serves one delivery, not a process.

    `uri`: an absolute path or an object store's URI; `options`: the store's options, as deltalake and Polars name them.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        self._storage = Storage(uri.rstrip("/"), options or {})
        self._snapshots: dict[int, Snapshot] = {}
        self._newest: Snapshot | None = None
        self._commits: dict[int, Commit | None] = {}

    @property
    def _name(self) -> str:
        return f"The table {self._storage.uri}"

    def head(self) -> Head:
        """The newest committed state."""
        with reading(self._name):
            snapshot = self._newest = self._load(None)
            self._snapshots[snapshot.version] = snapshot
            return self._head(snapshot)

    def at(self, version: int) -> Head:
        """An earlier state. Raises HistoryLost where neither log entries nor a checkpoint describe it any more.

        Where only a checkpoint is left, `commit` is the state's own digest. That proves a version the same which was
        already like this when it was delivered. One delivered by its log entry, which was cleaned later, has another
        digest then, so its history counts as lost: nothing is left to prove it the same.
        """
        with reading(self._name):
            return self._head(self._at(version))

    def is_head(self, head: Head) -> bool:
        """Whether this is still the newest state. False also of a state that only a checkpoint describes."""
        with reading(self._name):
            return is_newest(self._storage, head.version, head.commit)

    def only_rearranged(self, after: int, upto: int) -> bool:
        """Whether these commits changed no rows, as their log entries say; of more than a hundred nobody looks."""
        if not after <= upto <= after + _LOOKED_AT:
            return False
        with reading(self._name):
            return not any(changes_rows(commit) for commit in self._log(after + 1, upto))

    def columns(self, version: int) -> tuple[Column, ...]:
        """The columns at a version; types in Delta's words, the field's comment as description."""
        with reading(self._name):
            return self._at(version).layout.columns()

    def rows(self, version: int) -> Rows:
        """The rows at a version. Raises HistoryLost where it, or a data file of it, is gone."""
        with reading(self._name):
            snapshot = self._at(version)
            self._require(snapshot.files.values(), f"version {version}")
            return Rows(snapshot.frame(), snapshot.row_count, snapshot.bytes)

    def difference(self, after: int, upto: int, change_source: str | None = None) -> Difference:
        """What changed after `after` up to and including `upto`.

        The feed, if every commit in between can be read through it and its files are there; else the files that one
        of the two versions lacks; else all rows of both. `change_source` (`delta-cdf`, `delta-files`,
        `delta-snapshots`) pins one.

        Raises:
            HistoryLost: `log_cleaned`, `vacuumed`, `source_rewound` or `schema_changed`.
            SourceUnreadable: the pinned way cannot tell this difference.
        """
        with reading(self._name):
            if change_source not in (None, FEED, FILES, SNAPSHOTS):
                raise ValueError(f"no such change source: {change_source}")
            old, new = self._at(after), self._at(upto)
            changed = unshown(old.layout, new.layout)
            if changed:
                raise HistoryLost(
                    f"{self._name} changed the type of its column {changed} after version {after}.",
                    next_step=_FULL,
                    reason="schema_changed",
                )
            for way in (FEED, FILES) if change_source is None else (change_source,):
                if way == SNAPSHOTS:
                    break
                plan = self._plan(way, old, new)
                if plan is None and change_source is not None:
                    raise SourceUnreadable(
                        f"{self._name} cannot tell its changes between the versions {after} and {upto} by {way}.",
                        next_step="Leave the choice of the change source to the export.",
                    )
                if plan is not None and (change_source is not None or way == FILES or not self._missing(plan.files())):
                    self._require(plan.files(), f"the changes between the versions {after} and {upto}")
                    return self._difference(plan, new, way)
            return self._comparison(old, new)

    def retention_hours(self) -> float | None:
        """How long data files of past versions are kept: `delta.deletedFileRetentionDuration`, by default a week."""
        with reading(self._name):
            if self._newest is None:
                self.head()
            assert self._newest is not None
            found = re.fullmatch(r"(?:interval )?(\d+) (\w+?)s?", self._newest.configuration.get(_RETENTION, "1 week"))
            return int(found[1]) * _HOURS[found[2]] if found and found[2] in _HOURS else None

    def _plan(self, way: str, old: Snapshot, new: Snapshot) -> Plan | None:
        between = self._log(old.version + 1, new.version)
        if way == FILES:
            return file_difference(old, new, between)
        return feed(between, old.layout, enabled=is_enabled(old.configuration), upto=new.layout)

    def _difference(self, plan: Plan, new: Snapshot, way: str) -> Difference:
        options = self._storage.scan_options
        return Difference(
            minus=frame(plan.minus, new.layout, options),
            plus=frame(plan.plus, new.layout, options),
            subsets=way == FILES,
            change_source=way,
            bytes_estimate=plan.bytes,
        )

    def _comparison(self, old: Snapshot, new: Snapshot) -> Difference:
        files = {**old.files, **new.files}
        self._require(files.values(), f"the versions {old.version} and {new.version}")
        return Difference(
            minus=conform(old.frame(), old.layout, new.layout),
            plus=new.frame(),
            subsets=True,
            change_source=SNAPSHOTS,
            bytes_estimate=old.bytes + new.bytes,
        )

    def _load(self, version: int | None) -> Snapshot:
        from deltalake import DeltaTable

        table = DeltaTable(self._storage.uri, version=version, storage_options=dict(self._storage.options) or None)
        return Snapshot(table, self._storage)

    def _at(self, version: int) -> Snapshot:
        if version not in self._snapshots:
            newest = self._newest or self._load(None)
            self._newest = newest
            if version > newest.version:
                raise HistoryLost(
                    f"{self._name} ends at version {newest.version}, before version {version}: it was restored or recreated.",
                    next_step=_FULL,
                    reason="source_rewound",
                )
            try:
                self._snapshots[version] = newest if version == newest.version else self._load(version)
            except Exception as exception:
                if not _lacks_log(exception):
                    raise
                raise HistoryLost(
                    f"{self._name} no longer has version {version}: its log was cleaned.",
                    next_step=f"{_FULL} Export more often than `delta.logRetentionDuration`, or lengthen that.",
                    reason="log_cleaned",
                ) from exception
        return self._snapshots[version]

    def _log(self, first: int, last: int) -> list[Commit | None]:
        if any(version not in self._commits for version in range(first, last + 1)):
            self._commits.update(zip(range(first, last + 1), commits(self._storage, first, last), strict=True))
        return [self._commits[version] for version in range(first, last + 1)]

    def _missing(self, files: Iterable[DataFile]) -> list[str]:
        """Files that no longer exist; those of the newest version are taken to be there."""
        newest: Mapping[str, Any] = self._newest.files if self._newest is not None else {}
        return self._storage.missing(file.location for file in files if file.location not in newest)

    def _require(self, files: Iterable[DataFile], what: str) -> None:
        missing = self._missing(files)
        if missing:
            raise HistoryLost(
                f"{self._name} no longer has {len(missing)} of the data files of {what}: they were vacuumed.",
                next_step=f"{_FULL} Export more often than `{_RETENTION}`, or lengthen that.",
                reason="vacuumed",
            )

    def _head(self, snapshot: Snapshot) -> Head:
        (commit,) = self._log(snapshot.version, snapshot.version)
        if commit is None:
            return Head(snapshot.table_id, snapshot.version, snapshot.digest, self._storage.modified("_delta_log/_last_checkpoint"))
        committed_at = commit.committed_at or self._storage.modified(entry_path(snapshot.version))
        return Head(snapshot.table_id, snapshot.version, commit.digest, committed_at)


def _lacks_log(exception: Exception) -> bool:
    """Whether a version cannot be rebuilt because log entries or checkpoints are gone (deltalake has no type for it)."""
    text = str(exception).lower()
    marks = ("no files in log segment", "no table metadata or protocol", "logsegment", "log segment", "gap between checkpoint")
    return any(mark in text for mark in marks)
