"""One pass over a dataset for several questions."""

# ruff: noqa: S608 - names are quoted, expressions were checked

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import equal, quoted
from cdp_exports.segments.audience import Part


@dataclass(frozen=True)
class Condition:
    """Which rows a question needs: `sql` over the dataset and the parts."""

    sql: str
    parts: tuple[Part, ...]
    subject: str


def sweep(
    session: Session, relation: str, dataset: str, columns: Iterable[str], key: Sequence[str], conditions: Sequence[Condition]
) -> tuple[str, list[str]]:
    """A table of the rows that any condition holds for, and by condition the SQL that tells its rows."""
    listed = list(columns)
    free = "_" * (max(map(len, listed), default=0) + 1)  # no column begins like this
    source = f"{relation} AS {quoted(dataset)}"
    parts = {part.segment: part for condition in conditions for part in condition.parts}
    for name, part in parts.items():
        own, theirs = [f"{quoted(dataset)}.{quoted(one)}" for one in key], [f"{quoted(name)}.{quoted(one)}" for one in part.key]
        source += f" LEFT JOIN {quoted(name)} ON {equal(own, theirs)}"
    flags = [f"{free}{number}" for number in range(len(conditions))]
    select = [f"{quoted(dataset)}.{quoted(name)}" for name in listed]
    select += [f"({condition.sql}) AS {flag}" for condition, flag in zip(conditions, flags, strict=True)]
    subject = " or ".join(dict.fromkeys(condition.subject for condition in conditions))
    query = f"SELECT * FROM (SELECT {', '.join(select)} FROM {source}) WHERE {' OR '.join(flags)}"
    return session.table("kept", query, subject), flags
