"""How long an export may pause between two deliveries, by its schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

from cdp_exports.entities.cadence import Cadence

_YEAR = timedelta(days=366)
_ENOUGH = 3000  # export times: a year of every 3 hours


def longest_gap_hours(cadence: Cadence, time_zone: str) -> float:
    """The longest pause between two export times, over a year or 3,000 of them, wherever the schedule begins and ends.

    >>> longest_gap_hours(Cadence(cron="0 2 * * *"), "UTC"), longest_gap_hours(Cadence(cron="0 8 * * 1-5"), "UTC")
    (24.0, 72.0)
    """
    from cdp_exports.entities.cron import moments_after

    start = datetime(2026, 1, 1, tzinfo=UTC)
    crons, zone = cadence.to_crons(time_zone)
    times = islice(takewhile(lambda time: time < start + _YEAR, moments_after(crons, zone, start)), _ENOUGH)
    gaps = [(later - earlier).total_seconds() / 3600 for earlier, later in pairwise(times)]
    return max(gaps, default=_YEAR.total_seconds() / 3600)
