"""Named time zones."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator

from cdp_exports.entities.nearest import nearest


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as Europe
        hint = nearest(value, available_timezones())
        raise ValueError(f"{value!r} is no time zone of the IANA database, such as Europe/Paris or UTC{hint}") from None
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""A zone of the IANA database, such as Europe/Paris."""
