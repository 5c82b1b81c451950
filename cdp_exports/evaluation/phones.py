"""Telephone numbers in the form of ITU-T E.164, by Google's rules."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cdp_exports.evaluation.session import Session


def e164(number: str | None, country: str | None) -> str | None:
    """The number as the world dials it; None where it is none that could be assigned.

    >>> e164("06 12 34 56 78", "FR"), e164("+1 650-253-0000", "FR"), e164("0000", "FR")
    ('+33612345678', '+16502530000', None)
    """
    import phonenumbers

    if number is None:
        return None
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if phonenumbers.is_valid_number(parsed) else None


def offer(session: Session, compiled: Sequence[object]) -> None:
    """As the SQL function `e164`, where any of what was compiled calls it."""
    if any("e164(" in repr(one).lower() for one in compiled):
        session.offer("e164", lru_cache(maxsize=100_000)(e164), ["VARCHAR", "VARCHAR"], "VARCHAR")
