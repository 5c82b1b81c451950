"""How the numbers of segments are shown: what became of the members, what changes for the receiver, and limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cdp_exports.cli.documents import Document
from cdp_exports.cli.screen import note, number, table, text

if TYPE_CHECKING:
    from rich.table import Table

_OF = {"audience": "members the receiver would hold", "delivery": "rows of this delivery"}

MOVEMENT = ("deliverable of members", "entered / updated / exited", "#held")
"""The columns of `moved`, few enough for a narrow terminal."""


def moved(delivery: Mapping[str, Any]) -> list[str]:
    """The cells of `MOVEMENT`."""
    funnel, movement = delivery.get("funnel"), delivery.get("movement")
    if funnel is None or movement is None:
        return [""] * len(MOVEMENT)
    exploded = " contacts" * (funnel["rows"] + funnel["without_contact"] != funnel["members"])
    return [
        f"{number(funnel['deliverable'])}{exploded} of {number(funnel['members'])}",
        " / ".join(number(movement[name]) for name in ("entered", "updated", "exited")),
        number(movement["held"]),
    ]


def by_reason(delivery: Mapping[str, Any]) -> str:
    """Who was left out and who left, by reason; of a dataset the rows left out. Empty where nobody was.

    >>> funnel = {"without_contact": 2, "left_out": {"no_consent": 1200}}
    >>> by_reason({"kind": "segment", "rows": None, "funnel": funnel, "movement": {"exits": {"deleted": 3}}})
    'left out: without_contact 2, no_consent 1 200; exits: deleted 3.'
    """
    funnel: Document = delivery["funnel"] or {}
    counted: Document = funnel or delivery["rows"] or {}
    left_out: dict[str, int] = counted.get("left_out", {})
    if alone := funnel.get("without_contact"):
        left_out = {"without_contact": alone, **left_out}
    movement: Document = delivery["movement"] or {}
    exits: dict[str, int] = movement.get("exits", {})
    rejections: Document = delivery.get("rejections") or {}
    parts = (("left out", left_out), ("exits", exits), ("rejected by the receiver", rejections.get("reasons", {})))
    told = "; ".join(f"{what}: {reasons_said(reasons)}" for what, reasons in parts if reasons)
    return told and f"{told}."


def reasons_said(reasons: Mapping[str, int]) -> str:
    """Rows by reason.

    >>> reasons_said({"no_consent": 1200, "missing:EMAIL": 3})
    'no_consent 1 200, missing:EMAIL 3'
    """
    return ", ".join(f"{reason} {number(rows)}" for reason, rows in reasons.items())


def funnels(members: Mapping[str, Document], kind: str) -> Table:
    """What becomes of the members of each segment (or the rows of a dataset of people), a step a line."""
    rows = table(kind, "step", "#left out", "#left")
    for name, funnel in members.items():
        rows.add_row(name, "active members" if kind == "segment" else "rows", "", number(funnel["members"]))
        left = funnel["members"]
        if funnel["without_contact"]:
            left -= funnel["without_contact"]
            rows.add_row("", "without_contact", number(funnel["without_contact"]), number(left))
        if funnel["rows"] != left:
            rows.add_row("", "their contacts", "", number(funnel["rows"]))
        left = funnel["rows"]
        for reason, count in funnel["left_out"].items():
            left -= count
            rows.add_row("", reason, number(count), number(left))
        rows.add_row("", text("deliverable", "bold"), "", text(number(funnel["deliverable"]), "bold"))
    return rows


def limit_notes(label: str, limits: list[Document]) -> Iterator[Any]:
    """A sentence for each limit: the count, the limit, the part. Of those that are near, the member's warnings tell."""
    for limit in limits:
        if limit["state"] != "near":
            yield note(label, limit_said(limit), style="red" if limit["state"] == "broken" else "")


def limit_said(limit: Document) -> str:
    """A limit in a sentence.

    >>> limit_said({"kind": "audience", "bound": "max", "count": 240, "limit": 300, "percent": 80.0, "state": "near"})
    'members the receiver would hold: 240 of at most 300 (80 %), which is near'
    """
    return f"{_OF[limit['kind']]}: {beside_limit(limit)}"


def beside_limit(limit: Document) -> str:
    """The count, the limit, the part."""
    bound = "at most" if limit["bound"] == "max" else "at least"
    broken = ", too many" if limit["bound"] == "max" else ", too few"
    judged = {"within": "", "near": ", which is near", "broken": broken}[limit["state"]]
    return f"{number(limit['count'])} of {bound} {number(limit['limit'])} ({limit['percent']:g} %){judged}"
