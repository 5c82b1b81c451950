"""What became of a segment's members, as numbers that plot by partition and as a table. Counts alone: nobody is named."""

from __future__ import annotations

from typing import Any

from dagster import MetadataValue

from cdp_exports.ledger.records import Counts, Delivery, Funnel, Movement, Rejections

Said = dict[str, str | int | MetadataValue[Any]]


def funnel_metadata(delivery: Delivery) -> Said:
    """How members became rows, what changes for the receiver, how that was found, and which versions were read."""
    counts = delivery.counts
    said: Said = {}
    if delivery.pin.way:
        said["cdp/way"] = delivery.pin.way
    if counts is not None:
        said |= _funnel(counts.funnel, counts.rejections) | _movement(counts.movement) | _rejections(counts)
    return said | {"cdp/versions": MetadataValue.json(versions(delivery))}


def versions(delivery: Delivery) -> dict[str, dict[str, str | int | None]]:
    """The versions of every dataset that was read: of the members as pinned, of consent and suppression as the attempt found them."""
    counts = delivery.counts
    guards = counts.held.guards if counts is not None and counts.held is not None else ()
    read = {pin.dataset: pin for pin in (*guards, *delivery.pin.sources)}  # pinned ones win: they decide who is a member
    return {
        dataset: {"from": pin.after_version, "to": pin.upto_version, "change_source": pin.change_source}
        for dataset, pin in sorted(read.items())
    }


def _funnel(funnel: Funnel | None, rejections: Rejections | None) -> Said:
    if funnel is None:
        return {}
    return {
        "cdp/members": funnel.members,
        "cdp/rows_of_members": funnel.rows,
        **({"cdp/left_out_without_contact": funnel.without_contact} if funnel.without_contact else {}),
        **{f"cdp/left_out_{reason}": rows for reason, rows in funnel.left_out.items()},
        "cdp/deliverable": funnel.deliverable,
        "cdp/funnel": MetadataValue.md(funnel_table(funnel, rejections)),
    }


def _movement(movement: Movement | None) -> Said:
    if movement is None:
        return {}
    return {
        "cdp/entered": movement.entered,
        "cdp/updated": movement.updated,
        "cdp/exited": movement.exited,
        **{f"cdp/exited_{reason}": members for reason, members in movement.exits.items()},
        "cdp/held_before": movement.before,
        "cdp/held": movement.held,
    }


def _rejections(counts: Counts) -> Said:
    """What an audience destination answered."""
    if counts.batches is None:
        return {}
    reasons = counts.rejections.reasons if counts.rejections else {}
    return {
        "cdp/batches": counts.batches,
        "cdp/rejected": counts.failed,
        **{f"cdp/rejected_{reason}": members for reason, members in reasons.items()},
    }


def funnel_table(funnel: Funnel, rejections: Rejections | None = None) -> str:
    """The funnel as Markdown: what is left after each step, and whom an audience destination did not take.

    >>> print(funnel_table(Funnel(members=1200, rows=1200, left_out={"no_consent": 150, "missing:EMAIL": 0}, deliverable=1050)))
    | step | left out | left |
    |---|---:|---:|
    | members |  | 1,200 |
    | no_consent | 150 | 1,050 |
    | missing:EMAIL | 0 | 1,050 |
    | deliverable |  | 1,050 |
    """
    lines = ["| step | left out | left |", "|---|---:|---:|", _line("members", None, funnel.members)]
    if funnel.without_contact:
        lines.append(_line("without_contact", funnel.without_contact, funnel.members - funnel.without_contact))
    if funnel.rows != funnel.members - funnel.without_contact:
        lines.append(_line("contacts", None, funnel.rows))
    left = funnel.rows
    for reason, rows in funnel.left_out.items():
        left -= rows
        lines.append(_line(reason, rows, left))
    lines.append(_line("deliverable", None, funnel.deliverable))
    for reason, members in rejections.reasons.items() if rejections else ():
        lines.append(f"| rejected: {reason.replace('|', '&#124;')} | {members:,} | |")
    return "\n".join(lines)


def _line(step: str, left_out: int | None, left: int) -> str:
    cell = "" if left_out is None else f"{left_out:,}"
    return f"| {step.replace('|', '&#124;')} | {cell} | {left:,} |"
