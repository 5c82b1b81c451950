"""Accounts by their contacts: one row a contact, arrays, or the first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import polars as pl
import pytest

from cdp_exports.errors import KeyNotUnique
from cdp_exports.evaluation.evaluate import evaluate
from cdp_exports.evaluation.inputs import Answer, Question, Since
from cdp_exports.segments.audience import Audience, Contacts, Listed
from cdp_exports_tests.evaluation.audiences import NOON, audience, column, expression, field, tables

ACCOUNTS = pl.LazyFrame({"id": [1, 2, 3, 4, 5], "name": ["one", "two", "three", "four", "five"]})
CONTACTS = pl.LazyFrame(
    [
        (10, 1, "b@x", 2, True),
        (11, 1, "a@x", 1, True),
        (12, 1, "no@x", 0, False),
        (20, 2, "no@x", 0, False),
        (30, 3, "blocked@x", 0, True),
        (31, 3, None, 9, False),
        (40, 4, None, 0, True),
        (99, None, "lost@x", 0, True),
    ],
    schema={"contact": pl.Int64, "account": pl.Int64, "email": pl.String, "place": pl.Int64, "ok": pl.Boolean},
    orient="row",
)
BLOCKED = pl.LazyFrame({"email": ["blocked@x", None]})


def of_accounts(how: Literal["explode", "arrays", "first"]) -> Audience:
    email = field("email", column("email", "contacts"), required=True, array=how == "arrays")
    if how == "arrays":
        email = replace(email, expression=replace(email.expression, type="VARCHAR[]"))
    return audience(
        of="accounts",
        key_names=("id", "contact") if how == "explode" else ("id",),
        fields=(field("name", column("name", "accounts")), email),
        contacts=Contacts("contacts", ("contact",), ("account",), how, None, '"contacts"."place"'),
        consents=(expression('"contacts"."ok"', "BOOLEAN"),),
        suppressions=(Listed("blocked", "email", expression('"contacts"."email"')),),
        tables={
            "accounts": {"id": "BIGINT", "name": "VARCHAR"},
            "contacts": {"contact": "BIGINT", "account": "BIGINT", "email": "VARCHAR", "place": "BIGINT", "ok": "BOOLEAN"},
            "blocked": {"email": "VARCHAR"},
        },
    )


def answered(made: Audience, contacts: pl.LazyFrame = CONTACTS, **more: Any) -> tuple[Answer, pl.DataFrame, pl.DataFrame]:
    source = tables({"accounts": ACCOUNTS, "contacts": contacts, "blocked": BLOCKED})
    with evaluate([Question(made, NOON, keep_state=True, **more)], source, memory_limit=10**8, disk_limit=10**8) as (answer,):
        assert answer.state is not None
        return answer, answer.rows.collect().drop("segment_status"), answer.state.collect()


def test_exploded_contacts_are_the_rows() -> None:
    answer, rows, _ = answered(of_accounts("explode"))
    assert sorted(rows.drop("exit_reason").rows()) == [(1, 10, "one", "b@x"), (1, 11, "one", "a@x")]
    assert answer.funnel.model_dump() == {
        "members": 5,
        "without_contact": 1,
        "rows": 7,
        "left_out": {"no_consent": 3, "suppressed": 1, "missing:email": 1},
        "deliverable": 2,
    }


@pytest.mark.parametrize(("how", "emails"), [("arrays", ["a@x", "b@x"]), ("first", "a@x")])
def test_one_row_an_account_has_only_contacts_who_may_be_sent(how: Any, emails: object) -> None:
    answer, rows, state = answered(of_accounts(how))
    assert rows.drop("exit_reason").rows() == [(1, "one", emails)]
    assert dict(state.select("key_0", "reason").rows()) == {
        1: None,
        2: "no_consent",
        3: "suppressed",
        4: "missing:email",
        5: "without_contact",
    }
    assert (answer.funnel.members, answer.funnel.without_contact, answer.funnel.rows) == (5, 1, 4)


def test_a_contact_that_is_gone_is_told_from_one_whose_account_left() -> None:
    made = of_accounts("explode")
    before, _, state = answered(made)
    since = Since(NOON, before.funnel, before.movement.held, held=state.with_columns(sequence=1).lazy())
    _, rows, _ = answered(replace(made, membership=expression('"accounts"."id" > 1', "BOOLEAN")), since=since)
    assert sorted(rows.select("contact", "exit_reason").rows()) == [(10, "left_segment"), (11, "left_segment")]
    answer, rows, _ = answered(made, CONTACTS.filter(pl.col("contact") != 10), since=since)
    assert rows.select("id", "contact", "name", "exit_reason").rows() == [(1, 10, None, "deleted")]
    assert answer.movement.exits == {"deleted": 1}


@pytest.mark.parametrize("how", ["explode", "arrays", "first"])
def test_contacts_have_one_key_each(how: Any) -> None:
    for faulty in (pl.concat([CONTACTS, CONTACTS]), CONTACTS.with_columns(contact=pl.lit(None, pl.Int64))):
        with pytest.raises(KeyNotUnique):
            answered(of_accounts(how), faulty)
