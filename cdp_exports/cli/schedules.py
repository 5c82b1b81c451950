"""When an export happens, in words and in moments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdp_exports.entities.cadence import Cadence


def cadence_said(cadence: Cadence | None, time_zone: str) -> str:
    """When an export happens, in a few words; `time_zone` is the environment's."""
    if cadence is None:
        return "on demand"
    if cadence.after:
        return f"after refresh of {cadence.after.refresh}"
    zone = cadence.time_zone or time_zone
    if cadence.every:
        return f"every {cadence.every}"
    if cadence.daily_at:
        return f"daily at {_listed(cadence.daily_at)} {zone}"
    if cadence.weekly_on:
        return f"{_listed(cadence.weekly_on)} at {_listed(cadence.at or ())} {zone}"
    if cadence.monthly_on:
        return f"monthly on {_listed(cadence.monthly_on)} at {_listed(cadence.at or ())} {zone}"
    return f"{cadence.cron} {zone}"


def next_times(cadence: Cadence | None, time_zone: str, count: int, *, on: bool | None) -> list[str]:
    """The next export times, `YYYYMMDDHHMM`; none where the schedule is off, has ended or is none."""
    from cdp_exports.entities.export_time import ExportTime

    if cadence is None or not on:
        return []
    return [str(ExportTime(time)) for time in islice(cadence.times_after(time_zone, datetime.now(UTC)), count)]


def _listed(items: Sequence[object]) -> str:
    """Words with `and` before the last.

    >>> _listed(["monday", "friday"]), _listed([1, 15, "last"])
    ('monday and friday', '1, 15 and last')
    """
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last}" if others else last
