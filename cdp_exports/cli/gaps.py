"""How long an export may pause between two deliveries, by its schedule.

Dagster's reading of cron is no public API, so it is used in this file alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

_YEAR = timedelta(days=366)
_ENOUGH = 3000  # ticks: a year of every 3 hours


def longest_gap_hours(cron: str, time_zone: str) -> float:
    """The longest pause between two ticks, over a year or 3,000 ticks.

    >>> longest_gap_hours("0 2 * * *", "UTC"), longest_gap_hours("0 8 * * 1-5", "UTC")
    (24.0, 72.0)
    """
    from dagster._utils.schedules import schedule_execution_time_iterator

    start = datetime(2026, 1, 1, tzinfo=UTC)
    coming = schedule_execution_time_iterator(start.timestamp(), cron, time_zone)
    ticks = islice(takewhile(lambda tick: tick < start + _YEAR, coming), _ENOUGH)
    gaps = [(later.astimezone(UTC) - earlier.astimezone(UTC)).total_seconds() / 3600 for earlier, later in pairwise(ticks)]
    return max(gaps, default=_YEAR.total_seconds() / 3600)
