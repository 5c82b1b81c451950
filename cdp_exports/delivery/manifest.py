"""The manifest: what a receiver reads to know that a delivery is complete, and of what it consists.

Written last, only where none is: whoever creates it is the delivery. A void one (`covered_by`) closes an export time
that was begun and never published, so that a late attempt cannot publish it any more.

It stands beside the files, as `_manifest`; where deliveries share a folder in the member's control folder, `_manifests/EXPORT.MEMBER`,
under its export time.
"""

from __future__ import annotations

import posixpath
from datetime import datetime
from typing import Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cdp_exports.delivery.definition import shown
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import NotIntact
from cdp_exports.ledger.records import Counts, Delivery, FileRecord, Funnel, Held, Movement, Pin, SourcePin

NAME = "_manifest"
LATEST = "_latest"
"""In a control folder: what the fixed names hold now, as the manifest of their delivery."""


class ManifestFile(BaseModel):
    """One delivered file; `path` is relative to the manifest's folder, or to `folder` where it says so."""

    model_config = ConfigDict(frozen=True)

    path: str
    rows: int
    bytes: int
    sha256: str
    verified_by: str


class ManifestRows(BaseModel):
    """Rows by what happened to them; `total` is what the files hold."""

    model_config = ConfigDict(frozen=True)

    total: int
    inserted: int
    updated: int
    deleted: int


class Encryption(BaseModel):
    """How the files are encrypted; `recipients` are the fingerprints of the keys that each of them can be read with."""

    model_config = ConfigDict(frozen=True)

    standard: Literal["OpenPGP"] = "OpenPGP"
    recipients: tuple[str, ...]


class _Subject(TypedDict):
    environment: str
    export: str
    kind: str
    member: str
    export_time: str
    delivery: str


class Manifest(BaseModel):
    """The JSON in `_manifest`. Receivers need `files` and `rows`; the rest lets the ledger be rebuilt (`adopt`)."""

    model_config = ConfigDict(frozen=True)

    manifest_version: Literal[1] = 1
    environment: str
    export: str
    kind: str
    member: str
    export_time: str
    delivery: str
    covered_by: str | None = None
    attempt: str | None = None
    chain: str | None = None
    sequence: int | None = None
    base_export_time: str | None = None
    previous_export_time: str | None = None
    mode: Literal["full", "incremental"] | None = None
    sources: tuple[SourcePin, ...] = ()
    columns: tuple[dict[str, Any], ...] = Field(default=(), alias="schema")
    mapping: tuple[dict[str, str], ...] = ()
    format: dict[str, Any] = {}
    encryption: Encryption | None = None
    definition: dict[str, Any] = {}
    folder: str | None = None
    files: tuple[ManifestFile, ...] = ()
    expires_at: datetime | None = None
    rows: ManifestRows | None = None
    left_out: dict[str, int] = {}
    funnel: Funnel | None = None
    movement: Movement | None = None
    held: Held | None = None
    created_at: datetime

    @property
    def void(self) -> bool:
        """It closes an export time that delivered nothing."""
        return self.covered_by is not None

    def encode(self) -> bytes:
        """The bytes to publish."""
        return self.model_dump_json(
            by_alias=True, indent=1, include=_VOID if self.void else None, exclude=None if self.void else self._absent()
        ).encode()

    def _absent(self) -> set[str]:
        """What only some deliveries have is not there for the others."""
        return {"covered_by", *(name for name in _SOME_HAVE if getattr(self, name) is None)}


_SOME_HAVE = ("encryption", "folder", "expires_at", "funnel", "movement", "held")
_VOID = {"manifest_version", "environment", "export", "kind", "member", "export_time", "delivery", "covered_by", "files", "created_at"}


def decode(content: bytes, uri: str) -> Manifest:
    """Read a manifest.

    Raises:
        NotIntact: it is not one, or of a version this package does not know.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        raise NotIntact(
            f"{uri} is not a manifest of this package.",
            next_step="Something else wrote or changed it: move it away, then run `cdp-exports verify`.",
        ) from None


def published(
    delivery: Delivery, attempt_id: str, counts: Counts, files: tuple[FileRecord, ...], sources: tuple[SourcePin, ...], at: datetime
) -> Manifest:
    """The manifest of a delivery whose files are all verified."""
    pin = delivery.pin
    return Manifest(
        **_subject(delivery),
        attempt=attempt_id,
        chain=delivery.chain,
        sequence=delivery.sequence,
        base_export_time=str(delivery.base_export_time),
        previous_export_time=str(delivery.previous_export_time) if delivery.previous_export_time else None,
        mode=pin.mode,
        sources=sources,
        schema=pin.columns,
        mapping=pin.mapping,
        format=pin.format,
        encryption=Encryption(recipients=pin.recipients) if pin.recipients else None,
        definition=shown(pin.definition),
        folder=posixpath.relpath(pin.folder, posixpath.dirname(pin.manifest)) if pin.manifest else None,
        files=tuple(_entry(file, pin) for file in files),
        expires_at=at + pin.keep_for if pin.keep_for else None,
        rows=ManifestRows(total=counts.delivered, inserted=counts.inserted, updated=counts.updated, deleted=counts.deleted),
        left_out=counts.left_out,
        funnel=counts.funnel,
        movement=counts.movement,
        held=counts.held,
        created_at=at,
    )


def void(delivery: Delivery, covered_by: ExportTime, at: datetime) -> Manifest:
    """The manifest that closes an export time for good."""
    return Manifest(
        **_subject(delivery),
        covered_by=str(covered_by),
        created_at=at,
    )


def _subject(delivery: Delivery) -> _Subject:
    return {
        "environment": delivery.environment,
        "export": delivery.export,
        "kind": delivery.kind,
        "member": delivery.member,
        "export_time": str(delivery.export_time),
        "delivery": delivery.id,
    }


def path_of(pin: Pin) -> str:
    """Where the manifest of a delivery stands."""
    return pin.manifest or path_in(pin.folder)


def path_in(folder: str) -> str:
    """Where the manifest of a folder stands that holds one delivery."""
    return f"{folder}/{NAME}"


def latest_of(pin: Pin) -> str | None:
    """Where receivers find the manifest of what fixed names hold now; None of a delivery whose names are its own."""
    return f"{posixpath.dirname(pin.manifest)}/{LATEST}" if pin.overwrite and pin.manifest else None


def folder_of(manifest: Manifest, path: str) -> str:
    """The folder of the files of a manifest that stands at this path."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), manifest.folder or ""))


def files_of(manifest: Manifest, folder: str) -> tuple[FileRecord, ...]:
    """The manifest's files as the ledger records them."""
    return tuple(
        FileRecord(path=f"{folder}/{file.path}", rows=file.rows, bytes=file.bytes, sha256=file.sha256, verified_by=file.verified_by)
        for file in manifest.files
    )


def counts_of(manifest: Manifest) -> Counts:
    """The manifest's rows as the ledger counts them."""
    rows = manifest.rows or ManifestRows(total=0, inserted=0, updated=0, deleted=0)
    return Counts(
        received=rows.total + sum(manifest.left_out.values()),
        delivered=rows.total,
        left_out=manifest.left_out,
        inserted=rows.inserted,
        updated=rows.updated,
        deleted=rows.deleted,
        funnel=manifest.funnel,
        movement=manifest.movement,
        held=manifest.held,
    )


def _entry(file: FileRecord, pin: Pin) -> ManifestFile:
    if file.rows is None or file.bytes is None or file.sha256 is None or file.verified_by is None:
        raise NotIntact(
            f"{file.path} was never completed and cannot stand in a manifest.",
            next_step="Run the export again; report this with the run's id if it repeats.",
        )
    return ManifestFile(
        path=file.path.removeprefix(f"{pin.folder}/"), rows=file.rows, bytes=file.bytes, sha256=file.sha256, verified_by=file.verified_by
    )
