"""What else is known of an audience: who filled it, and what the state folder remembers that the ledger does not."""

from __future__ import annotations

import re
from typing import Any

from cdp_exports.delivery.chains import changed, definition_of
from cdp_exports.delivery.member import Member
from cdp_exports.errors import LedgerBehind, Occupied

_NAME = re.compile(r".*/\d{8,}-(?P<delivery>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})-[^/]+\.parquet")
"""Of state, and of what was sent by attempts that were not committed."""


def refuse_if_unsafe(member: Member) -> None:
    """Somebody may be in the audience of whom this member knows nothing, and would stay in it.

    Raises:
        Occupied: another environment, export or member filled it last.
        LedgerBehind: the ledger was lost or restored from a backup.
    """
    _refuse_if_occupied(member)
    _refuse_if_state_is_ahead(member)


def receiver_of(member: Member) -> dict[str, Any]:
    """What of the definition says which audience it is: another one holds nothing yet."""
    definition = definition_of(member)
    return {name: definition[name] for name in ("target", "audience_name")}


def _refuse_if_occupied(member: Member) -> None:
    last = member.last_committed()
    kept = last is not None and not changed(last, receiver_of(member))  # a renamed segment keeps its audience
    audience = last.pin.folder if last is not None and kept else member.audience_name
    owner = member.context.ledger.filled_by(member.place, audience)
    if owner is None:
        return
    environment, export, of = owner
    if environment != member.environment or export not in member.exports or of not in member.members:
        raise Occupied(
            f"The audience {audience} is filled by {environment} / {export} / {of}; each would remove whom the other added.",
            next_step="Give this one another `audience_name` or account; if it was renamed, declare `formerly`; if it takes over, empty the"
            f" audience at the receiver, then run `cdp-exports run {member.export_id} --member {member.id} --full`.",
        )


def _refuse_if_state_is_ahead(member: Member) -> None:
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
