"""A compiled segment as the ledger keeps it, so that every attempt evaluates what was pinned."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from cdp_exports.ledger.records import Pin
from cdp_exports.segments.audience import Audience, Part, Way


@cache
def _adapter() -> TypeAdapter[Audience]:
    return TypeAdapter(Audience)


def plain(audience: Audience) -> dict[str, Any]:
    """As plain data."""
    return _adapter().dump_python(audience, mode="json")


def pinned_audience(pin: Pin) -> Audience | None:
    """Back from plain data; None of a pin of plain rows, or one rebuilt from a manifest."""
    return None if pin.audience is None else _adapter().validate_python(pin.audience)


def list_types(audience: Audience, part: Part) -> dict[str, str]:
    """The columns of a list that are read, with their types."""
    return {**{name: audience.tables[audience.of][name] for name in part.key}, **part.columns}


def guarded_as_now(pinned: Audience, now: Audience | None) -> tuple[Audience, bool]:
    """The pinned audience with the consent and suppression that hold now, and whether they are those it was pinned with.

    Who may not be sent to is never decided by what was declared earlier.
    """
    if now is None or (now.consents, now.suppressions) == (pinned.consents, pinned.suppressions):
        return pinned, True
    tables = {name: {**now.tables.get(name, {}), **pinned.tables.get(name, {})} for name in {*now.tables, *pinned.tables}}
    return replace(pinned, consents=now.consents, suppressions=now.suppressions, tables=tables, way=Way.COMPARED), False
