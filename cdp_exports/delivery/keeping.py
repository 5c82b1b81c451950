"""Housekeeping of the state folder after a delivery: never at the cost of one that is done."""

from __future__ import annotations

from contextlib import suppress

from cdp_exports.delivery.audience_rows import MEMORY_LIMIT
from cdp_exports.delivery.held_upkeep import compact, prune
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.scratch import scratch
from cdp_exports.ledger.records import Delivery


def keep_in_order(member: Member, delivery: Delivery) -> None:
    """Put small state files together and remove those that nothing needs any more."""
    if delivery.counts is None or delivery.counts.held is None:
        return
    with suppress(Exception), scratch() as folder:
        state, links = member.context.open_state(), member.links()
        compact(state, [link for link in links if link.chain == delivery.chain], folder, memory_limit=MEMORY_LIMIT)
        prune(state, links)
