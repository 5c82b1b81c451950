"""Exports that follow the refresh of what they read."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from cdp_exports.entities.model import Declared

_SPAN = re.compile(r"([1-9][0-9]{0,3})(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class AfterRefresh(Declared):
    """When a refresh makes an export due."""

    refresh: Literal["any", "all"] = "any"
    """`any`: one of the datasets that it reads has changed since its last delivery; `all`: every one of them has."""


def _in_short(value: Any) -> Any:
    return {"refresh": "any"} if value == "refresh" else value


def _a_span(text: str) -> str:
    if not _SPAN.fullmatch(text):
        raise ValueError("write a time span as 30m, 6h or 2d")
    return text


After = Annotated[AfterRefresh, BeforeValidator(_in_short, json_schema_input_type=Literal["refresh"] | AfterRefresh)]
"""`refresh`, in short, or `{refresh: any}`, or `{refresh: all}`."""

Span = Annotated[str, AfterValidator(_a_span)]
"""Minutes, hours or days: `30m`, `6h`, `2d`."""


def span(text: str) -> timedelta:
    """How long that is.

    >>> span("90m")
    datetime.timedelta(seconds=5400)
    """
    number, unit = text[:-1], text[-1]
    return timedelta(**{_UNITS[unit]: int(number)})
