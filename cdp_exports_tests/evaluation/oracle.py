"""The steps of a member in plain Python, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rules:
    """What a segment and its export say."""

    member: Callable[[Row, datetime], bool]
    required: bool = False  # email
    consent: bool = False  # ok
    suppress: bool = False  # email, in lower case
    dedupe: tuple[str, ...] = ()
    newest: bool = False  # by spend
    keep: int | None = None  # by spend, greatest first
    by_identity: bool = False  # the receiver knows e-mail addresses alone, each once


def judged(rules: Rules, rows: Mapping[int, Row], at: datetime, head: Mapping[int, Row], listed: set[str]) -> dict[int, str | None]:
    """Why each member is not sent; None: it is."""
    members = {key: row for key, row in sorted(rows.items()) if rules.member(row, at)}
    reasons: dict[int, str | None] = dict.fromkeys(members)
    for key, row in members.items():
        email = row["email"]
        if rules.consent and not (key in head and head[key]["ok"]):
            reasons[key] = "no_consent"
        elif rules.suppress and email is not None and email.lower() in listed:
            reasons[key] = "suppressed"
        elif rules.required and not email:
            reasons[key] = "missing:email"
    for grouping in (rules.dedupe, ("email",) if rules.by_identity else ()):
        winners: dict[tuple[Any, ...], int] = {}
        for key in sorted((key for key in members if reasons[key] is None), key=lambda key: (_newest(rules, members[key]), key)):
            group = tuple(members[key][name] for name in grouping)
            if grouping and None not in group and winners.setdefault(group, key) != key:
                reasons[key] = "duplicate"
    if rules.keep is not None:
        order = sorted((key for key in members if reasons[key] is None), key=lambda key: (_greatest(members[key]), key))
        for key in order[rules.keep :]:
            reasons[key] = "over_limit"
    return reasons


def _newest(rules: Rules, row: Row) -> float:
    return _greatest(row) if rules.newest else 0


def _greatest(row: Row) -> float:
    return float("inf") if row["spend"] is None else -row["spend"]  # nulls last


def sent(row: Row) -> tuple[Any, ...]:
    return row["email"], row["city"], row["spend"]
