"""A delivery evaluated once more: who was sent then, whatever consent and suppression say member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.evaluation.held import held
from cdp_exports.evaluation.judging import NO_CONSENT, SUPPRESSED, WITHOUT_CONTACT, Judge, Judged, keys_of
from cdp_exports.evaluation.sql import equal

if TYPE_CHECKING:
    import polars as pl


def as_delivered(judge: Judge, judged: Judged, state: pl.LazyFrame, *, withhold: bool) -> Judged:
    """Members with the reasons and hashes of the state after the delivery, and a column `withheld`: why they must not be sent any
    more (with `withhold`). Values are those of the pinned rows; who is not in the state was no member."""
    session, keys = judge.session, keys_of(judge.audience)
    state_then = held(session, judge.audience, state)
    why = f"CASE WHEN member.reason IN ('{NO_CONSENT}', '{SUPPRESSED}') THEN member.reason END" if withhold else "CAST(NULL AS VARCHAR)"
    reason = f"CASE WHEN delivered.key_0 IS NULL THEN '{WITHOUT_CONTACT}' ELSE delivered.reason END"
    same = equal([f"member.{key}" for key in keys], [f"delivered.{key}" for key in keys])
    table = session.table(
        "delivered",
        f"SELECT member.* EXCLUDE (hash, reason), delivered.hash, {reason} AS reason, {why} AS withheld FROM {judged.table} AS member "
        f"LEFT JOIN {state_then} AS delivered ON {same} WHERE delivered.key_0 IS NOT NULL OR member.reason = '{WITHOUT_CONTACT}'",
    )
    session.drop(state_then, judged.table)
    return Judged(table, judge.funnel(table))
