"""What the state folder remembers of an audience that the ledger does not: then the ledger is not the newest."""

from __future__ import annotations

import re

from cdp_exports.delivery.member import Member
from cdp_exports.errors import LedgerBehind

_NAME = re.compile(r".*/\d{8,}-(?P<delivery>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})-[^/]+\.parquet")
"""Of state, and of what was sent by attempts that were not committed."""


def refuse_if_state_is_ahead(member: Member) -> None:
    """Whoever was sent since the ledger's backup would stay for ever where they have left in the meantime.

    Raises:
        LedgerBehind: the ledger was lost or restored from a backup.
    """
    if unknown_state(member):
        raise LedgerBehind(
            f"The state folder has deliveries of {member.export_id}/{member.id} that the ledger does not know.",
            next_step="Restore the newest backup of the ledger. Without one, empty the audience at the receiver, then run"
            f" `cdp-exports run {member.export_id} --member {member.id} --full`.",
        )


def unknown_state(member: Member) -> list[str]:
    """Files of deliveries that are not in the ledger."""
    state = member.context.open_state()
    folders = [f"{member.environment}/{export}/{of}" for export in member.exports for of in member.members]
    paths = [stored.path for folder in folders for stored in state.list(folder)]
    found = {path: name["delivery"] for path in paths if (name := _NAME.fullmatch(path))}
    known = member.context.ledger.known(set(found.values()))
    return [path for path, delivery in found.items() if delivery not in known]
