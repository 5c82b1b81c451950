"""How one member's delivery ended, for whoever asked for it: Dagster, the command line, a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cdp_exports.delivery.limits import LimitState
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import CdpExportsError, Skip
from cdp_exports.ledger.records import Delivery


@dataclass(frozen=True)
class Outcome:
    """One member at one export time.

    `committed` carries the `delivery` (with `sent` False where it had been committed before and nothing was sent now),
    `skipped` the Skip, `failed` the error. `warnings` are sentences for people; `limits` were judged before sending.
    """

    export: str
    member: str
    export_time: ExportTime
    status: Literal["committed", "skipped", "failed"]
    delivery: Delivery | None = None
    sent: bool = False
    error: CdpExportsError | None = None
    uri: str | None = None  # the delivery's folder at the destination
    warnings: tuple[str, ...] = field(default=())
    limits: tuple[LimitState, ...] = ()

    @property
    def skip(self) -> Skip | None:
        return self.error if isinstance(self.error, Skip) else None
