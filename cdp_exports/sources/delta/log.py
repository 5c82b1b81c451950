"""Commits: what each entry of the log did. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#actions"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cdp_exports.sources.delta.storage import Storage


@dataclass(frozen=True)
class FileAction:
    """A file that a commit added or removed, or a file of its change feed.

    `partition` holds strings by physical column name, as the log does; for a removed file an engine may leave it out.
    `data_change` False: the rows were only rearranged. `masked`: it carries a deletion vector. `rows`: how many it
    holds without those the vector takes away; known only for rearranged files, and where the log says it.
    """

    location: str
    size: int
    partition: Mapping[str, str | None]
    data_change: bool
    masked: bool
    rows: int | None = None


@dataclass(frozen=True)
class Commit:
    """One version's log entry; `digest` is the SHA-256 of its bytes, `metadata` the table's new metadata where it changed."""

    version: int
    digest: str
    committed_at: datetime | None
    adds: tuple[FileAction, ...] = ()
    removes: tuple[FileAction, ...] = ()
    changes: tuple[FileAction, ...] = ()
    metadata: Mapping[str, Any] | None = None


def commits(storage: Storage, first: int, last: int) -> list[Commit | None]:
    """The commits of versions `first` to `last`, None for each whose entry was cleaned away."""
    versions = range(first, last + 1)
    entries = storage.read_all(map(entry_path, versions))
    return [None if entry is None else _parse(storage, version, entry) for version, entry in zip(versions, entries, strict=True)]


def is_newest(storage: Storage, version: int, digest: str) -> bool:
    """Whether the log ends with this version's entry, and that is this very one: two small requests, however large the table."""
    if storage.exists(entry_path(version + 1)):
        return False
    entry = storage.read(entry_path(version))
    return entry is not None and hashlib.sha256(entry).hexdigest() == digest


def changes_rows(commit: Commit | None) -> bool:
    """Whether a commit may have changed what a reader sees; one that was cleaned away may have."""
    if commit is None or commit.metadata is not None or commit.changes:
        return True
    return any(action.data_change for action in (*commit.adds, *commit.removes))


def entry_path(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def _parse(storage: Storage, version: int, entry: bytes) -> Commit:
    actions: dict[str, list[FileAction]] = {"add": [], "remove": [], "cdc": []}
    metadata: Mapping[str, Any] | None = None
    timestamp: Any = None
    for line in entry.splitlines():
        if not line.strip():
            continue
        for kind, body in json.loads(line).items():
            if kind in actions:
                vector = body.get("deletionVector")
                data_change = body.get("dataChange", True)
                actions[kind].append(
                    FileAction(
                        location=storage.location(body["path"]),
                        size=body.get("size") or 0,
                        partition=body.get("partitionValues") or {},
                        data_change=data_change,
                        masked=vector is not None,
                        rows=None if data_change else _rows(body.get("stats"), vector),
                    )
                )
            elif kind == "metaData":
                metadata = body
            elif kind == "commitInfo":
                timestamp = body.get("inCommitTimestamp", body.get("timestamp"))
    return Commit(
        version=version,
        digest=hashlib.sha256(entry).hexdigest(),
        committed_at=_moment(timestamp),
        adds=tuple(actions["add"]),
        removes=tuple(actions["remove"]),
        changes=tuple(actions["cdc"]),
        metadata=metadata,
    )


def _rows(stats: str | None, vector: Mapping[str, Any] | None) -> int | None:
    """The rows of a file by its statistics, which an engine may leave out, less those its deletion vector takes away."""
    count: int | None = json.loads(stats).get("numRecords") if stats else None
    return count if count is None or vector is None else count - vector["cardinality"]


def _moment(timestamp: Any) -> datetime | None:
    """Milliseconds since 1970 by the protocol; None for what is no such moment, since any engine may have written it.

    >>> _moment(1790000000000).year, _moment(1790000000000000), _moment("2026-09-21"), _moment(None)
    (2026, None, None, None)
    """
    try:
        return datetime.fromtimestamp(timestamp / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
