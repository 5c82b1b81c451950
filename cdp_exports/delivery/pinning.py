"""What is written down of a delivery before anything is sent: which rows, where and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdp_exports.delivery.member import Member
from cdp_exports.delivery.recipients import recipients
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.refresh import span
from cdp_exports.ledger.records import Pin, SourcePin
from cdp_exports.sources.source import Head


def source_pin(dataset: str, head: Head, *, after: SourcePin | None = None, change_source: str | None = None) -> SourcePin:
    """The range of one source up to its head."""
    return SourcePin(
        dataset=dataset,
        table_id=head.table_id,
        after_version=after.upto_version if after else None,
        after_commit=after.upto_commit if after else None,
        upto_version=head.version,
        upto_commit=head.commit,
        change_source=change_source,
    )


def pin_of(
    member: Member,
    export_time: ExportTime,
    definition: dict[str, Any],
    sources: Sequence[SourcePin],
    *,
    columns: tuple[dict[str, Any], ...],
    incremental: bool,
    reason: str | None,
    **more: Any,
) -> Pin:
    """The pin of a delivery. `more`: what only segments have.

    Raises:
        DeclarationError, DestinationRefused: a key that it would be encrypted to is missing, not usable or has expired.
    """
    export, connection = member.export, member.context.catalog.connections[member.export.connection]
    return Pin(
        mode="incremental" if incremental else "full",
        changes=export.changes if isinstance(export, DatasetExport) else "all",
        sources=tuple(sources),
        key=member.dataset.key,
        connection_id=export.connection,
        connection=connection.model_dump(mode="json"),
        target=definition["target"],
        owner_folder=member.owner_folder(),
        folder=member.folder(export_time),
        manifest=f"{member.control_folder}/{export_time}" if member.control_folder else None,
        overwrite=export.overwrite,
        keep_for=span(connection.keep_for) if connection.keep_for else None,
        file_name=export.file_name,
        format=export.format.model_dump(mode="json"),
        columns=columns,
        definition=definition,
        table_uri=member.dataset.source.uri,
        reason=reason,
        recipients=tuple(key.fingerprint for key in recipients(member)),
        **more,
    )
