"""What the destination remembers: the manifests of a member, read from its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cdp_exports.delivery import manifest
from cdp_exports.delivery.control import control_folder
from cdp_exports.delivery.member import Member
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.templates import common_folder, export_time_of, folder_pattern, resolve_path, sorts_by_time
from cdp_exports.ledger.records import Delivery

_TIME = re.compile(r"[0-9]{12}")


def manifests(member: Member, *, after: ExportTime | None = None) -> Iterator[tuple[str, manifest.Manifest]]:
    """Each delivery's manifest with its path, at the member's present place, void ones too; those later than `after` only, where given.

    Folders that the template makes of former ids are gone through too; copies in other folders are not deliveries.

    Raises:
        NotIntact: one cannot be read.
    """
    template = member.export.path
    gone_through: set[str] = set()
    for names in member.former_names:
        control = control_folder(template, names)
        if control is not None:
            yield from _in_control(member, control, after)
        elif folder_pattern(template, names) not in gone_through:
            gone_through.add(folder_pattern(template, names))
            yield from _below(member, names, after)


def _in_control(member: Member, control: str, after: ExportTime | None) -> Iterator[tuple[str, manifest.Manifest]]:
    for stored in member.destination.list(control, after=f"{control}/{after}" if after else None):
        name = stored.path.rpartition("/")[2]
        if _TIME.fullmatch(name):
            yield from _read(member, stored.path, name)


def _below(member: Member, names: dict[str, str], after: ExportTime | None) -> Iterator[tuple[str, manifest.Manifest]]:
    destination, template = member.destination, member.export.path
    start = f"{resolve_path(template, names, after)}0" if after is not None and sorts_by_time(template) else None  # "0" sorts behind "/"
    for stored in destination.list(common_folder(template, names), after=start):
        folder, _, name = stored.path.rpartition("/")
        export_time = export_time_of(template, names, folder) if name == manifest.NAME else None
        if export_time is None or (after is not None and export_time <= after):
            continue
        yield from _read(member, stored.path, str(export_time))


def _read(member: Member, path: str, export_time: str) -> Iterator[tuple[str, manifest.Manifest]]:
    content = member.destination.read(path)
    document = manifest.decode(content, member.destination.uri(path)) if content is not None else None
    if document is not None and member.owns(document) and document.export_time == export_time:
        yield path, document


def newest_manifest(member: Member, last: Delivery | None) -> ExportTime | None:
    """The newest delivery at the destination later than the ledger's last; None where there is none."""
    found = manifests(member, after=last.export_time if last else None)
    return max((ExportTime.parse(document.export_time) for _, document in found if not document.void), default=None)
