"""Where `_owner` and manifests stand of a member whose deliveries share a folder: others may deliver into it too."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.entities.templates import common_folder, holds_time

NAME = "_manifests"


def control_folder(template: str, names: Mapping[str, str]) -> str | None:
    """The member's control folder; None where each delivery has a folder of its own.

    >>> control_folder("drop/{year}", {"export_id": "to_crm", "member_id": "vip"})
    'drop/_manifests/to_crm.vip'
    """
    if holds_time(template):
        return None
    return f"{common_folder(template, names)}/{NAME}/{names['export_id']}.{names['member_id']}".lstrip("/")
