"""Rhythms: what is accepted, and that Dagster's scheduler reads it the same way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cdp_exports.entities.cadence import Cadence, Weekday
from cdp_exports.entities.cron import check_cron


def ticks(cadence: Cadence, time_zone: str, start: datetime, count: int) -> list[datetime]:
    """The first moments at which Dagster's scheduler would tick."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    crons, zone = cadence.to_crons(time_zone)
    moments = schedule_execution_time_iterator(start.timestamp(), list(crons), zone)
    return [datetime.fromtimestamp(next(moments).timestamp(), UTC) for _ in range(count)]


@pytest.mark.parametrize(
    ("declared", "crons"),
    [
        ({"every": "3h"}, (("0 0,3,6,9,12,15,18,21 * * *",), "UTC")),
        ({"every": "6h", "start": "2026-12-01T02:30Z"}, (("30 2,8,14,20 * * *",), "UTC")),
        ({"every": "8h", "start": "2026-12-01T02:00+05:30"}, (("30 4,12,20 * * *",), "UTC")),
        ({"every": "12h", "start": "2026-12-01T23:00Z"}, (("0 11,23 * * *",), "UTC")),
        ({"daily_at": "00:05"}, (("5 0 * * *",), "Europe/Paris")),
        ({"daily_at": ["14:00", "02:00", "02:30"]}, (("0 2,14 * * *", "30 2 * * *"), "Europe/Paris")),
        ({"daily_at": "00:05", "time_zone": "Asia/Tokyo"}, (("5 0 * * *",), "Asia/Tokyo")),
        ({"weekly_on": ["thursday", "sunday", "monday"], "at": "02:00"}, (("0 2 * * 0,1,4",), "Europe/Paris")),
        ({"monthly_on": [15, 1, "last"], "at": ["06:00", "18:00"]}, (("0 6,18 1,15 * *", "0 6,18 L * *"), "Europe/Paris")),
        ({"monthly_on": [29, 30], "at": "06:00"}, (("0 6 29,30 1,3-12 *", "0 6 L 2 *"), "Europe/Paris")),
        ({"monthly_on": [31], "at": "06:00"}, (("0 6 L * *",), "Europe/Paris")),
        ({"cron": "*/15 9-17 * * mon-fri"}, (("*/15 9-17 * * mon-fri",), "Europe/Paris")),
    ],
)
def test_to_crons(declared: dict[str, Any], crons: tuple[tuple[str, ...], str]) -> None:
    assert Cadence(**declared).to_crons("Europe/Paris") == crons


@given(every=st.sampled_from([3, 6, 8, 12]), start=st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2030, 1, 1)))  # noqa: DTZ001
@settings(deadline=None, max_examples=20)
def test_every_counts_from_start_without_daylight_saving(every: int, start: datetime) -> None:
    first = start.replace(second=0, microsecond=0, tzinfo=UTC)
    cadence = Cadence.model_validate({"every": f"{every}h", "start": first.isoformat()})
    found = ticks(cadence, "America/New_York", first, 20)
    assert found == [first + i * timedelta(hours=every) for i in range(20)]
    assert list(islice(cadence.times_after("America/New_York", datetime(2025, 1, 1, tzinfo=UTC)), 20)) == found


def test_daily_at_keeps_the_wall_clock() -> None:
    found = ticks(Cadence(daily_at=("06:00",)), "Europe/Paris", datetime(2026, 10, 23, 12, tzinfo=UTC), 2)
    assert [moment.astimezone(ZoneInfo("Europe/Paris")).hour for moment in found] == [6, 6]
    assert [moment.astimezone(UTC).hour for moment in found] == [4, 5]


_HOURS = st.one_of(st.sampled_from([0, 1, 2, 3, 23]), st.integers(0, 23))  # those at which clocks are moved are more frequent
_TIMES = st.lists(
    st.tuples(_HOURS, st.sampled_from([0, 15, 30, 59])).map(lambda t: f"{t[0]:02}:{t[1]:02}"), min_size=1, max_size=3, unique=True
)
_DAYS = st.one_of(st.sampled_from([28, 29, 30, 31, "last"]), st.integers(1, 31))
RHYTHMS = st.one_of(
    st.fixed_dictionaries({"every": st.sampled_from(["3h", "6h", "8h", "12h"])}),
    st.fixed_dictionaries({"daily_at": _TIMES}),
    st.fixed_dictionaries({"weekly_on": st.lists(st.sampled_from(get_args(Weekday)), min_size=1, unique=True), "at": _TIMES}),
    st.fixed_dictionaries({"monthly_on": st.lists(_DAYS, min_size=1, max_size=4, unique=True), "at": _TIMES}),
    st.fixed_dictionaries(
        {
            "cron": st.sampled_from(
                [
                    "30 * * * *",
                    "*/20 1-3 * * *",
                    "15 2 * * 0",
                    "0 2 L * *",
                    "0 0 29 2 *",
                    "30 2 1,L * 1",
                    "5 */2 * 3,10 sun",
                    "0 3 */1 * 1-6",
                ]
            )
        }
    ),
)
ZONES = st.sampled_from(
    ["UTC", "Europe/Paris", "Europe/London", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Australia/Sydney", "Pacific/Auckland"]
)
MOVED_STRANGELY = st.sampled_from(
    [
        "Africa/Cairo",
        "America/Santiago",
        "Asia/Beirut",
        "America/Nuuk",
        "Atlantic/Azores",
        "America/Havana",
        "Europe/Dublin",
        "Africa/Casablanca",
    ]
)


@given(rhythm=RHYTHMS, zone=ZONES | MOVED_STRANGELY, start=st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1)))  # noqa: DTZ001
@settings(deadline=None, max_examples=150)
def test_the_next_times_are_those_of_dagsters_scheduler(rhythm: dict[str, Any], zone: str, start: datetime) -> None:
    """Over years, leap days, and nights when a clock is moved, both ways, on both halves of the earth."""
    cadence, start = Cadence(**rhythm), start.replace(microsecond=0, tzinfo=UTC)
    found = list(islice(cadence.times_after(zone, start - timedelta(seconds=1)), 100))
    assert found == ticks(cadence, zone, start, 100)


@given(rhythm=RHYTHMS, zone=ZONES | MOVED_STRANGELY, start=st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1)))  # noqa: DTZ001
@settings(deadline=None, max_examples=60)
def test_a_scheduler_that_goes_on_from_any_moment_finds_the_same(rhythm: dict[str, Any], zone: str, start: datetime) -> None:
    """As a daemon does after each tick, and when it is started again: no time is missed and none comes twice."""
    cadence, start = Cadence(**rhythm), start.replace(microsecond=0, tzinfo=UTC)
    straight = ticks(cadence, zone, start, 30)
    at = start
    for expected in straight:
        (found,) = ticks(cadence, zone, at, 1)
        assert found == expected
        at = found + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Africa/Cairo", "2026-10-29"),
        ("America/Santiago", "2026-04-04"),
        ("America/Nuuk", "2026-03-28"),
        ("America/Nuuk", "2026-10-24"),
        ("Atlantic/Azores", "2026-10-25"),
        ("Europe/Dublin", "2026-03-29"),
        ("Africa/Casablanca", "2026-03-22"),
        ("Antarctica/Troll", "2026-03-29"),
    ],
)
@pytest.mark.parametrize("time", ["00:30", "01:30", "02:30", "23:30"])
@pytest.mark.parametrize("rhythm", ["daily_at", "weekly_on", "monthly_on"])
def test_dagsters_scheduler_gets_through_nights_that_it_does_not_expect(zone: str, night: str, time: str, rhythm: str) -> None:
    """With the plain expression it fails on these nights, and so on every later look: the schedule never ticks again."""
    day = date.fromisoformat(night)
    on = {"daily_at": time, "weekly_on": [f"{day:%A}".lower()], "monthly_on": [day.day]}[rhythm]
    cadence = Cadence.model_validate({rhythm: on} if rhythm == "daily_at" else {rhythm: on, "at": time})
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2)
    found: list[datetime] = []
    looked = start - timedelta(seconds=1)
    for half_hours in range(4 * 48):
        now = start + timedelta(minutes=30) * half_hours
        due = [moment for moment in ticks(cadence, zone, looked + timedelta(seconds=1), 5) if moment <= now]
        looked = due[-1] if due else now
        found += due
    end = start + timedelta(days=4) - timedelta(minutes=30)
    assert found == list(takewhile(lambda moment: moment <= end, cadence.times_after(zone, start - timedelta(seconds=1))))
    assert found


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Sydney", "Africa/Cairo", "Europe/Dublin"])
@pytest.mark.parametrize("time", ["00:30", "01:30", "02:00", "02:30", "03:00", "23:30"])
def test_each_day_has_its_time_once(zone: str, time: str) -> None:
    """Whatever the clock does: the day is never left out, and never comes twice."""
    found = list(islice(Cadence(daily_at=(time,)).times_after(zone, datetime(2026, 1, 1, tzinfo=UTC)), 1000))
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert days == [days[0] + timedelta(days=index) for index in range(1000)]


@pytest.mark.parametrize(
    ("days", "year", "expected"),
    [
        ([30, 31], 2027, ["01-30", "01-31", "02-28", "03-30", "03-31", "04-30", "05-30", "05-31", "06-30"]),
        ([30, 31], 2028, ["01-30", "01-31", "02-29", "03-30", "03-31", "04-30"]),
        ([29], 2027, ["01-29", "02-28", "03-29"]),
        ([29], 2028, ["01-29", "02-29", "03-29"]),
        (["last", 31], 2027, ["01-31", "02-28", "03-31", "04-30"]),
        ([28, "last"], 2027, ["01-28", "01-31", "02-28", "03-28", "03-31"]),
        ([1, 29, 30, 31], 2027, ["01-01", "01-29", "01-30", "01-31", "02-01", "02-28", "03-01"]),
    ],
)
def test_a_day_that_a_month_lacks_is_its_last_one_once(days: list[Any], year: int, expected: list[str]) -> None:
    cadence = Cadence(monthly_on=tuple(days), at=("02:00",))
    found = islice(cadence.times_after("UTC", datetime(year, 1, 1, tzinfo=UTC)), len(expected))
    assert [f"{moment:%m-%d}" for moment in found] == expected


def test_the_next_times_lie_between_start_and_end() -> None:
    cadence = Cadence(daily_at=("02:00",), start="2026-12-01T02:00Z", end="2026-12-03T02:00Z")
    found = cadence.times_after("UTC", datetime(2026, 1, 1, tzinfo=UTC))
    assert [moment.day for moment in found] == [1, 2, 3]
    assert list(cadence.times_after("UTC", datetime(2026, 12, 3, 2, tzinfo=UTC))) == []


_NUMBERS = st.integers(0, 62).map(str)
_ITEM = st.one_of(
    st.just("*"),
    _NUMBERS,
    st.tuples(_NUMBERS, _NUMBERS).map("-".join),
    st.tuples(st.just("*"), _NUMBERS).map("/".join),
    st.sampled_from(["jan", "Sun", "mon-fri", "L", "l", "*/1", "3-3", "?", "", "#", "1-5/2", "7", "@daily"]),
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
    cadence, start = Cadence(cron=text), datetime(2026, 1, 1, tzinfo=UTC)
    assert list(islice(cadence.times_after("UTC", start - timedelta(seconds=1)), 3)) == ticks(cadence, "UTC", start, 3)


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({}, "`cron` and `after`; here: none"),
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
        ({"cron": "0 0 30 2 1"}, "would never run"),
        ({"cron": "0 9-9 * * *"}, "'9-9' begins where it ends; write 9"),
        ({"daily_at": []}, "at least 1 item"),
        ({"daily_at": ["02:00", "2"]}, "HH:MM"),
        ({"daily_at": ["02:00", "02:00"]}, "named twice"),
        ({"daily_at": "02:00", "at": "03:00"}, "not with `daily_at`"),
        ({"weekly_on": ["monday"]}, "needs a time"),
        ({"weekly_on": ["montag"], "at": "02:00"}, "'monday'"),
        ({"monthly_on": [1, 1], "at": "02:00"}, "named twice"),
        ({"monthly_on": [32], "at": "02:00"}, "1 to 31, or `last`"),
        ({"monthly_on": [True], "at": "02:00"}, "1 to 31, or `last`"),
        ({"every": "3h", "time_zone": "Europe/Paris"}, "counts in UTC"),
        ({"daily_at": "02:00", "time_zone": "Europe/Pari"}, "Europe/Paris"),
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
