"""What an audience destination can do: lists of members kept by another system, reached through its API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cdp_exports.entities.capabilities import Capabilities

Value = str | int | float | bool | None
"""A value as it is sent; dates and times as ISO 8601 text, other types as text too."""


@dataclass(frozen=True)
class Change:
    """One member who enters, was updated, or leaves. `values` by the names of the mapped fields (`to`); of who leaves only what
    tells them apart, as it was sent: the fields marked `identity`, or the key."""

    status: Literal["entered", "updated", "exited"]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Batch:
    """Changes sent in one call, in order.

    `key` is the same whenever this very batch is sent again, and never another's: the idempotency key.
    """

    key: str
    changes: Sequence[Change]


@dataclass(frozen=True)
class Rejected:
    """One member of a batch who was not taken. `index`: its place in the batch, from 0. `reason`: a short code of the receiver's,
    such as `invalid_email`; never a value of the member's."""

    index: int
    reason: str


@dataclass(frozen=True)
class Answered:
    """What became of a batch: all its members were taken but these."""

    rejected: Sequence[Rejected] = ()


class AudienceDestination(Protocol):
    """A system that holds audiences. Raises DestinationRefused, NotApplied or TransientError, nothing else."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def place(self) -> str:
        """The account as one URI without secrets; two connections that share it share audiences."""
        ...

    def uri(self, audience: str) -> str:
        """The address of an audience (by its name) as a person would open it, or the nearest there is."""
        ...

    def prepare(self, audience: str, *, create: bool = True) -> None:
        """Find the audience with this name, or create it, and wait until it takes members. Idempotent; called before the first `send`
        of every attempt. Not `create`: members were sent to it before, so one that is not there is refused, where that can be told.

        Raises:
            DestinationRefused: it is no longer there, or cannot be used.
        """
        ...

    def send(self, audience: str, batch: Batch) -> Answered:
        """Send one batch, at most `capabilities.batch_max` changes. Waits out rate limits for a stated time.

        Raises:
            DestinationRefused: certain that nothing of it was applied, and trying again cannot help.
            NotApplied: certain that nothing of it was applied, may pass (busy, rate limit, no connection could be made).
            TransientError: nobody knows whether it was applied (cut or timed out after it was sent).
        """
        ...

    def outcome(self, audience: str, batch: Batch) -> Answered | None:
        """What became of a batch of which that is not known. None: the receiver cannot tell.

        Raises:
            NotApplied: it says that nothing of it was applied.
        """
        ...

    def probe(self) -> None:
        """Check that signing in and every right that is needed are there, changing nothing."""
        ...
