"""Rebuilding the ledger from what the destination remembers."""

from __future__ import annotations

from contextlib import suppress

from cdp_exports.delivery import manifest
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.memory import manifests
from cdp_exports.delivery.publishing import settle
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, LedgerBehind, Occupied, Skip
from cdp_exports.ledger.records import Delivery, Pin, State


def adopt(member: Member) -> int:
    """Record every delivery of this member whose manifest is at the destination and that the ledger does not know; returns how many.

    What the ledger holds open is settled first. The chain goes on from the newest one.

    Raises:
        DeclarationError: it goes to an audience.
        NotIntact: a manifest cannot be read.
    """
    if member.to_audience:
        raise DeclarationError(
            f"{member.export_id}/{member.id} goes to an audience, where no manifests are: nothing can be adopted.",
            next_step="Restore the ledger from its backup; without one, empty the audience there and run the export with --full.",
        )
    for delivery in member.open_deliveries():
        with suppress(Skip, Occupied, LedgerBehind):  # closed, somebody else's, or recorded below
            settle(member, member.destination_of(delivery.pin), delivery)
    found = [_delivery(member, path, document) for path, document in manifests(member) if not document.void]
    return member.context.ledger.adopt(sorted(found, key=lambda delivery: delivery.export_time))


def _delivery(member: Member, path: str, document: manifest.Manifest) -> Delivery:
    export_time = ExportTime.parse(document.export_time)
    folder = manifest.folder_of(document, path)
    files = manifest.files_of(document, folder)
    catalog, export = member.context.catalog, member.export
    return Delivery(
        id=document.delivery,
        environment=document.environment,
        kind=document.kind,
        export=document.export,
        member=document.member,
        export_time=export_time,
        chain=document.chain or document.delivery,
        sequence=document.sequence or 1,
        base_export_time=ExportTime.parse(document.base_export_time or document.export_time),
        previous_export_time=ExportTime.parse(document.previous_export_time) if document.previous_export_time else None,
        state=State.COMMITTED,
        pin=Pin(
            mode=document.mode or "full",
            changes=document.definition.get("changes", "all"),
            sources=document.sources,
            key=tuple(document.definition.get("key", ())),
            connection_id=export.connection,
            connection=catalog.connections[export.connection].model_dump(mode="json"),
            target=member.destination.place,
            owner_folder=member.owner_folder(),
            folder=folder,
            manifest=path if document.folder else None,
            overwrite=export.overwrite,
            keep_for=document.expires_at - document.created_at if document.expires_at else None,
            file_name=export.file_name,
            format=document.format,
            columns=document.columns,
            mapping=document.mapping,
            recipients=document.encryption.recipients if document.encryption else (),
            definition=document.definition,
        ),
        attempt_id=document.attempt or document.delivery,
        counts=manifest.counts_of(document),
        bytes=sum(file.bytes or 0 for file in files),
        files=files,
        run_id="adopted",
        pinned_at=document.created_at,
        committed_at=document.created_at,
    )
