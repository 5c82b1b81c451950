"""What evaluating needs and gives, as frames. Nothing here knows where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from cdp_exports.ledger.records import Funnel, Movement
from cdp_exports.segments.audience import Audience, Way

if TYPE_CHECKING:
    import polars as pl

KEY, IDENTITY = "key_", "identity_"
"""State has the key as `key_0`, `key_1`, ... (of the member, then of an exploded contact) and identities as sent as `identity_0`, ...

Further columns: `hash` (unsigned 64 bits, of the mapped values), `reason` (text: why a member of the segment is not sent; null: the
receiver holds it), `gone` (no longer a member) and, as read back from several deliveries, `sequence` (the newest row of a key counts).
"""


@dataclass(frozen=True)
class Tables:
    """How to read what a delivery reads, lazily; each call is one scan, columns are selected by whoever calls.

    `head` gives None where a dataset's head is the very version that is pinned.
    """

    pinned: Callable[[str], pl.LazyFrame]  # of a dataset, or of a list by its segment's id
    head: Callable[[str], pl.LazyFrame | None]  # of a dataset of consent or suppression


@dataclass(frozen=True)
class Since:
    """The delivery that an increment follows.

    `images`: the net change of the `of` dataset since then with the rows before and after (`_change_type`: insert,
    update_preimage, update_postimage, delete); for the ways `changes` and `touched`.
    `guard_keys`: for `touched`, rows of the datasets of consent and suppression that changed since the last delivery read them,
    by dataset: what they were and what they are. `held`: state; for the ways `touched` and `compared`.
    """

    at: datetime
    funnel: Funnel
    held_rows: int
    images: pl.LazyFrame | None = None
    guard_rows: Mapping[str, pl.LazyFrame] | None = None
    held: pl.LazyFrame | None = None


@dataclass(frozen=True)
class Question:
    """One member to evaluate at one export time; `since` None: everybody, as a full delivery. `keep`: at most so many are sent."""

    audience: Audience
    at: datetime
    way: Way = Way.COMPARED
    since: Since | None = None
    keep: int | None = None
    with_status: bool = True  # whether the files carry the status columns
    keep_state: bool = False  # whether the answer carries the state
    as_delivered: pl.LazyFrame | None = None  # the state after this very delivery, which is evaluated once more
    withhold: bool = True  # then: whether those are left out who must not be sent any more
    holds: pl.LazyFrame | None = None  # whom an audience destination holds: identity, hash, gone, sequence


@dataclass(frozen=True)
class Answer:
    """What to send, as it stands in the files, and how it counts. Frames may be read until the evaluation is left.

    `found`: rows of the increment by status (entered, updated, exited), sent or not. `state` is whole in an answer without
    `since` or where `since.held` had other identity columns, else what changed.
    """

    rows: pl.LazyFrame
    expected: int
    found: Mapping[str, int]
    sent: Mapping[str, int]
    funnel: Funnel
    movement: Movement
    state: pl.LazyFrame | None
    state_is_whole: bool
    withheld: Mapping[str, int] = field(default_factory=dict[str, int])  # of a delivery evaluated once more, by reason
