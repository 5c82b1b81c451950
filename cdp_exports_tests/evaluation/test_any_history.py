"""Whatever the history, the definition and the way: the receiver holds exactly who should be sent, and the numbers add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.evaluation.evaluate import evaluate
from cdp_exports.evaluation.inputs import Answer, Question, Since
from cdp_exports.segments.audience import Audience, Listed, TimeBound, Way
from cdp_exports_tests.evaluation.audiences import NOON, PROFILES, audience, column, expression, field, profiles, tables
from cdp_exports_tests.evaluation.oracle import Row, Rules, judged, sent

MEMORY = 200_000_000
_RECENT = '"profiles"."seen" >= export_time - INTERVAL 2 DAY'
_BOUND = TimeBound("profiles", "seen", "export_time - INTERVAL 2 DAY")


def _recent(row: Row, at: datetime) -> bool:
    return row["seen"] is not None and row["seen"] >= at - timedelta(days=2)


def _spends(row: Row, least: int) -> bool:
    return row["spend"] is not None and row["spend"] >= least


PREDICATES = [
    ("true", (), lambda row, at: True),
    ('coalesce("profiles"."spend" >= 2, false)', (), lambda row, at: _spends(row, 2)),
    (f"coalesce({_RECENT}, false)", (_BOUND,), _recent),
    (
        f'coalesce({_RECENT}, false) OR coalesce("profiles"."spend" >= 4, false)',
        (_BOUND,),
        lambda row, at: _recent(row, at) or _spends(row, 4),
    ),
    (f"coalesce(NOT ({_RECENT}), true)", (_BOUND,), lambda row, at: not _recent(row, at)),
]

rows = st.fixed_dictionaries(
    {
        "email": st.sampled_from([None, "", "a@x", "A@x", "b@x"]),
        "city": st.sampled_from([None, "P", "Q"]),
        "spend": st.none() | st.integers(0, 5),
        "seen": st.none() | st.integers(-4 * 24, 4 * 24).map(lambda hours: NOON + timedelta(hours=hours)),
        "ok": st.none() | st.booleans(),
    }
)
people = st.dictionaries(st.integers(1, 6), rows, max_size=6)


@st.composite
def steps(draw: st.DrawFn) -> tuple[int, dict[int, Any], dict[int, Any], set[str]]:
    """Hours that pass, the rows at the pinned version, those at the head of consent, and who is suppressed."""
    pinned = draw(people)
    return (
        draw(st.integers(0, 60)),
        pinned,
        draw(people) if draw(st.booleans()) else pinned,
        draw(st.sets(st.sampled_from(["a@x", "b@x", ""]))),
    )


rules = st.builds(
    Rules,
    member=st.none(),
    required=st.booleans(),
    consent=st.booleans(),
    suppress=st.booleans(),
    dedupe=st.sampled_from([(), (), ("city",), ("city", "email")]),
    newest=st.booleans(),
    keep=st.sampled_from([None, None, None, 0, 2]),
)


def compiled(rule: Rules, sql: str, bounds: tuple[TimeBound, ...]) -> Audience:
    return audience(
        membership=expression(sql, "BOOLEAN", bounds),
        fields=(field("email", identity=True, required=rule.required), field("city"), field("spend", column("spend", type_="BIGINT"))),
        consents=(expression('"profiles"."ok"', "BOOLEAN"),) if rule.consent else (),
        suppressions=(Listed("blocked", "email", expression('lower("profiles"."email")')),) if rule.suppress else (),
        dedupe_by=tuple(column(name) for name in rule.dedupe),
        newest_by=column("spend", type_="BIGINT") if rule.newest else None,
        keep_by='"profiles"."spend" DESC NULLS LAST' if rule.keep is not None else None,
        tables={"profiles": PROFILES, "blocked": {"email": "VARCHAR"}},
    )


def ways(rule: Rules) -> list[Way]:
    if rule.keep is not None:
        return [Way.COMPARED]
    return [Way.TOUCHED, Way.COMPARED] if rule.consent or rule.suppress or rule.dedupe else list(Way)


def frame(rows: Mapping[int, Row]) -> pl.LazyFrame:
    return profiles(*({"id": key, **row} for key, row in rows.items()))


def images(old: Mapping[int, Row], new: Mapping[int, Row]) -> pl.LazyFrame:
    kinds = (
        ("delete", {key: old[key] for key in old.keys() - new.keys()}),
        ("insert", {key: new[key] for key in new.keys() - old.keys()}),
        ("update_preimage", {key: old[key] for key in old.keys() & new.keys() if old[key] != new[key]}),
        ("update_postimage", {key: new[key] for key in old.keys() & new.keys() if old[key] != new[key]}),
    )
    return pl.concat([frame(rows).with_columns(_change_type=pl.lit(kind)) for kind, rows in kinds])


def blocked(emails: set[str]) -> pl.LazyFrame:
    return pl.LazyFrame({"email": [*sorted(emails), None]}, schema={"email": pl.String})


class Receiver:
    """Applies what it is sent, and keeps what the project keeps for it."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[Any, ...]] = {}
        self.state: list[pl.DataFrame] = []
        self.last: Answer | None = None

    def take(self, answer: Answer) -> None:
        taken = answer.rows.collect()
        assert taken.height == answer.expected
        for row in taken.rows(named=True):
            if row["segment_status"] == "exited":
                assert (row["city"], row["spend"]) == (None, None)
                assert row["email"] == self.rows.pop(row["id"])[0]
            else:
                assert (row["id"] in self.rows) == (row["segment_status"] == "updated")
                assert row["exit_reason"] is None
                self.rows[row["id"]] = sent(row)
        assert answer.state is not None
        self.state = [] if answer.state_is_whole else self.state
        self.state.append(answer.state.collect().with_columns(sequence=pl.lit(len(self.state) + 1)))
        self.last = answer

    def known(self) -> dict[int, str | None]:
        newest = {row["key_0"]: row for state in self.state for row in state.rows(named=True)}
        assert all(row["identity_0"] is None for row in newest.values() if row["gone"] or row["reason"])
        return {key: row["reason"] for key, row in newest.items() if not row["gone"]}


@settings(deadline=None, max_examples=120)
@given(rule=rules, predicate=st.sampled_from(PREDICATES), history=st.lists(steps(), min_size=2, max_size=4), several=st.booleans())
def test_the_receiver_holds_the_truth(rule: Rules, predicate: Any, history: list[Any], several: bool) -> None:
    sql, bounds, member = predicate
    rule = replace(rule, member=member)
    made = compiled(rule, sql, bounds)
    receivers = {way: Receiver() for way in ways(rule)}
    at, before = NOON, None
    for hours, now, head, listed in history:
        now_at = at + timedelta(hours=hours)
        reasons = judged(rule, now, now_at, head, listed)
        truth = {key: sent(now[key]) for key, reason in reasons.items() if reason is None}
        source = tables({"profiles": frame(now), "blocked": blocked(listed)}, {"profiles": frame(head)} if head is not now else {})
        answers = []
        for way, receiver in receivers.items():
            since = None
            if before is not None and receiver.last is not None:
                then, then_head, then_listed = before
                guards = {"profiles": images(then_head, head), "blocked": blocked(then_listed ^ listed)}
                since = Since(
                    at=at,
                    funnel=receiver.last.funnel,
                    held_rows=receiver.last.movement.held,
                    images=images(then, now),
                    guard_rows={name: rows for name, rows in guards.items() if name != "blocked" or then_listed != listed},
                    held=pl.concat(receiver.state).lazy(),
                )
            question = Question(made, now_at, way, since, rule.keep, keep_state=True)
            held = dict(receiver.rows)
            with evaluate([question] * (2 if several else 1), source, memory_limit=MEMORY, disk_limit=MEMORY) as (answer, *_):
                receiver.take(answer)
            assert receiver.rows == truth
            assert receiver.known() == reasons
            counts = Counter(reason for reason in reasons.values() if reason)
            assert (answer.funnel.members, answer.funnel.rows, answer.funnel.deliverable) == (len(reasons), len(reasons), len(truth))
            assert answer.funnel.left_out == counts
            exits = Counter(_exit(key, reasons, now) for key in held.keys() - truth.keys())
            assert answer.movement.model_dump() == {
                "before": len(held),
                "entered": len(truth.keys() - held.keys()),
                "updated": sum(held[key] != truth[key] for key in held.keys() & truth.keys()),
                "exited": sum(exits.values()),
                "held": len(truth),
                "exits": exits,
            }
            assert answer.found == answer.sent
            answers.append(answer.found)
        assert all(found == answers[0] for found in answers)
        at, before = now_at, (now, head, listed)


def _exit(key: int, reasons: Mapping[int, str | None], now: Mapping[int, Row]) -> str:
    return reasons.get(key) or ("left_segment" if key in now else "deleted")
