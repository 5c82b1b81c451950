"""When export times happen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator, model_validator

from cdp_exports.entities.cron import as_scheduled, check_cron, moments_after
from cdp_exports.entities.model import Declared, Several, WrongItem
from cdp_exports.entities.refresh import After, Span
from cdp_exports.entities.time_zone import TimeZone

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_WEEKDAYS: tuple[Weekday, ...] = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")  # as cron counts them

_RHYTHMS = ("every", "daily_at", "weekly_on", "monthly_on", "cron", "after")


def _a_time(text: Any) -> Any:
    if isinstance(text, str) and not _TIME.fullmatch(text):
        raise ValueError("write the time of day as HH:MM, from 00:00 to 23:59")
    return text


def _one_or_several(value: Any) -> Any:
    return (_a_time(value),) if isinstance(value, str) else value


def _a_day(value: Any) -> int | str:
    if value == "last" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 31):
        return value
    raise ValueError("a day of the month is 1 to 31, or `last`")


Times = Annotated[
    tuple[Annotated[str, BeforeValidator(_a_time)], ...],
    Field(strict=False, min_length=1),
    BeforeValidator(_one_or_several, json_schema_input_type=str | list[str]),
]
"""`"HH:MM"`, or a list of them."""

Day = Annotated[int | Literal["last"], PlainValidator(_a_day, json_schema_input_type=int | Literal["last"])]
"""A day of the month; one that a month has not is its last day."""


class Cadence(Declared):
    """Exactly one of `every`, `daily_at`, `weekly_on`, `monthly_on`, `cron` and `after`, between `start` and `end`, both inclusive.

    >>> Cadence(every="6h", start="2026-12-01T02:30Z").to_crons("Europe/Paris")
    (('30 2,8,14,20 * * *',), 'UTC')
    >>> Cadence(daily_at=("06:05",)).to_crons("Europe/Paris")
    (('5 6 * * *',), 'Europe/Paris')
    """

    every: Literal["3h", "6h", "8h", "12h"] | None = None
    """Counted in UTC from `start`, else from 00:00; knows no daylight saving."""

    daily_at: Times | None = None
    """`"HH:MM"`, or several of them: `["02:00", "14:00"]`."""

    weekly_on: Annotated[Several[Weekday], Field(min_length=1)] | None = None
    """Days of the week, `[monday, thursday]`, with `at`."""

    monthly_on: Annotated[Several[Day], Field(min_length=1)] | None = None
    """Days of the month, `[1, 15, last]`, with `at`. In a month that has no such day its last day, once."""

    at: Times | None = None
    """The time or times of `weekly_on` and `monthly_on`, written as for `daily_at`."""

    cron: str | None = None
    """Five fields: minute, hour, day, month, weekday. The day may be `L`, a month's last."""

    after: After | None = None
    """`refresh`: when a dataset that the export reads was refreshed and none is being refreshed; `{refresh: all}`: when all were."""

    on_upstream_failure: Literal["skip", "last_good"] = "skip"
    """When a dataset's refresh failed: deliver nothing, or what is there."""

    max_wait: Span = "12h"
    """How long a delivery that fell due waits for a running refresh; then `on_upstream_failure` decides."""

    time_zone: TimeZone | None = None
    """The time zone, as the IANA database names it; default: the environment's. `every` has none."""

    start: str | None = None
    """The first moment, ISO 8601 with a zone, for example 2026-12-01T02:00Z."""

    end: str | None = None
    """The last moment, written like `start`."""

    @field_validator("daily_at", "weekly_on", "monthly_on", "at")
    @classmethod
    def _each_once(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        for index, item in enumerate(value or ()):
            if value and item in value[:index]:
                raise WrongItem(f"{item!r} is named twice", item=index)
        return value

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str | None) -> str | None:
        if value is not None:
            check_cron(value)
        return value

    @field_validator("start", "end")
    @classmethod
    def _a_moment(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            moment, start = _moment(value), info.data.get("start")
            if start is not None and moment < _moment(start):
                raise ValueError("`end` is before `start`")
        return value

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        given = [name for name in _RHYTHMS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "none"
            rhythms = "`every`, `daily_at`, `weekly_on`, `monthly_on`, `cron` and `after`"
            raise ValueError(f"a schedule has exactly one of {rhythms}; here: {found}")
        timed = given[0] in ("weekly_on", "monthly_on")
        if timed and self.at is None:
            raise ValueError(f'`{given[0]}` needs a time: `at: "02:00"`')
        if not timed and self.at is not None:
            raise ValueError(f"`at` goes with `weekly_on` and `monthly_on`, not with `{given[0]}`")
        if self.every and self.time_zone:
            raise ValueError("`every` counts in UTC; leave `time_zone` out")
        if self.after and self.time_zone:
            raise ValueError("a refresh has no clock; leave `time_zone` out")
        return self

    def contains(self, moment: datetime) -> bool:
        """Whether a moment (with a zone) lies between `start` and `end`, both inclusive.

        >>> Cadence(every="3h", end="2027-06-30T00:00Z").contains(datetime(2027, 6, 30, 0, 0, tzinfo=UTC))
        True
        """
        return (self.start is None or _moment(self.start) <= moment) and (self.end is None or moment <= _moment(self.end))

    def to_crons(self, time_zone: str) -> tuple[tuple[str, ...], str]:
        """The cron expressions, any of which makes an export time, and the zone they count in; `time_zone` is the environment's.
        None after a refresh.

        A month's last day is cron's `L`; 29, 30 and 31 are taken apart, so that each month has them once.

        >>> Cadence(monthly_on=(1, 30), at=("02:00",)).to_crons("UTC")[0]
        ('0 2 1 * *', '0 2 30 1,3-12 *', '0 2 L 2 *')
        """
        zone = self.time_zone or time_zone
        if self.cron is not None:
            return as_scheduled([self.cron], zone), zone
        if self.after is not None:
            return (), zone
        if self.every is not None:
            step = int(self.every.removesuffix("h"))
            first = _moment(self.start or "1970-01-01T00:00Z").astimezone(UTC)
            return (f"{first.minute} {_numbers(range(first.hour % step, 24, step))} * * *",), "UTC"
        crons = [f"{time} {days}" for time in _times(self.daily_at or self.at or ()) for days in self._days()]
        return as_scheduled(crons, zone), zone

    def _days(self) -> list[str]:
        """Day, month and weekday of cron."""
        if self.weekly_on:
            return [f"* * {_numbers(_WEEKDAYS.index(day) for day in self.weekly_on)}"]
        if not self.monthly_on:
            return ["* * *"]
        days = {31 if day == "last" else day for day in self.monthly_on}
        always, most = days & set(range(1, 29)), days & {29, 30}
        found = [f"{_numbers(always)} * *"] if always else []
        found += [f"{_numbers(most)} 1,3-12 *"] if most else []
        return [*found, *(["L * *"] if 31 in days else ["L 2 *"] if most else [])]

    def times_after(self, time_zone: str, after: datetime) -> Iterator[datetime]:
        """The export times (UTC) after a moment, in order; `time_zone` is the environment's.

        They are those of Dagster's own scheduler, on nights too when a clock is moved.

        >>> [f"{time:%d %H:%M}" for time in Cadence(every="12h", end="2026-12-02T00:00Z").times_after("UTC", _moment("2026-12-01T00:00Z"))]
        ['01 12:00', '02 00:00']
        """
        crons, zone = self.to_crons(time_zone)
        if self.start is not None and after < (start := _moment(self.start)):
            after = start - timedelta(minutes=1)
        yield from takewhile(self.contains, moments_after(crons, zone, after))


def _times(times: tuple[str, ...]) -> list[str]:
    """Minute and hours of cron, times of the same minute together.

    >>> _times(("14:00", "02:00", "02:30"))
    ['0 2,14', '30 2']
    """
    hours: dict[int, set[int]] = {}
    for time in times:
        hour, _, minute = time.partition(":")
        hours.setdefault(int(minute), set()).add(int(hour))
    return [f"{minute} {_numbers(hours[minute])}" for minute in sorted(hours)]


def _numbers(values: Any) -> str:
    return ",".join(map(str, sorted(values)))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write a moment as in 2026-12-01T02:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("a moment needs a zone: 2026-12-01T02:00Z or 2026-12-01T02:00+01:00")
    if moment.second or moment.microsecond:
        raise ValueError("a moment is a whole minute")
    return moment
