"""The files of the state folder: `<environment>/<export>/<member>/<chain>/<sequence>-<delivery>-<attempt>.<kind>.parquet`.

`kind` is `whole`, `changes`, or `<rows>-<sha256>.compacted`: the ledger knows nothing of compactions, so that their names
say what it would. A member's folder is found by the files that its deliveries recorded, whatever it is called now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.ledger.records import Held, Link

_NAME = re.compile(
    r"(?P<stem>(?P<sequence>\d{8,})-(?P<delivery>.+)-[^-.]{8})\.(whole|changes|(?P<rows>\d+)-(?P<sha256>[0-9a-f]{64})\.compacted)\.parquet"
)


def path_of(delivery: Link, attempt_id: str, *, whole: bool) -> str:
    """Where an attempt writes what the receiver holds after a delivery."""
    folder = f"{delivery.environment}/{delivery.export}/{delivery.member}/{delivery.chain}"
    return f"{folder}/{delivery.sequence:08}-{delivery.id}-{attempt_id[:8]}.{'whole' if whole else 'changes'}.parquet"


def compacted_path(file: str, rows: int, sha256: str) -> str:
    """Where the compaction of everything up to a recorded file stands.

    >>> compacted_path("acme/e/m/c/00000007-d-12345678.changes.parquet", 3, "00")
    'acme/e/m/c/00000007-d-12345678.3-00.compacted.parquet'
    """
    return f"{file.removesuffix('.parquet').rpartition('.')[0]}.{rows}-{sha256}.compacted.parquet"


@dataclass(frozen=True)
class Stored:
    """A file as its path tells of it; `rows` and `sha256` of a compaction only. `stem`: the path of all files of one attempt."""

    path: str
    chain: str
    stem: str
    sequence: int
    delivery: str
    rows: int | None
    sha256: str | None

    @property
    def is_compaction(self) -> bool:
        return self.sha256 is not None

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """None of a path that is no file of state.

        >>> Stored.parse("acme/e/m/c/00000007-d-12345678.whole.parquet").stem
        'acme/e/m/c/00000007-d-12345678'
        """
        folder, _, name = path.rpartition("/")
        found = _NAME.fullmatch(name)
        if found is None or folder.count("/") != 3:
            return None
        rows = found["rows"]
        return cls(
            path,
            folder.rpartition("/")[2],
            f"{folder}/{found['stem']}",
            int(found["sequence"]),
            found["delivery"],
            None if rows is None else int(rows),
            found["sha256"],
        )


@dataclass(frozen=True)
class Part:
    """One file to read: its rows are those of `sequence`."""

    path: str
    sequence: int
    rows: int
    sha256: str


def stems_of(deliveries: Iterable[Link]) -> set[str]:
    """The stems of the files that deliveries recorded."""
    return {stored.stem for delivery in deliveries if (held := held_of(delivery)) and (stored := Stored.parse(held.file))}


def part_of(sequence: int, held: Held) -> Part:
    """The file that a delivery recorded."""
    return Part(held.file, sequence, held.rows, held.sha256)


def folders_of(deliveries: Iterable[Link]) -> list[str]:
    """The member's folders: after a rename there are two."""
    files = (held.file for delivery in deliveries if (held := held_of(delivery)))
    return sorted({"/".join(file.split("/")[:3]) for file in files})


def listed(state: FileDestination, folders: Iterable[str]) -> Iterator[Stored]:
    """The files of state below these folders."""
    for folder in folders:
        for found in state.list(folder):
            if stored := Stored.parse(found.path):
                yield stored


def compactions(state: FileDestination, chain: Sequence[Link]) -> dict[int, Part]:
    """The compactions that stand beside what a chain's deliveries recorded, by sequence."""
    stems = stems_of(chain)
    folders = sorted({stem.rpartition("/")[0] for stem in stems})
    return {
        stored.sequence: Part(stored.path, stored.sequence, stored.rows, stored.sha256)
        for stored in listed(state, folders)
        if stored.stem in stems and stored.rows is not None and stored.sha256 is not None
    }


def held_of(delivery: Link) -> Held | None:
    """What a committed delivery recorded, None where it kept no state."""
    return delivery.counts.held if delivery.counts else None
