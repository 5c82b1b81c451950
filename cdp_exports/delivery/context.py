"""What a delivery needs of the world, so that the protocol itself opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.ledger.ledger import Ledger

if TYPE_CHECKING:
    from cdp_exports.destinations.audience import AudienceDestination
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.sources.source import Source

Progress = Callable[[str, str, int, int | None], None]
"""Called now and then with (member, step, rows so far, rows expected or None)."""


def silent(member: str, step: str, done: int, total: int | None) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True)
class Context:
    """The catalog, the ledger, and how to open a dataset's source, a connection's destination (of either family) and the state folder.

    A connection is opened once: signing in may take a call to another service.
    """

    catalog: Catalog
    ledger: Ledger
    open_source: Callable[[str], Source]
    open_destination: Callable[[str], FileDestination]
    open_audience: Callable[[str], AudienceDestination]
    open_state: Callable[[], FileDestination]
    progress: Progress = silent

    def __post_init__(self) -> None:
        object.__setattr__(self, "open_destination", cache(self.open_destination))
        object.__setattr__(self, "open_audience", cache(self.open_audience))
        object.__setattr__(self, "open_state", cache(self.open_state))
