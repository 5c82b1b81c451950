"""One pass over a dataset for several questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import equal
from cdp_exports.segments.audience import Part
from cdp_exports.segments.binding import quoted


@dataclass(frozen=True)
class Condition:
    """Which rows a question needs: `sql` over the dataset and the parts."""

    sql: str
    parts: tuple[Part, ...]
    subject: str


def with_parts(relation: str, dataset: str, key: Sequence[str], parts: Iterable[Part]) -> str:
    """A dataset's rows, each beside its row of every part or beside nulls."""
    source = f"{relation} AS {quoted(dataset)}"
    for part in parts:
        own = [f"{quoted(dataset)}.{quoted(name)}" for name in key]
        theirs = [f"{quoted(part.segment)}.{quoted(name)}" for name in part.key]
        source += f" LEFT JOIN {quoted(part.segment)} ON {equal(own, theirs)}"
    return source


def sweep(
    session: Session, relation: str, dataset: str, columns: Iterable[str], key: Sequence[str], conditions: Sequence[Condition]
) -> tuple[str, list[str]]:
    """A table of the rows that any condition holds for, and by condition the SQL that tells its rows."""
    listed = list(columns)
    free = "_" * (max(map(len, listed), default=0) + 1)  # no column begins like this
    parts = {part.segment: part for condition in conditions for part in condition.parts}
    source = with_parts(relation, dataset, key, parts.values())
    flags = [f"{free}{number}" for number in range(len(conditions))]
    select = [f"{quoted(dataset)}.{quoted(name)}" for name in listed]
    select += [f"({condition.sql}) AS {flag}" for condition, flag in zip(conditions, flags, strict=True)]
    subject = " or ".join(dict.fromkeys(condition.subject for condition in conditions))
    query = f"SELECT * FROM (SELECT {', '.join(select)} FROM {source}) WHERE {' OR '.join(flags)}"
    return session.table("kept", query, subject), flags
