"""Deliver an export at one export time. CONTRACT DRAFT: body follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cdp_exports.delivery.context import Context
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime


def deliver(
    context: Context,
    export_id: str,
    export_time: ExportTime,
    *,
    run_id: str,
    members: Sequence[str] | None = None,
    full: bool = False,
    known_elsewhere: Mapping[str, ExportTime] | None = None,
) -> Iterator[Outcome]:
    """Deliver members (default: all) one after the other under the export's lease; one Outcome each, whatever happens to the others.

    `known_elsewhere`: the newest export time of each member that Dagster has materialized.
    Interrupts (KeyboardInterrupt, Dagster's) abort uploads, free the lease and go on up.
    """
    raise NotImplementedError
