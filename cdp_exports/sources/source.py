"""What a source answers: its head, the rows at a version, the changes between two versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Head:
    """One committed state of a table.

    `commit` is a hash of the commit itself, or `checkpoint:` and one of the state where only that is left: the same
    version with another hash is another history.
    """

    table_id: str
    version: int
    commit: str
    committed_at: datetime


@dataclass(frozen=True)
class Column:
    """A column as the manifest names it: `type` in the source's own words (`long`, `decimal(10,2)`, `array<string>`)."""

    name: str
    type: str
    nullable: bool
    description: str | None = None


@dataclass(frozen=True)
class Rows:
    """All rows at one version, lazily.

    `expected` is the number of rows the table's own metadata promises, None where it promises nothing;
    `bytes_estimate` is the size of the files that will be read.
    """

    frame: pl.LazyFrame
    expected: int | None
    bytes_estimate: int


@dataclass(frozen=True)
class Difference:
    """Two multisets of rows whose difference `plus` - `minus` is rows(upto) - rows(after).

    Both have the columns and types of `upto`. `subsets` says that `minus` holds only rows of `after` and `plus`
    only rows of `upto` (files, snapshots); a change feed also passes through values in between.
    """

    minus: pl.LazyFrame
    plus: pl.LazyFrame
    subsets: bool
    change_source: str  # delta-cdf | delta-files | delta-snapshots
    bytes_estimate: int


class Source(Protocol):
    """One table. Every method may raise SourceUnreadable (terminal) or TransientError."""

    def head(self) -> Head:
        """The newest committed state."""
        ...

    def at(self, version: int) -> Head:
        """An earlier state. Raises HistoryLost where it is gone."""
        ...

    def is_head(self, head: Head) -> bool:
        """Whether this is still the newest state, looked up without loading the table; False also where only `head()` can tell."""
        ...

    def only_rearranged(self, after: int, upto: int) -> bool:
        """Whether the versions after `after` up to `upto` certainly changed no rows: files were compacted, or nothing was done."""
        ...

    def columns(self, version: int) -> tuple[Column, ...]:
        """The columns at a version. Raises HistoryLost."""
        ...

    def rows(self, version: int) -> Rows:
        """The rows at a version. Raises HistoryLost, also where its data files were vacuumed."""
        ...

    def difference(self, after: int, upto: int, change_source: str | None = None) -> Difference:
        """What changed after `after` up to and including `upto`.

        The cheapest way that is right for this range is chosen, unless `change_source` pins it.
        Raises HistoryLost where the history at `after` is gone.
        """
        ...

    def retention_hours(self) -> float | None:
        """For how long data files of past versions are kept, None if unlimited or unknown."""
        ...
