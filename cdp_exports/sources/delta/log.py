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

    `partition` holds strings by physical column name, as the log does. `data_change` False: the rows were only
    rearranged. `masked`: it carries a deletion vector.
    """

    location: str
    size: int
    partition: Mapping[str, str | None]
    data_change: bool
    masked: bool


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


def entry_path(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def _parse(storage: Storage, version: int, entry: bytes) -> Commit:
    actions: dict[str, list[FileAction]] = {"add": [], "remove": [], "cdc": []}
    metadata: Mapping[str, Any] | None = None
    timestamp: int | None = None
    for line in entry.splitlines():
        if not line.strip():
            continue
        for kind, body in json.loads(line).items():
            if kind in actions:
                actions[kind].append(
                    FileAction(
                        location=storage.location(body["path"]),
                        size=body.get("size") or 0,
                        partition=body.get("partitionValues") or {},
                        data_change=body.get("dataChange", True),
                        masked=body.get("deletionVector") is not None,
                    )
                )
            elif kind == "metaData":
                metadata = body
            elif kind == "commitInfo":
                timestamp = body.get("inCommitTimestamp", body.get("timestamp"))
    return Commit(
        version=version,
        digest=hashlib.sha256(entry).hexdigest(),
        committed_at=None if timestamp is None else datetime.fromtimestamp(timestamp / 1000, UTC),
        adds=tuple(actions["add"]),
        removes=tuple(actions["remove"]),
        changes=tuple(actions["cdc"]),
        metadata=metadata,
    )
