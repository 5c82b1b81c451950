"""When export times happen."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from cdp_exports.entities.cron import check_cron
from cdp_exports.entities.model import Declared

_DAILY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


class Cadence(Declared):
    """Exactly one of `every`, `daily_at` and `cron`, between `start` and `end`, both inclusive.

    >>> Cadence(every="6h", start="2026-12-01T02:30Z").to_cron("Europe/Paris")
    ('30 2,8,14,20 * * *', 'UTC')
    >>> Cadence(daily_at="06:05").to_cron("Europe/Paris")
    ('5 6 * * *', 'Europe/Paris')
    """

    every: Literal["3h", "6h", "8h", "12h"] | None = None
    """Counted in UTC from `start`, else from 00:00; knows no daylight saving."""

    daily_at: str | None = None
    """`"HH:MM"` in the environment's time zone."""

    cron: str | None = None
    """Five fields (minute, hour, day, month, weekday), in the environment's time zone."""

    start: str | None = None
    """The first moment, ISO 8601 with a zone, for example 2026-12-01T02:00Z."""

    end: str | None = None
    """The last moment, written like `start`."""

    @field_validator("daily_at")
    @classmethod
    def _a_time_of_day(cls, value: str | None) -> str | None:
        if value is not None and not _DAILY.fullmatch(value):
            raise ValueError("write the time of day as HH:MM, from 00:00 to 23:59")
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
        given = [name for name in ("every", "daily_at", "cron") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{name}`" for name in given) or "none"
            raise ValueError(f"a schedule has exactly one of `every`, `daily_at` and `cron`; here: {found}")
        return self

    def contains(self, moment: datetime) -> bool:
        """Whether a moment (with a zone) lies between `start` and `end`, both inclusive.

        >>> Cadence(every="3h", end="2027-06-30T00:00Z").contains(datetime(2027, 6, 30, 0, 0, tzinfo=UTC))
        True
        """
        return (self.start is None or _moment(self.start) <= moment) and (self.end is None or moment <= _moment(self.end))

    def to_cron(self, time_zone: str) -> tuple[str, str]:
        """The cron expression and the time zone it counts in; `time_zone` is the environment's."""
        if self.cron is not None:
            return self.cron, time_zone
        if self.daily_at is not None:
            hour, minute = self.daily_at.split(":")
            return f"{int(minute)} {int(hour)} * * *", time_zone
        step = int((self.every or "").removesuffix("h"))
        first = _moment(self.start or "1970-01-01T00:00Z").astimezone(UTC)
        hours = range(first.hour % step, 24, step)
        return f"{first.minute} {','.join(map(str, hours))} * * *", "UTC"


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
