"""When export times happen."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import field_validator, model_validator

from cdp_exports.entities.model import Declared


class Cadence(Declared):
    """Exactly one of `every`, `daily_at` and `cron`, between `start` and `end`, both inclusive."""

    every: Literal["3h", "6h", "8h", "12h"] | None = None
    """Counted in UTC from `start`, else from 00:00; knows no daylight saving."""

    daily_at: str | None = None
    """`"HH:MM"` in the environment's time zone."""

    cron: str | None = None
    """Five fields, in the environment's time zone."""

    start: str | None = None
    """The first moment, ISO 8601 with a zone, for example 2026-12-01T02:00Z."""

    end: str | None = None
    """The last moment."""
