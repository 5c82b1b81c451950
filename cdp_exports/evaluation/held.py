"""What the receiver holds, out of the state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.evaluation.inputs import IDENTITY
from cdp_exports.evaluation.judging import keys_of
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import among, equal
from cdp_exports.segments.audience import Audience

if TYPE_CHECKING:
    import polars as pl


def identities_fit(session: Session, audience: Audience, state: pl.LazyFrame) -> bool:
    """Whether the state has identities of the number and types that the audience has now."""
    types = [field.expression.type for field in audience.fields if field.identity]
    columns = [f"CAST(NULL AS {type_}) AS {IDENTITY}{number}" for number, type_ in enumerate(types)]
    wanted = session.frame(f"SELECT {', '.join(['1 AS one', *columns])} WHERE false").collect_schema()
    return [item for item in state.collect_schema().items() if item[0].startswith(IDENTITY)] == list(wanted.items())[1:]


def held(session: Session, audience: Audience, state: pl.LazyFrame, only: str | None = None) -> str:
    """A table of the newest row of every key that is a member's: key, identities, hash, reason; `only`: of the keys in this table."""
    keys = keys_of(audience)
    stored = [name for name in state.collect_schema().names() if name.startswith(IDENTITY)]
    columns = [*keys, *stored, "hash", "reason", "gone", "sequence"]
    with session.stream(state, dict.fromkeys(columns), "What the receiver holds", "the state folder") as rows:
        confined = f" WHERE {among(keys, only)}" if only else ""
        every = session.table("state", f"SELECT {', '.join(columns)} FROM {rows}{confined}")
    whole = f"(SELECT min(sequence) FROM {every})"
    later = f"SELECT {', '.join(keys)}, max(sequence) AS sequence FROM {every} WHERE sequence > {whole} GROUP BY ALL"
    same = equal([f"one.{key}" for key in keys], [f"later.{key}" for key in keys])
    kept = ", ".join(f"one.{name}" for name in columns if name not in ("gone", "sequence"))
    newest = "NOT one.gone AND one.sequence >= coalesce(later.sequence, one.sequence)"
    table = session.table("held", f"SELECT {kept} FROM {every} AS one LEFT JOIN ({later}) AS later ON {same} WHERE {newest}")
    session.drop(every)
    return table
