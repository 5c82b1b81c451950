"""Rhythms: what is accepted, and that Dagster's scheduler reads it the same way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.cron import check_cron


def ticks(cadence: Cadence, time_zone: str, start: datetime, count: int) -> list[datetime]:
    """The first moments at which Dagster's scheduler would tick."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    cron, zone = cadence.to_cron(time_zone)
    moments = schedule_execution_time_iterator(start.timestamp(), cron, zone, ascending=True)
    return [next(moments) for _ in range(count)]


@pytest.mark.parametrize(
    ("declared", "cron"),
    [
        ({"every": "3h"}, ("0 0,3,6,9,12,15,18,21 * * *", "UTC")),
        ({"every": "6h", "start": "2026-12-01T02:30Z"}, ("30 2,8,14,20 * * *", "UTC")),
        ({"every": "8h", "start": "2026-12-01T02:00+05:30"}, ("30 4,12,20 * * *", "UTC")),
        ({"every": "12h", "start": "2026-12-01T23:00Z"}, ("0 11,23 * * *", "UTC")),
        ({"daily_at": "00:05"}, ("5 0 * * *", "Europe/Paris")),
        ({"cron": "*/15 9-17 * * mon-fri"}, ("*/15 9-17 * * mon-fri", "Europe/Paris")),
    ],
)
def test_to_cron(declared: dict[str, Any], cron: tuple[str, str]) -> None:
    assert Cadence(**declared).to_cron("Europe/Paris") == cron


@given(every=st.sampled_from([3, 6, 8, 12]), start=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2030, 1, 1)))  # noqa: DTZ001
@settings(deadline=None, max_examples=20)
def test_every_counts_from_start_without_daylight_saving(every: int, start: datetime) -> None:
    first = start.replace(second=0, microsecond=0, tzinfo=UTC)
    cadence = Cadence.model_validate({"every": f"{every}h", "start": first.isoformat()})
    found = ticks(cadence, "America/New_York", first, 20)
    assert found == [first + i * timedelta(hours=every) for i in range(20)]


def test_daily_at_keeps_the_wall_clock() -> None:
    found = ticks(Cadence(daily_at="06:00"), "Europe/Paris", datetime(2026, 10, 23, 12, tzinfo=UTC), 2)
    assert [moment.astimezone(ZoneInfo("Europe/Paris")).hour for moment in found] == [6, 6]
    assert [moment.astimezone(UTC).hour for moment in found] == [4, 5]


_NUMBERS = st.integers(0, 62).map(str)
_ITEM = st.one_of(
    st.just("*"),
    _NUMBERS,
    st.tuples(_NUMBERS, _NUMBERS).map("-".join),
    st.tuples(st.just("*"), _NUMBERS).map("/".join),
    st.sampled_from(["jan", "Sun", "mon-fri", "L", "?", "", "#", "1-5/2", "7", "@daily"]),
)
_FIELD = st.lists(_ITEM, min_size=1, max_size=2).map(",".join)


@given(st.lists(_FIELD, min_size=4, max_size=6).map(" ".join))
@settings(deadline=None, max_examples=400)
def test_what_is_accepted_is_valid_for_dagster(text: str) -> None:
    from dagster._utils.schedules import is_valid_cron_string

    try:
        check_cron(text)
    except ValueError:
        return
    assert is_valid_cron_string(text)
    assert len(ticks(Cadence(cron=text), "UTC", datetime(2026, 1, 1, tzinfo=UTC), 1)) == 1


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({}, "exactly one of `every`, `daily_at` and `cron`; here: none"),
        ({"every": "3h", "daily_at": "02:00"}, "here: `every` and `daily_at`"),
        ({"every": "4h"}, "'3h', '6h', '8h' or '12h'"),
        ({"daily_at": "24:00"}, "HH:MM"),
        ({"daily_at": "2:00"}, "HH:MM"),
        ({"cron": "* * * *"}, "five fields (minute hour day month weekday), not 4"),
        ({"cron": "60 * * * *"}, "the minute '60' is not one of 0 to 59"),
        ({"cron": "0 0 * * funday"}, "sun mon tue"),
        ({"cron": "*/0 * * * *"}, "the minute '*/0' is not understood"),
        ({"cron": "5/10 * * * *"}, "a step is written */5 or 10-50/5"),
        ({"cron": "0 9-5 * * *"}, "ends before it begins"),
        ({"cron": "0 0 30 2 *"}, "would never run"),
        ({"every": "3h", "start": "2026-12-01"}, "needs a zone"),
        ({"every": "3h", "start": "next week"}, "2026-12-01T02:00Z"),
        ({"every": "3h", "end": "2026-12-01T02:00:30Z"}, "whole minute"),
        ({"every": "3h", "start": "2026-12-01T02:00Z", "end": "2026-12-01T01:59Z"}, "`end` is before `start`"),
    ],
)
def test_refused(declared: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Cadence(**declared)
    assert says in str(caught.value)


def test_leap_day_comes() -> None:
    check_cron("0 0 29 feb *")


def test_bounds_are_inclusive() -> None:
    cadence = Cadence(every="3h", start="2026-12-01T02:00Z", end="2026-12-01T05:00+00:00")
    inside = [datetime(2026, 12, 1, hour, minute, tzinfo=UTC) for hour, minute in ((1, 59), (2, 0), (5, 0), (5, 1))]
    assert [cadence.contains(moment) for moment in inside] == [False, True, True, False]
