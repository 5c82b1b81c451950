"""What the destination remembers: the manifests of a member, read from its folder."""

from __future__ import annotations

from collections.abc import Iterator

from cdp_exports.delivery import manifest
from cdp_exports.delivery.member import Member
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.templates import common_folder, export_time_of, sorts_by_time
from cdp_exports.ledger.records import Delivery


def manifests(member: Member, *, after: ExportTime | None = None) -> Iterator[tuple[str, manifest.Manifest]]:
    """Each delivery's folder and manifest at the member's present place, void ones too; those later than `after` only, where given.

    Raises:
        NotIntact: one cannot be read.
    """
    destination, template = member.destination, member.export.path
    start = f"{member.folder(after)}0" if after is not None and sorts_by_time(template) else None  # "0" sorts right behind "/"
    for stored in destination.list(common_folder(template, member.names), after=start):
        folder, _, name = stored.path.rpartition("/")
        export_time = export_time_of(template, member.names, folder) if name == manifest.NAME else None
        if export_time is None or (after is not None and export_time <= after):
            continue
        content = destination.read(stored.path)
        if content is not None:
            yield folder, manifest.decode(content, destination.uri(stored.path))


def newest_manifest(member: Member, last: Delivery | None) -> ExportTime | None:
    """The newest delivery at the destination later than the ledger's last; None where there is none."""
    found = (
        ExportTime.parse(document.export_time)
        for _, document in manifests(member, after=last.export_time if last else None)
        if not document.void and _is_of(member, document)
    )
    return max(found, default=None)


def _is_of(member: Member, document: manifest.Manifest) -> bool:
    return document.environment == member.environment and document.export in member.exports and document.member in member.members
