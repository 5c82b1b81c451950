"""Housekeeping of the state folder after a delivery: never at the cost of one that is done."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from cdp_exports.delivery.audience_rows import MEMORY_LIMIT
from cdp_exports.delivery.held_upkeep import compact, prune
from cdp_exports.delivery.member import Member
from cdp_exports.errors import CdpExportsError
from cdp_exports.ledger.records import Delivery


def keep_in_order(member: Member, delivery: Delivery) -> None:
    """Put small state files together and remove those that nothing needs any more."""
    if delivery.counts is None or delivery.counts.held is None:
        return
    with suppress(CdpExportsError), tempfile.TemporaryDirectory(prefix="cdp_exports_") as folder:
        state = member.context.open_state()
        compact(state, member.chain_up_to(delivery), Path(folder), memory_limit=MEMORY_LIMIT)
        prune(state, member.context.ledger.committed(member.environment, member.exports, member.members))
