"""Cron expressions: five fields as Dagster's scheduler reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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

    Raises:
        ValueError: says which field is wrong, or that the moment never comes (30 February).
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"a cron expression has five fields (minute hour day month weekday), not {len(parts)}")
    _, _, days, months, _ = (field.values(part) for field, part in zip(_FIELDS, parts, strict=True))
    if parts[4] == "*" and min(days) > max(_LONGEST[month - 1] for month in months):
        raise ValueError("no such month has such a day, so it would never run")
