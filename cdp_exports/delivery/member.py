"""One member of an export, with everything about it that a delivery asks for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.control import control_folder
from cdp_exports.destinations.open import open_audience, open_files
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.connection import CONNECTION, Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.segment import Segment
from cdp_exports.entities.templates import member_folder, resolve_audience_name, resolve_path
from cdp_exports.errors import DeclarationError
from cdp_exports.ledger.records import Delivery, Link, Pin, SentBatch
from cdp_exports.segments.audience import Audience

if TYPE_CHECKING:
    from cdp_exports.delivery.manifest import Manifest
    from cdp_exports.destinations.audience import AudienceDestination
    from cdp_exports.destinations.destination import FileDestination


@dataclass(frozen=True)
class Member:
    """A dataset or a segment inside an export."""

    context: Context
    export_id: str
    export: DatasetExport | SegmentExport
    id: str

    @property
    def subject(self) -> Dataset | Segment:
        """What is exported."""
        return self.context.catalog.datasets[self.id] if self.export.kind == "dataset" else self.context.catalog.segments[self.id]

    @cached_property
    def audience(self) -> Audience | None:
        """The compiled segment, or dataset of which only some rows may leave; None of one that is delivered as it is."""
        from cdp_exports.segments.compile import compile_audience
        from cdp_exports.segments.guarded import compile_guarded

        catalog, connection = self.context.catalog, self.context.catalog.connections[self.export.connection]
        capabilities = capabilities_of(connection.type)
        if isinstance(self.export, SegmentExport):
            return compile_audience(self.id, catalog.segments, catalog.datasets, self.export, connection, capabilities)
        if self.export.consent == "required":
            return compile_guarded(self.id, catalog.datasets, self.export, connection, capabilities)
        return None

    @property
    def dataset(self) -> Dataset:
        """The dataset whose rows are exported, or are the members."""
        return self.context.catalog.datasets[self.audience.of if self.audience else self.id]

    @property
    def environment(self) -> str:
        return self.context.catalog.environment.name

    @property
    def exports(self) -> tuple[str, ...]:
        """The export's id, then the one it had before."""
        return (self.export_id, self.export.formerly) if self.export.formerly else (self.export_id,)

    @property
    def members(self) -> tuple[str, ...]:
        """The member's id, then the one it had before."""
        return (self.id, self.subject.formerly) if self.subject.formerly else (self.id,)

    @property
    def names(self) -> dict[str, str]:
        """What the templates may name, the export time apart."""
        return {
            "environment": self.environment,
            "connection_id": self.export.connection,
            "export_id": self.export_id,
            f"{self.export.kind}_id": self.id,
            "member_id": self.id,
        }

    def owns(self, document: Manifest) -> bool:
        """Whether a manifest is this member's, under its present or its former name."""
        return document.environment == self.environment and document.export in self.exports and document.member in self.members

    @property
    def former_names(self) -> list[dict[str, str]]:
        """What the templates could name, under each combination of present and former ids; the present one first."""
        return [
            {**self.names, "export_id": export, f"{self.export.kind}_id": member, "member_id": member}
            for export in self.exports
            for member in self.members
        ]

    @property
    def to_audience(self) -> bool:
        """Whether it goes to a destination that holds audiences; else to one for files."""
        return capabilities_of(self.context.catalog.connections[self.export.connection].type).members is not None

    @property
    def place(self) -> str:
        """The resolved store and folder, or account, as one URI."""
        return self.audience_destination.place if self.to_audience else self.destination.place

    @property
    def destination(self) -> FileDestination:
        return self.context.open_destination(self.export.connection)

    @property
    def audience_destination(self) -> AudienceDestination:
        return self.context.open_audience(self.export.connection)

    def audience_destination_of(self, pin: Pin) -> AudienceDestination:
        """The account a delivery was pinned to, even if the connection names another since."""
        if pin.connection_id in self.context.catalog.connections and self.to_audience:
            now = self.context.open_audience(pin.connection_id)
            if now.place == pin.target:
                return now
        return open_audience(_as_pinned(pin), self.context.catalog.root, os.environ)

    def uri_of(self, pin: Pin) -> str:
        """Where a delivery's receiver finds it."""
        if is_to_audience(pin):
            return self.audience_destination_of(pin).uri(pin.folder)
        return self.destination_of(pin).uri(pin.folder)

    def destination_of(self, pin: Pin) -> FileDestination:
        """The place a delivery was pinned to, even if the connection was moved since."""
        if pin.connection_id in self.context.catalog.connections:
            now = self.context.open_destination(pin.connection_id)
            if now.place == pin.target:
                return now
        return open_files(_as_pinned(pin), self.context.catalog.root, os.environ)

    @property
    def control_folder(self) -> str | None:
        """Where `_owner` and manifests stand, where deliveries share a folder."""
        return control_folder(self.export.path, self.names)

    @property
    def audience_name(self) -> str:
        assert isinstance(self.export, SegmentExport)
        return resolve_audience_name(self.export.audience_name, self.names)

    def owner_folder(self) -> str:
        if self.to_audience:
            return self.audience_name
        return self.control_folder or member_folder(self.export.path, self.names)

    def folder(self, export_time: ExportTime) -> str:
        if self.to_audience:
            return self.audience_name
        return resolve_path(self.export.path, self.names, export_time)

    # what the ledger knows of this member
    def unsettled_batches(self) -> list[SentBatch]:
        """What was sent to an audience since the last committed delivery."""
        return self.context.ledger.unsettled_batches(self.environment, self.exports, self.members)

    def delivery(self, export_time: ExportTime) -> Delivery | None:
        return self.context.ledger.delivery(self.environment, self.exports, self.members, export_time)

    def last_committed(self) -> Delivery | None:
        return self.context.ledger.last_committed(self.environment, self.exports, self.members)

    def links(self) -> list[Link]:
        """All committed deliveries, oldest first."""
        return self.context.ledger.links(self.environment, self.exports, self.members)

    def chain_up_to(self, last: Link) -> list[Link]:
        """The committed deliveries of a chain up to one of them, oldest first."""
        return [link for link in self.links() if link.chain == last.chain and link.sequence <= last.sequence]

    def open_deliveries(self) -> list[Delivery]:
        return self.context.ledger.open_deliveries(self.environment, self.exports, self.members)


def _as_pinned(pin: Pin) -> Connection:
    """The connection as it was.

    Raises:
        DeclarationError: its type is not installed any more, or does not take such a connection any more.
    """
    capabilities_of(pin.connection["type"])
    try:
        return CONNECTION.validate_python(pin.connection)
    except ValidationError:
        raise DeclarationError(
            f"The connection {pin.connection_id!r}, as it was when this was delivered, is not valid any more.",
            next_step=f"It led to {pin.target}: declare a connection to that place under its name.",
        ) from None


def is_to_audience(pin: Pin) -> bool:
    """Whether a delivery went to a destination that holds audiences."""
    return capabilities_of(pin.connection["type"]).members is not None


def export_of(catalog: Catalog, export_id: str) -> DatasetExport | SegmentExport:
    """The export with this id.

    Raises:
        DeclarationError: there is none; the nearest name is said.
    """
    if export_id not in catalog.exports:
        raise DeclarationError(
            f"There is no export {export_id!r}{nearest(export_id, catalog.exports)}.", next_step="`cdp-exports list` shows them all."
        )
    return catalog.exports[export_id]


def chosen(export_id: str, export: DatasetExport | SegmentExport, members: Sequence[str] | None) -> tuple[str, ...]:
    """The members asked for in the export's order; all where none are.

    Raises:
        DeclarationError: the export has no such member; the nearest name is said.
    """
    for member in members or ():
        if member not in export.members:
            raise DeclarationError(
                f"{export_id} has no member {member!r}{nearest(member, export.members)}.",
                next_step=f"Its members are {', '.join(export.members)}.",
            )
    return tuple(member for member in export.members if members is None or member in members)


def members_of(context: Context, export_id: str, members: Sequence[str] | None = None) -> list[Member]:
    """The export's members, or those asked for.

    Raises:
        DeclarationError: no such export or member.
    """
    export = export_of(context.catalog, export_id)
    return [Member(context, export_id, export, member) for member in chosen(export_id, export, members)]
