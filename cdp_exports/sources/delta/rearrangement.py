"""Rows only moved between files (OPTIMIZE, Z-order): actions whose `dataChange` is false.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#add-file-and-remove-file
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cdp_exports.sources.delta.files import DataFile


@dataclass(frozen=True)
class Rearrangement:
    """The files that one commit exchanged for one another within a partition."""

    removed: list[DataFile] = field(default_factory=list[DataFile])
    added: list[DataFile] = field(default_factory=list[DataFile])

    @property
    def adds_up(self) -> bool:
        """Whether the same rows can lie in both.

        Neither side is empty, no file only got another deletion vector, and the log counts as many rows, where it counts.
        """
        before, after = _rows(self.removed), _rows(self.added)
        return (
            bool(self.removed and self.added)
            and {file.location for file in self.removed}.isdisjoint(file.location for file in self.added)
            and (before is None or after is None or before == after)
        )


def rearrangements(removed: Iterable[DataFile], added: Iterable[DataFile]) -> list[Rearrangement]:
    """Those of one commit. Partitions are told apart by typed values: engines write the same value differently."""
    found: dict[tuple[Any, ...], Rearrangement] = {}
    for file in removed:
        found.setdefault(tuple(file.partition.values()), Rearrangement()).removed.append(file)
    for file in added:
        found.setdefault(tuple(file.partition.values()), Rearrangement()).added.append(file)
    return list(found.values())


def _rows(files: Iterable[DataFile]) -> int | None:
    total = 0
    for file in files:
        if file.rows is None:
            return None
        total += file.rows
    return total
