"""Backfills: they ask again for every export time without a delivery, also for those that need none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cdp_exports.delivery.context import Context
from cdp_exports.delivery.member import members_of
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip
from cdp_exports.ledger.history import PASSING_BY
from cdp_exports.ledger.records import State

BACKFILL = "dagster/backfill"
"""The tag of a backfill's runs."""


def skipped_before(context: Context, export_id: str, export_time: ExportTime, members: Sequence[str]) -> Iterator[Outcome]:
    """What was skipped at this export time by rule stays so: a backfill fills gaps that failures left, and decides nothing anew.

    A person who wants it delivered after all runs that one export time.
    """
    for member in members_of(context, export_id, members):
        delivery = member.delivery(export_time)
        record = context.ledger.skipped(member.environment, member.exports, member.id, export_time)
        if record is not None and (delivery is None or delivery.state is State.COVERED):
            skip = Skip(record.message, next_step=record.next_step, reason=record.reason)
            skip.of(export=export_id, member=member.id, export_time=str(export_time))
            yield Outcome(export_id, member.id, export_time, "skipped", error=skip)


def is_decided(outcome: Outcome) -> bool:
    """Whether a skip is by rule, and not because another run is at it."""
    return outcome.skip is not None and outcome.skip.reason not in PASSING_BY
