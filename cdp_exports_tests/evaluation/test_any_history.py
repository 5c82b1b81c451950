"""Whatever the history, the definition and the way: the receiver holds exactly who should be sent, and the numbers add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import polars as pl
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cdp_exports.evaluation.evaluate import evaluate
from cdp_exports.evaluation.inputs import Answer, Question, Since, Tables
from cdp_exports.segments.audience import Audience, Listed, TimeBound, Way
from cdp_exports_tests.evaluation.audiences import NOON, PROFILES, audience, column, expression, field, profiles, tables
from cdp_exports_tests.evaluation.oracle import Row, Rules, judged, sent

MEMORY = 200_000_000
EXAMPLES = 60
_RECENT = '"profiles"."seen" >= export_time - INTERVAL 2 DAY'
_BOUND = TimeBound("profiles", "seen", "export_time - INTERVAL 2 DAY")
_LETTER = "CASE WHEN hour(export_time) < 6 THEN 'O' WHEN hour(export_time) < 14 THEN 'P' ELSE 'Q' END"


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
    (
        f'coalesce("profiles"."city" <= {_LETTER}, false)',
        (TimeBound("profiles", "city", _LETTER),),
        lambda row, at: row["city"] is not None and row["city"] <= ("O" if at.hour < 6 else "P" if at.hour < 14 else "Q"),
    ),
]


@dataclass(frozen=True)
class Step:
    """What is so at one export time."""

    hours: int  # since the last
    pinned: dict[int, Row]
    head: dict[int, Row]  # of consent
    refused: frozenset[int]  # who has another row there, that does not grant it
    listed: set[str]  # whom nothing is sent about

    @property
    def consents(self) -> dict[int, Row]:
        return {key: {**row, "ok": row["ok"] and key not in self.refused} for key, row in self.head.items()}


def _row(random: Random) -> Row:
    return {
        "email": random.choice([None, "", "a@x", "A@x", "b@x"]),
        "city": random.choice([None, "P", "Q"]),
        "spend": random.choice([None, 0, 1, 2, 3, 4]),
        "seen": random.choice([None, *(NOON + timedelta(hours=hours) for hours in range(-96, 96, 16))]),
        "ok": random.choice([None, True, True, False]),
    }


def _changed(random: Random, rows: Mapping[int, Row]) -> dict[int, Row]:
    """Some rows come, change in one value or altogether, or go."""
    now = dict(rows)
    for key in random.sample(range(1, 9), random.randint(0, 3)):
        if key in now and random.random() < 0.3:
            del now[key]
        elif key in now and random.random() < 0.7:
            name = random.choice(sorted(now[key]))
            now[key] = {**now[key], name: _row(random)[name]}
        else:
            now[key] = _row(random)
    return now


def _history(random: Random) -> list[Step]:
    steps: list[Step] = []
    pinned: dict[int, Row] = {key: _row(random) for key in random.sample(range(1, 9), 6)}
    listed: set[str] = set()
    for _ in range(3):
        head, refused = pinned, frozenset[int]()
        if random.random() < 0.4:
            head = _changed(random, pinned)
            refused = frozenset(random.sample(range(1, 9), random.choice([0, 2])))
        listed = {email for email in ("a@x", "b@x", "") if random.random() < 0.2} if random.random() < 0.5 else listed
        steps.append(Step(random.choice([0, 16, 40]), pinned, head, refused, listed))
        pinned = _changed(random, pinned)
    return steps


def _rules(random: Random, member: Any) -> Rules:
    def chance(of: float) -> bool:
        return random.random() < of

    by_identity = chance(0.3)
    return Rules(
        member=member,
        required=by_identity or chance(0.4),
        by_identity=by_identity,
        consent=chance(0.3),
        suppress=chance(0.3),
        dedupe=random.choice([("email",), ("city",)] if by_identity else [(), ("city",), ("city", "email")]),
        newest=chance(0.5),
        keep=random.choice([0, 2]) if chance(0.2) else None,
    )


def compiled(rule: Rules, sql: str, bounds: tuple[TimeBound, ...]) -> Audience:
    return audience(
        key_names=() if rule.by_identity else ("id",),
        membership=expression(sql, "BOOLEAN", bounds),
        fields=(field("email", identity=True, required=rule.required), field("city"), field("spend", column("spend", type_="BIGINT"))),
        consents=(expression('"profiles"."ok"', "BOOLEAN"),) if rule.consent else (),
        suppressions=(Listed("blocked", "email", expression('lower("profiles"."email")')),) if rule.suppress else (),
        dedupe_by=tuple(column(name) for name in rule.dedupe),
        distinct_by=(column("email"),) if rule.by_identity and rule.dedupe != ("email",) else (),
        newest_by=column("spend", type_="BIGINT") if rule.newest else None,
        keep_by='"profiles"."spend" DESC NULLS LAST' if rule.keep is not None else None,
        tables={"profiles": PROFILES, "blocked": {"email": "VARCHAR"}},
    )


def ways(rule: Rules) -> list[Way]:
    if rule.keep is not None or (rule.by_identity and rule.dedupe != ("email",)):
        return [Way.COMPARED]
    return [Way.TOUCHED, Way.COMPARED] if rule.consent or rule.suppress or rule.dedupe else [Way.CHANGES, Way.TOUCHED, Way.COMPARED]


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


BLANK: Row = dict.fromkeys(("email", "city", "spend", "seen", "ok"))


def blocked(emails: set[str]) -> pl.LazyFrame:
    return pl.LazyFrame({"email": [*sorted(emails), None]}, schema={"email": pl.String})


class Receiver:
    """Applies what it is sent, and keeps what the project keeps for it."""

    def __init__(self, by: str) -> None:
        self.by = by  # the column that it knows people by
        self.rows: dict[Any, tuple[Any, ...]] = {}
        self.state: list[pl.DataFrame] = []
        self.last: Answer | None = None

    def take(self, answer: Answer) -> list[dict[str, Any]]:
        taken = answer.rows.collect()
        assert taken.height == answer.expected
        for row in taken.rows(named=True):
            if row["segment_status"] == "exited":
                assert (row["city"], row["spend"]) == (None, None)
                assert row["email"] == self.rows.pop(row[self.by])[0]
            else:
                assert (row[self.by] in self.rows) == (row["segment_status"] == "updated")
                assert row["exit_reason"] is None
                self.rows[row[self.by]] = sent(row)
        assert answer.state is not None
        self.state = [] if answer.state_is_whole else self.state
        self.state.append(answer.state.collect().with_columns(sequence=pl.lit(len(self.state) + 1)))
        self.last = answer
        return taken.rows(named=True)

    def known(self) -> dict[int, str | None]:
        newest = {row["key_0"]: row for state in self.state for row in state.rows(named=True)}
        assert all(row["identity_0"] is None for row in newest.values() if row["gone"] or row["reason"])
        return {key: row["reason"] for key, row in newest.items() if not row["gone"]}


@settings(deadline=None, max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))  # drawn from a generator of our own: what Hypothesis draws itself repeats itself too much here
def test_the_receiver_holds_the_truth(seed: int) -> None:
    random = Random(seed)
    sql, bounds, member = random.choice(PREDICATES)
    rule = _rules(random, member)
    several = random.random() < 0.3
    made = compiled(rule, sql, bounds)
    by = "email" if rule.by_identity else "id"
    receivers = {way: Receiver(by) for way in ways(rule)}
    holders: dict[Any, int] = {}
    at, before = NOON, None
    for step in _history(random):
        now, head, listed = step.pinned, step.consents, step.listed
        now_at = at + timedelta(hours=step.hours)
        reasons = judged(rule, now, now_at, head, listed)
        held_before, holders = holders, {{"id": key, **now[key]}[by]: key for key, reason in reasons.items() if reason is None}
        truth = {known: sent(now[key]) for known, key in holders.items()}
        source = sources(step)
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
                rows = receiver.take(answer)
            assert receiver.rows == truth
            assert receiver.known() == reasons
            counts = Counter(reason for reason in reasons.values() if reason)
            assert (answer.funnel.members, answer.funnel.rows, answer.funnel.deliverable) == (len(reasons), len(reasons), len(truth))
            assert answer.funnel.left_out == counts
            exits = Counter(_exit(held_before[known], reasons, now) for known in held.keys() - truth.keys())
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
            if random.random() < 0.5:
                later = Step(0, now, _changed(random, now), frozenset(random.sample(range(1, 9), 2)), random.choice([set(), {"a@x"}]))
                why = judged(rule, now, now_at, later.consents, later.listed)
                again = replace(question, way=Way.COMPARED, as_delivered=pl.concat(receiver.state).lazy())
                delivered_again(again, answer, rows, {known: why[key] for known, key in holders.items()}, sources(later))
        assert all(found == answers[0] for found in answers)
        at, before = now_at, (now, head, listed)


def sources(step: Step) -> Tables:
    head = {"profiles": pl.concat([frame(step.head), frame({key: {**BLANK, "ok": None} for key in step.refused})])}
    return tables({"profiles": frame(step.pinned), "blocked": blocked(step.listed)}, head if step.head is not step.pinned else {})


def delivered_again(question: Question, answer: Answer, rows: Any, why: Mapping[Any, str | None], source: Tables) -> None:
    """Whatever consent and suppression say by now (`why`, of whom the receiver holds), the rows are those that were delivered; or those
    of them that may be sent still."""
    by = "id" if question.audience.key_names else "email"
    gone = [] if question.since is None else [row for row in rows if row["segment_status"] == "exited"]
    others = [row for row in rows if row not in gone]
    now = [row for row in others if why[row[by]] not in ("no_consent", "suppressed")]
    for withhold, expected in ((False, rows), (True, gone + now)):
        asked = replace(question, withhold=withhold)
        with evaluate([asked], source, memory_limit=MEMORY, disk_limit=MEMORY) as (again,):
            assert sorted(map(repr, again.rows.collect().rows(named=True))) == sorted(map(repr, expected))
            assert again.expected == len(expected)
            assert (again.found, again.funnel, again.movement) == (answer.found, answer.funnel, answer.movement)
            assert sum(again.sent.values()) == len(expected)
            assert again.withheld == (Counter(why[row[by]] for row in others if row not in now) if withhold else {})


def _exit(key: int, reasons: Mapping[int, str | None], now: Mapping[int, Row]) -> str:
    if key in reasons and reasons[key] is None:
        return "identity_changed"
    return reasons.get(key) or ("left_segment" if key in now else "deleted")
