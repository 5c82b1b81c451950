"""A member's folder belongs to one export: `_owner` says to which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cdp_exports.errors import Occupied

if TYPE_CHECKING:
    from cdp_exports.delivery.member import Member
    from cdp_exports.destinations.destination import FileDestination

NAME = "_owner"


def claim(member: Member, destination: FileDestination, folder: str) -> None:
    """Own the folder, or find that we do; an export or member renamed with `formerly` keeps its folder.

    Raises:
        Occupied: another environment, export or member owns it.
    """
    path = f"{folder}/{NAME}".lstrip("/")  # a path of the export time alone has its owner beside it
    mine = {"environment": member.environment, "export": member.export_id, "member": member.id}
    if destination.create(path, json.dumps(mine).encode()):
        return
    content = destination.read(path)
    if content is None:
        claim(member, destination, folder)
        return
    try:
        owner = json.loads(content)
        keeps = (owner["environment"] == member.environment, owner["export"] in member.exports, owner["member"] in member.members)
    except (ValueError, TypeError, KeyError):
        owner, keeps = {"export": "something else"}, (False,)
    if not all(keeps):
        said = " / ".join(str(owner.get(key)) for key in ("environment", "export", "member") if owner.get(key))
        raise Occupied(
            f"{destination.uri(folder)} belongs to {said}.",
            next_step="Give this export another `path` or connection folder; if it was only renamed, declare its old id as `formerly`;"
            f" if that owner is gone for good, remove {destination.uri(path)}.",
        )
