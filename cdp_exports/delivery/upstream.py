"""The sources of one run, each opened once and its head looked up once: all members see the same versions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cdp_exports.errors import HistoryLost

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.delivery.context import Context
    from cdp_exports.ledger.records import SourcePin
    from cdp_exports.sources.source import Head, Source


class Upstream:
    """Made anew for every run: a table that was recreated between two is another one."""

    def __init__(self, context: Context) -> None:
        self._open = cache(context.open_source)
        self._renamed = {old: name for name, dataset in context.catalog.datasets.items() if (old := dataset.formerly)}
        self._heads: dict[str, Head] = {}

    def source(self, dataset: str) -> Source:
        """The source of a dataset, also by the id it had before."""
        return self._open(self._renamed.get(dataset, dataset))

    def head(self, dataset: str) -> Head:
        """The newest state of a dataset when this run first asked.

        Raises:
            SourceUnreadable, TransientError: it cannot be read.
        """
        if dataset not in self._heads:
            self._heads[dataset] = self.source(dataset).head()
        return self._heads[dataset]

    def pinned(self, pin: SourcePin) -> Source:
        """The source of a pin.

        Raises:
            HistoryLost: the pinned version is gone, or another commit stands under it.
        """
        source = self.source(pin.dataset)
        if source.at(pin.upto_version).commit != pin.upto_commit:
            raise HistoryLost(
                f"Another commit stands under version {pin.upto_version} of {pin.dataset} than when this delivery was pinned.",
                next_step="The table was restored from a backup. Run a new export time: it closes this one.",
                reason="source_rewound",
            )
        return source

    def rows(self, pin: SourcePin) -> pl.LazyFrame:
        """All rows at the pinned version. Raises HistoryLost."""
        return self.pinned(pin).rows(pin.upto_version).frame
