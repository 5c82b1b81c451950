"""A member's folder belongs to one export: `_owner` says to which."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cdp_exports.delivery.model_json import refuse_if_foreign
from cdp_exports.errors import Occupied

if TYPE_CHECKING:
    from cdp_exports.delivery.member import Member
    from cdp_exports.destinations.destination import FileDestination

NAME = "_owner"


def claim(member: Member, destination: FileDestination, folder: str) -> None:
    """Own the folder, or find that we do; an export or member renamed with `formerly` keeps its folder and puts its new name there.

    Raises:
        Occupied: another environment, export or member owns it, or a `model.json` that is not the export's stands where that goes.
    """
    _refuse_foreign_model(member, destination)
    mine = {"environment": member.environment, "export": member.export_id, "member": member.id}
    content = json.dumps(mine).encode()
    while not destination.create(_path(folder), content):
        owner = owner_of(destination, folder)
        if owner is None:
            continue  # removed in between
        _refuse(member, destination, folder, owner)
        if owner != mine:
            destination.put(_path(folder), content)
        return


def refuse_if_occupied(member: Member, destination: FileDestination, folder: str) -> None:
    """Ask without claiming.

    Raises:
        Occupied: as `claim`.
    """
    _refuse_foreign_model(member, destination)
    owner = owner_of(destination, folder)
    if owner is not None:
        _refuse(member, destination, folder, owner)


def owner_of(destination: FileDestination, folder: str) -> dict[str, str] | None:
    """Environment, export and member that own a folder; None where nobody does."""
    content = destination.read(_path(folder))
    if content is None:
        return None
    try:
        owner = json.loads(content)
        return {key: str(owner[key]) for key in ("environment", "export", "member")}
    except (ValueError, TypeError, KeyError):
        return {"environment": "something else", "export": "", "member": ""}


def _refuse(member: Member, destination: FileDestination, folder: str, owner: dict[str, str]) -> None:
    if owner["environment"] == member.environment and owner["export"] in member.exports and owner["member"] in member.members:
        return
    raise Occupied(
        f"{destination.uri(folder)} belongs to {' / '.join(filter(None, owner.values()))}.",
        next_step="Give this export another `path` or connection folder; if it was only renamed, declare its old id as `formerly`;"
        f" if that owner is gone for good, remove what it delivered there and {destination.uri(_path(folder))}.",
    )


def _refuse_foreign_model(member: Member, destination: FileDestination) -> None:
    if member.export.model_json:
        refuse_if_foreign(member, destination)


def _path(folder: str) -> str:
    return f"{folder}/{NAME}".lstrip("/")  # a path of the export time alone has its owner beside it
