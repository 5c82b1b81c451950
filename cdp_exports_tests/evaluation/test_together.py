"""Questions that are answered together, and rows that are not as alike as their keys."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from cdp_exports.errors import SourceUnreadable
from cdp_exports.evaluation.evaluate import evaluate
from cdp_exports.evaluation.inputs import Answer, Question, Since
from cdp_exports.segments.audience import Audience, Way
from cdp_exports_tests.evaluation.audiences import NOON, audience, expression, field, profiles, tables
from cdp_exports_tests.evaluation.test_any_history import images

PEOPLE = profiles({"id": 1, "email": "a@x", "ok": True}, {"id": 2, "email": "b@x", "ok": True}, {"id": 3, "city": "P"})
CONSENT = (expression('"profiles"."ok"', "BOOLEAN"),)


def reading(*names: str, **more: Any) -> Audience:
    """Sends these columns, and reads no others."""
    types = {"id": "BIGINT", "email": "VARCHAR", "city": "VARCHAR", "ok": "BOOLEAN"}
    return audience(
        fields=tuple(field(name, identity=name == "email") for name in names),
        tables={"profiles": {name: types[name] for name in ("id", *names, *["ok"] * ("consents" in more))}},
        **more,
    )


def answered(questions: list[Question], pinned: pl.LazyFrame, head: pl.LazyFrame | None = None) -> list[tuple[Answer, list[Any]]]:
    source = tables({"profiles": pinned}, {"profiles": head} if head is not None else {})
    with evaluate(questions, source, memory_limit=10**8, disk_limit=10**8) as answers:
        return [(answer, sorted(answer.rows.collect().rows(), key=repr)) for answer in answers]


@pytest.mark.parametrize("way", [Way.CHANGES, Way.TOUCHED])
@pytest.mark.parametrize("shared", [True, False])
def test_each_reads_its_own_columns(way: Way, shared: bool) -> None:
    made = [reading("city"), reading("email"), reading("email", "city")]
    before = answered([Question(one, NOON, keep_state=True) for one in made], PEOPLE)
    now = {key: {**row, "city": "Q"} for key, row in ((row.pop("id"), row) for row in PEOPLE.collect().rows(named=True))}
    then = {key: {**row, "city": None if key < 3 else "P"} for key, row in now.items()}
    changed = images(then, now)
    pinned = profiles(*({"id": key, **row} for key, row in now.items()))
    questions: list[Question] = []
    for one, (first, _) in zip(made, before, strict=True):
        assert first.state is not None
        own = changed.select("id", "email", "city", "_change_type") if shared else changed.select(*one.tables["profiles"], "_change_type")
        questions.append(Question(one, NOON, way, Since(NOON, first.funnel, 3, own, {}, _state(one))))
    if shared:
        questions = [Question(one.audience, NOON, way, _with(one, questions[0])) for one in questions]
    found = [answer.found for answer, _ in answered(questions, pinned)]
    assert [one["updated"] for one in found] == [3, 0, 3]


def _with(question: Question, other: Question) -> Since:
    assert question.since is not None
    assert other.since is not None
    return Since(NOON, question.since.funnel, 3, other.since.images, {}, question.since.held)


def _state(made: Audience) -> pl.LazyFrame:
    with evaluate([Question(made, NOON, keep_state=True)], tables({"profiles": PEOPLE}), memory_limit=10**8, disk_limit=10**8) as (answer,):
        assert answer.state is not None
        return answer.state.collect().with_columns(sequence=pl.lit(1)).lazy()


@pytest.mark.parametrize("pinned_is_head", [True, False])
def test_consent_holds_in_every_row_of_a_key(pinned_is_head: bool) -> None:
    """The row that withdraws it is no member's: it may be any row of the table."""
    again = profiles({"id": 1, "email": "other", "ok": None}, {"id": None, "ok": True}, {"id": None, "ok": False})
    both = pl.concat([PEOPLE, again])
    made = reading("email", membership=expression('"profiles"."email" LIKE \'%@x\'', "BOOLEAN"), consents=CONSENT)
    ((answer, rows),) = answered([Question(made, NOON)], both if pinned_is_head else PEOPLE, None if pinned_is_head else both)
    assert [row[:2] for row in rows] == [(2, "b@x")]
    assert answer.funnel.left_out == {"no_consent": 1}


def test_whoever_is_not_at_the_head_has_no_consent_though_a_row_without_key_has() -> None:
    head = profiles({"id": 2, "ok": True}, {"id": None, "ok": True})
    ((answer, rows),) = answered([Question(reading("email", consents=CONSENT), NOON)], PEOPLE, head)
    assert [row[:2] for row in rows] == [(2, "b@x")]
    assert answer.funnel.left_out == {"no_consent": 2}


@pytest.mark.parametrize("lost", ["ok", "city"])
@pytest.mark.parametrize("way", [Way.TOUCHED, Way.COMPARED])
def test_a_column_that_a_guard_lost_is_named(way: Way, lost: str) -> None:
    made = reading("city", consents=CONSENT)
    ((first, _),) = answered([Question(made, NOON)], PEOPLE)
    none = PEOPLE.with_columns(_change_type=pl.lit("insert")).head(0)
    since = Since(NOON, first.funnel, 2, none, {"profiles": PEOPLE.drop(lost)}, _state(made))
    with pytest.raises(SourceUnreadable, match=f"has no column {lost} any more"):
        answered([Question(made, NOON, way, since)], PEOPLE.drop(lost) if lost == "city" else PEOPLE, PEOPLE.drop(lost))
