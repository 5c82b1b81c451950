"""Which files tell the difference of two versions, before any of them is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdp_exports.sources.delta.files import DataFile, scan
from cdp_exports.sources.delta.schema import Layout, conform

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Piece:
    """Files that are read alike; `change_types` where they are files of a change feed."""

    files: Sequence[DataFile]
    layout: Layout
    change_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The files to read for either side of the difference."""

    minus: Sequence[Piece]
    plus: Sequence[Piece]

    def files(self) -> Iterable[DataFile]:
        seen = {file.location: file for piece in (*self.minus, *self.plus) for file in piece.files}
        return seen.values()

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files())


def frame(pieces: Sequence[Piece], upto: Layout, options: dict[str, Any] | None) -> pl.LazyFrame:
    """The rows of the pieces in the columns of `upto`."""
    import polars as pl

    frames = [conform(scan(piece.files, piece.layout, options, piece.change_types), piece.layout, upto) for piece in pieces if piece.files]
    if not frames:
        return pl.LazyFrame(schema=upto.dtypes)
    return frames[0] if len(frames) == 1 else pl.concat(frames)
