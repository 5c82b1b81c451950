"""Which rows a delivery carries."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cdp_exports.errors import HistoryLost
from cdp_exports.increments.increment import Changes, Nothing, increment, same_history
from cdp_exports.ledger.records import SourcePin


@dataclass(frozen=True)
class State:
    table_id: str = "table"
    version: int = 5
    commit: str = "five"


LAST = SourcePin(
    dataset="orders",
    table_id="table",
    after_version=None,
    after_commit=None,
    upto_version=5,
    upto_commit="five",
    change_source=None,
)


@pytest.mark.parametrize(
    ("head", "expected"),
    [(State(version=7, commit="seven"), Changes(5, 7)), (State(), Nothing(5))],
    ids=["later", "unchanged"],
)
def test_which_rows(head: State, expected: Changes | Nothing) -> None:
    assert increment(LAST, head) == expected


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (State(table_id="other"), "table_recreated"),
        (State(table_id="other", version=9), "table_recreated"),
        (State(version=4, commit="four"), "source_rewound"),
        (State(commit="another five"), "source_rewound"),
        (State(commit="checkpoint:five"), "log_cleaned"),
    ],
    ids=["recreated", "recreated and longer", "shorter", "another commit", "only a checkpoint is left"],
)
def test_another_history_is_lost_history(head: State, reason: str) -> None:
    with pytest.raises(HistoryLost, check=lambda error: error.reason == reason):
        increment(LAST, head)


def test_the_state_that_was_delivered_is_checked_where_the_table_went_on() -> None:
    same_history(LAST, State())
    with pytest.raises(HistoryLost, match="Another commit", check=lambda error: error.reason == "source_rewound"):
        same_history(LAST, State(commit="another five"))
