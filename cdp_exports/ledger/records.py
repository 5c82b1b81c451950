"""What the ledger holds, as plain immutable records."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import TransientError


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class State(StrEnum):
    """Where a delivery stands. `pinned` and `publishing` are open; the others are final."""

    PINNED = "pinned"
    PUBLISHING = "publishing"  # the intent to create the manifest is recorded
    COMMITTED = "committed"
    COVERED = "covered"  # closed by a later delivery before it was published


class SourcePin(_Record):
    """The range of one source that a delivery reads; `after_*` is None for a full."""

    dataset: str
    table_id: str
    after_version: int | None
    after_commit: str | None
    upto_version: int
    upto_commit: str
    change_source: str | None


class Pin(_Record):
    """Everything that every attempt of a delivery reuses: which rows, and where and how they are written.

    `definition` holds what may not change within a chain (target, template, key, mode, changes, fields);
    `target` the connection's resolved place; `folder` is relative to it; `format` and `file_name` as declared;
    `mapping` renames columns (`from`, `to`); `reason` says why this is a full, where it is one, or of a segment how its
    increment is found (`way`) and why.
    """

    mode: Literal["full", "incremental"]  # what this delivery is
    changes: Literal["added", "all"] = "added"
    sources: tuple[SourcePin, ...]
    key: tuple[str, ...]
    connection_id: str
    connection: dict[str, Any]  # the connection as declared: secrets by name only
    target: str
    owner_folder: str  # the member's folder, where `_owner` stands
    folder: str
    manifest: str | None = None  # where the manifest stands, in a folder that deliveries share; else `_manifest` in `folder`
    overwrite: bool = False  # files have fixed names: a delivery's replace those of the one before
    keep_for: timedelta | None = None  # how long files stay, as the manifest announces
    file_name: str
    format: dict[str, Any]
    columns: tuple[dict[str, Any], ...]  # the manifest's `schema`
    mapping: tuple[dict[str, str], ...] = ()
    definition: dict[str, Any]
    table_uri: str | None = None  # as declared; not in the manifest, so unknown where the ledger was rebuilt from it
    reason: str | None = None
    way: str | None = None  # of an increment of a segment: changes, touched, compared
    recipients: tuple[str, ...] = ()  # fingerprints of the OpenPGP keys that every attempt encrypts to
    audience: dict[str, Any] | None = None  # the compiled segment (segments.audience.Audience as plain data)


class FileRecord(_Record):
    """One file of one attempt. It is recorded before its first byte leaves, so that a crash leaves nothing unknown."""

    path: str
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    verified_by: str | None = None  # None until the destination proved it
    removed: bool = False


class Funnel(_Record):
    """How many members a segment has at a delivery, and what becomes of them on the way to the receiver.

    rows = deliverable + left out; rows are members, or the contacts of accounts (`without_contact` have none).
    """

    members: int
    without_contact: int = 0
    rows: int
    left_out: dict[
        str, int
    ] = {}  # rows by reason, in the order of the steps: no_consent, suppressed, missing:<field>, duplicate, over_limit
    deliverable: int


class Movement(_Record):
    """What changes for the receiver of a segment: before + entered - exited = held."""

    before: int
    entered: int
    updated: int
    exited: int
    held: int
    exits: dict[str, int] = {}  # by reason: left_segment, deleted, or one of the funnel's


class Held(_Record):
    """What the receiver of an incremental segment export holds after a delivery, as the state folder keeps it.

    `file` is relative to the state folder; `whole`: it holds everything, else what changed since the delivery before.
    `guards` are the heads of consent and suppression as the committed attempt read them.
    """

    file: str
    whole: bool
    rows: int
    sha256: str
    guards: tuple[SourcePin, ...] = ()


class Rejections(_Record):
    """Members that an audience destination did not take, by its reasons. `file`, relative to the state folder, has one row each:
    the identity hashed, the reason, and how many deliveries in a row it was rejected by."""

    file: str
    reasons: dict[str, int]
    again: int  # of them, those that the delivery before had rejected already


class Counts(_Record):
    """Rows of a delivery: received = delivered + left out + failed; delivered = inserted + updated + deleted.

    Of a segment, inserted are those entered and deleted those exited; `funnel` and `movement` count its members, and `held`
    is where the receiver's share of them is kept.
    """

    received: int = 0
    delivered: int = 0
    left_out: dict[str, int] = {}
    failed: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    funnel: Funnel | None = None
    movement: Movement | None = None
    held: Held | None = None
    rejections: Rejections | None = None  # of those that failed
    batches: int | None = None  # calls to an audience destination


class BatchState(StrEnum):
    """What is known of a batch of changes to an audience."""

    SENDING = "sending"  # written down before it was sent: nobody knows yet
    DONE = "done"  # the receiver answered
    VOID = "void"  # nothing of it was applied
    UNKNOWN = "unknown"  # nobody will know: some of it may have been applied


class SentBatch(_Record):
    """One batch of changes to an audience, as the journal has it. `id` is its idempotency key.

    Its changes are `rows` rows from the row `first` of `outbox`, a file in the state folder; `digest` is of what was sent.
    `rejected`: a file with those rows that were not taken, once that is known and where there are some.
    """

    id: str
    environment: str
    export: str
    member: str
    delivery_id: str
    attempt_id: str
    place: str  # the destination's
    audience: str
    outbox: str
    first: int
    rows: int
    digest: str
    state: BatchState = BatchState.SENDING
    rejected: str | None = None


class Attempt(_Record):
    """One try at a delivery by one run; `status`: running, committed, failed, cancelled, superseded, abandoned."""

    id: str
    delivery_id: str
    number: int
    run_id: str
    status: str
    started_at: datetime
    ended_at: datetime | None = None
    error_code: str | None = None
    error: str | None = None
    next_step: str | None = None
    files: tuple[FileRecord, ...] = ()


class Standing(_Record):
    """A committed delivery whose files will not stay (fixed names, or kept for a time) and are there yet: cheap to read of thousands."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    id: str
    export: str
    member: str
    export_time: ExportTime
    connection_id: str
    target: str
    folder: str
    overwrite: bool
    keep_for: timedelta | None
    written: datetime  # its files


class Link(_Record):
    """What a delivery is in its chain, without what was pinned: cheap to read of thousands."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    id: str
    environment: str
    export: str
    member: str
    export_time: ExportTime
    chain: str
    sequence: int  # 1 is the full that the chain begins with
    counts: Counts | None = None  # once committed


class Delivery(Link):
    """One member of one export at one export time."""

    kind: str  # dataset | segment
    base_export_time: ExportTime
    previous_export_time: ExportTime | None
    state: State
    pin: Pin
    attempt_id: str | None = None  # the attempt that is publishing or was committed
    bytes: int | None = None
    files: tuple[FileRecord, ...] = ()  # once committed
    covered_by: ExportTime | None = None
    run_id: str | None = None  # the run that pinned it, later the one that committed it
    pinned_at: datetime
    committed_at: datetime | None = None


CRASHED = "crashed"
"""The reason of an export time whose run died: its process was killed, or its machine went down."""

PASSING = (TransientError.code, CRASHED)
"""Reasons of failures that may pass by themselves."""


class SkipRecord(_Record):
    """An export time without a delivery: `skipped` by rule, `failed` before or in an attempt, or `waiting` still.

    `run_id` is the run that ended so, or the schedule or sensor that started none."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    environment: str
    export: str
    member: str
    export_time: ExportTime
    outcome: Literal["skipped", "failed", "waiting"] = "skipped"
    reason: str
    message: str
    next_step: str
    run_id: str
    at: datetime

    @property
    def permanent(self) -> bool:
        """Whether it failed in a way that trying again without a change cannot help."""
        return self.outcome == "failed" and self.reason not in PASSING


class Lease(_Record):
    """The right to deliver one export, until `expires_at` by the database's clock; `token` grows with every holder."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    environment: str
    export: str
    token: int
    run_id: str
    export_time: ExportTime
    expires_at: datetime
