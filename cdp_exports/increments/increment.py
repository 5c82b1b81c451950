"""Which rows a delivery carries: everything, what changed since the last one, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cdp_exports.errors import HistoryLost
from cdp_exports.ledger.records import SourcePin

_LOST = "What was delivered cannot be compared with what is there now."


class State(Protocol):
    """One committed state of a source (`sources.source.Head` is one)."""

    @property
    def table_id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def commit(self) -> str: ...


@dataclass(frozen=True)
class Full:
    """All rows at version `upto`."""

    upto: int


@dataclass(frozen=True)
class Changes:
    """The net change after version `after` up to and including `upto`."""

    after: int
    upto: int


@dataclass(frozen=True)
class Nothing:
    """The source still is at the version that was delivered last."""

    upto: int


Increment = Full | Changes | Nothing


def increment(last: SourcePin, head: State) -> Changes | Nothing:
    """What follows the last committed delivery of a chain, `last` being its source.

    Raises:
        HistoryLost: `table_recreated` or `source_rewound`: the source no longer is what was delivered. Where the answer
            is `Changes`, hand the state at `after` to `same_history` too.
    """
    if head.version <= last.upto_version:
        same_history(last, head)
        return Nothing(head.version)
    _same_table(last, head)
    return Changes(last.upto_version, head.version)


def same_history(last: SourcePin, state: State) -> None:
    """Check that `state` is the very one that `last` delivered up to.

    Raises:
        HistoryLost: `table_recreated`: another table stands at the same place; `source_rewound`: it was restored to an
            earlier version, or another commit stands under the delivered version.
    """
    _same_table(last, state)
    if state.version < last.upto_version:
        raise HistoryLost(
            f"The dataset {last.dataset} is at version {state.version}, before version {last.upto_version} that was delivered.",
            next_step=_LOST,
            reason="source_rewound",
        )
    if state.commit.startswith("checkpoint:") and not last.upto_commit.startswith("checkpoint:"):
        raise HistoryLost(
            f"The log entry of version {last.upto_version} of the dataset {last.dataset} was cleaned, so nobody can tell whether it is"
            " the one that was delivered.",
            next_step=_LOST,
            reason="log_cleaned",
        )
    if state.commit != last.upto_commit:
        raise HistoryLost(
            f"Another commit than the delivered one stands under version {last.upto_version} of the dataset {last.dataset}.",
            next_step=_LOST,
            reason="source_rewound",
        )


def _same_table(last: SourcePin, state: State) -> None:
    if state.table_id != last.table_id:
        raise HistoryLost(
            f"The table of the dataset {last.dataset} was dropped and recreated at the same place.",
            next_step=_LOST,
            reason="table_recreated",
        )
