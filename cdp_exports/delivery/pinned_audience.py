"""A compiled segment as the ledger keeps it, so that every attempt evaluates what was pinned."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from cdp_exports.delivery.member import Member
from cdp_exports.errors import DeclarationError
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


def guarded_as_now(pinned: Audience, member: Member) -> tuple[Audience, bool]:
    """The pinned audience with the consent and suppression that hold now, and whether they are those it was pinned with.

    Who may not be sent to is never decided by what was declared earlier.

    Raises:
        DeclarationError: the segment is of another dataset now, whose consent says nothing of these people.
    """
    now = member.audience
    if now is None or (now.consents, now.suppressions) == (pinned.consents, pinned.suppressions):
        return pinned, True
    if not same_dataset(member, pinned.of, now.of):
        raise DeclarationError(
            f"{member.id} is of {now.of} now and was of {pinned.of} when this delivery was pinned, so nobody can tell who consents.",
            next_step="Run a new export time: it closes this one.",
        )
    tables = {name: {**now.tables.get(name, {}), **pinned.tables.get(name, {})} for name in {*now.tables, *pinned.tables}}
    return replace(pinned, consents=now.consents, suppressions=now.suppressions, tables=tables, way=Way.COMPARED), False


def same_dataset(member: Member, then: str, now: str) -> bool:
    """Whether a dataset that was called `then` is the one called `now`."""
    return then == now or then == member.context.catalog.datasets[now].formerly
