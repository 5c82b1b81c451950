"""Cron expressions: five fields as Dagster's scheduler reads them, and the moments they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days a month may have


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    words: Sequence[str] = ()

    def number(self, text: str) -> int:
        if text.lower() in self.words:
            return self.lowest + self.words.index(text.lower())
        number = int(text) if re.fullmatch(r"[0-9]{1,2}", text) else -1
        if not self.lowest <= number <= self.highest:
            words = f" or {' '.join(self.words)}" if self.words else ""
            raise ValueError(f"the {self.name} {text!r} is not one of {self.lowest} to {self.highest}{words}")
        return number

    def values(self, text: str) -> set[int]:
        """The values of `*`, `a`, `a-b`, `*/step`, `a-b/step` and lists of them."""
        found: set[int] = set()
        for item in text.split(","):
            span, slash, step = item.partition("/")
            first, dash, last = span.partition("-")
            if slash and (not re.fullmatch(r"[1-9][0-9]?", step) or not (span == "*" or dash)):
                raise ValueError(f"the {self.name} {item!r} is not understood: a step is written */5 or 10-50/5")
            if dash and first.lower() == last.lower():  # of which Dagster's scheduler makes every value there is
                raise ValueError(f"the {self.name} {span!r} begins where it ends; write {first}")
            low, high = (self.lowest, self.highest) if span == "*" else (self.number(first), self.number(last if dash else first))
            if low > high:
                raise ValueError(f"the {self.name} {span!r} ends before it begins")
            found.update(range(low, high + 1, int(step or 1)))
        return found


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _WEEKDAYS),
)


def check_cron(text: str) -> None:
    """Accept a cron expression that names moments: minute, hour, day of the month, month, day of the week (0 is Sunday).

    The day of the month may be `L`, the last one. Where both days are given, either suffices, as in every cron.

    Raises:
        ValueError: says which field is wrong, or that the moment never comes (30 February).
    """
    cron = Cron.parse(text)
    if cron.days and not cron.last_day and min(cron.days) > max(_LONGEST[month - 1] for month in cron.months):
        raise ValueError("no such month has such a day, so it would never run")


@dataclass(frozen=True)
class Cron:
    """A cron expression, read. None: any day of the month, any day of the week."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int] | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: ValueError: says which field is wrong."""
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise ValueError(f"a cron expression has five fields (minute hour day month weekday), not {len(parts)}")
        days, of_week = parts[2].split(","), parts[4]
        listed = [day for day in days if day.upper() != "L"]
        last_day = len(listed) < len(days)
        parts[2] = ",".join(listed) or "1"
        minutes, hours, of_month, months, weekdays = (field.values(part) for field, part in zip(_FIELDS, parts, strict=True))
        # a list of all there are is `*` only where the other kind of day has a `*`: Dagster's scheduler has it so
        any_day = "*" in days or (len(of_month) == 31 and not last_day and "*" in of_week)
        any_weekday = "*" in of_week.split(",") or (len(weekdays) == 7 and any("*" in day for day in days))
        return cls(
            tuple(sorted(minutes)),
            tuple(sorted(hours)),
            None if any_day else frozenset(of_month if listed else ()),
            last_day,
            frozenset(months),
            None if any_weekday else frozenset(weekdays),
        )

    def falls_on(self, day: date) -> bool:
        """Whether a day is one of those; where both kinds of day are given, either suffices."""
        if day.month not in self.months:
            return False
        of_month = self.days is None or day.day in self.days or (self.last_day and (day + timedelta(days=1)).day == 1)
        of_week = self.weekdays is None or day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.days is not None and self.weekdays is not None else of_month and of_week

    def moments(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        """The moments (UTC) of a day on the zone's clock, as Dagster's scheduler finds them where the clock is moved: of a time
        that comes twice the second; of one that is skipped the end of the gap. Where every hour is meant, all that there are.

        >>> paris = ZoneInfo("Europe/Paris")
        >>> [f"{moment:%H:%M}" for moment in Cron.parse("30 2 * * *").moments(date(2026, 3, 29), paris)]  # 02:00 becomes 03:00
        ['01:00']
        >>> [f"{moment:%H:%M}" for moment in Cron.parse("30 2 * * *").moments(date(2026, 10, 25), paris)]  # 03:00 becomes 02:00
        ['01:30']
        """
        if not self.falls_on(day):
            return
        every_hour = len(self.hours) == 24
        for hour in self.hours:
            for minute in self.minutes:
                first = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
                second = first.replace(fold=1)
                if not _is_skipped(first):
                    yield second.astimezone(UTC)
                    if every_hour and _is_moved(first):
                        yield first.astimezone(UTC)
                elif not every_hour:
                    yield _end_of_gap(first, zone).astimezone(UTC)


def _end_of_gap(skipped: datetime, zone: ZoneInfo) -> datetime:
    """Exactly what Dagster does: between 1 and 4 o'clock it takes the whole hour and adds the daylight saving, else only the gap."""
    if skipped.hour not in (1, 2, 3):
        return skipped
    return skipped.replace(minute=0) + (zone.dst(skipped + timedelta(hours=1)) or timedelta())


def as_scheduled(crons: Sequence[str], time_zone: str) -> tuple[str, ...]:
    """The same moments, in expressions with which Dagster's scheduler finds them in every zone.

    Dagster 1.13 has code of its own for one time on all days, on days of the week or on one of the month. Where a zone's clock
    is moved around midnight (Cairo, Santiago, Beirut, Nuuk, the Azores), that code fails at the time that comes twice and never
    ticks again; and where winter time is the exception (Dublin, Casablanca) it is an hour early. For these hours the year is cut
    in two: expressions with months are read by code that is right.

    >>> as_scheduled(["30 23 * * *", "0 6 * * *"], "Africa/Cairo")
    ('30 23 * 1-6 *', '30 23 * 7-12 *', '0 6 * * *')
    """
    return tuple(part for cron in crons for part in (_halves(cron) if _at_risk(cron, time_zone) else (cron,)))


def _halves(cron: str) -> tuple[str, str]:
    minute, hour, day, _, weekday = cron.split()
    return f"{minute} {hour} {day} 1-6 {weekday}", f"{minute} {hour} {day} 7-12 {weekday}"


def _at_risk(cron: str, time_zone: str) -> bool:
    parsed = _parsed(cron)
    once_a_day = len(parsed.hours) == len(parsed.minutes) == 1 and len(parsed.months) == 12
    return once_a_day and _is_moved_strangely(time_zone, parsed.hours[0])


@lru_cache(maxsize=4096)
def _is_moved_strangely(time_zone: str, hour: int) -> bool:
    """Whether in these twenty years an hour is skipped or comes twice, other than at 1 to 4 o'clock with summer time as the exception."""
    zone = ZoneInfo(time_zone)
    for day in _days_of_moves(time_zone):
        for minute in (0, 30):
            time = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            if _is_moved(time) and (hour not in (1, 2, 3) or (_is_skipped(time) and _is_moved(_end_of_gap(time, zone)))):
                return True
    return False


@lru_cache(maxsize=64)
def _days_of_moves(time_zone: str) -> list[date]:
    """The days between whose midnights a clock is moved, and the day before and after each."""
    zone = ZoneInfo(time_zone)
    midnights = [datetime(2025, 1, 1, tzinfo=zone) + timedelta(days=days) for days in range(20 * 366)]
    moved = [first.date() for first, second in pairwise(midnights) if first.utcoffset() != second.utcoffset()]
    return sorted({day + timedelta(days=beside) for day in moved for beside in (-1, 0, 1)})


def _is_moved(time: datetime) -> bool:
    return time.replace(fold=0).utcoffset() != time.replace(fold=1).utcoffset()


def _is_skipped(time: datetime) -> bool:
    before, after = time.replace(fold=0).utcoffset(), time.replace(fold=1).utcoffset()
    return before is not None and after is not None and before < after


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Cron:
    return Cron.parse(text)


def moments_after(crons: Sequence[str], time_zone: str, after: datetime) -> Iterator[datetime]:
    """The moments (UTC) that any of the expressions names after a moment, each once, in order, without end.

    >>> found = moments_after(["0 2 L * *"], "UTC", datetime(2028, 1, 31, 2, tzinfo=UTC))
    >>> [f"{next(found):%Y-%m-%d %H:%M}" for _ in range(2)]
    ['2028-02-29 02:00', '2028-03-31 02:00']
    """
    zone, parsed = ZoneInfo(time_zone), [_parsed(cron) for cron in crons]
    day = after.astimezone(zone).date() - timedelta(days=2)
    last = after.astimezone(UTC)
    coming: set[datetime] = set()
    while parsed and day.year < date.max.year:
        # what belongs to the next day may, where a clock is moved, be a few hours earlier than its midnight
        until = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) - timedelta(hours=3)
        coming.update(moment for cron in parsed for moment in cron.moments(day, zone) if moment > last)
        for moment in sorted(moment for moment in coming if moment < until):
            yield moment
            last = moment
        coming = {moment for moment in coming if moment > last}
        day += timedelta(days=1)
