"""What the receiver holds, out of the state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.evaluation.answering import Before, identities
from cdp_exports.evaluation.inputs import IDENTITY
from cdp_exports.evaluation.judging import keys_of
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import among, equal, numbered
from cdp_exports.segments.audience import Audience

if TYPE_CHECKING:
    import polars as pl


def held(session: Session, audience: Audience, state: pl.LazyFrame, only: str | None = None) -> tuple[Before, bool]:
    """The newest row of every key that is a member's; `only`: a table of keys to which it is confined.

    Also whether its identities are those of the audience; where they are not, they are not there.
    """
    keys, count = keys_of(audience), len(identities(audience))
    names = state.collect_schema().names()
    stored = [name for name in names if name.startswith(IDENTITY)]
    columns = [*keys, *stored, "hash", "reason", "gone", "sequence"]
    with session.stream(state, dict.fromkeys(columns), "What the receiver holds", "the state folder") as rows:
        confined = f" WHERE {among(keys, only)}" if only else ""
        every = session.table("state", f"SELECT {', '.join(columns)} FROM {rows}{confined}")
    deltas = f"SELECT {', '.join(keys)}, max(sequence) AS sequence FROM {every} WHERE sequence > (SELECT min(sequence) FROM {every}) GROUP BY ALL"
    same = equal([f"one.{key}" for key in keys], [f"later.{key}" for key in keys])
    kept = ", ".join(f"one.{name}" for name in columns if name not in ("gone", "sequence"))
    table = session.table(
        "held",
        f"SELECT {kept} FROM {every} AS one LEFT JOIN ({deltas}) AS later ON {same} "
        "WHERE NOT one.gone AND one.sequence >= coalesce(later.sequence, one.sequence)",
    )
    session.drop(every)
    fits = stored == numbered(IDENTITY, count)
    return Before(table, session.number(f"SELECT count(*) FROM {table} WHERE reason IS NULL")), fits
