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


def of_accounts(how: Literal["explode", "arrays", "first"], key: tuple[str, ...] = ("contact",)) -> Audience:
    email = field("email", column("email", "contacts"), required=True, array=how == "arrays")
    if how == "arrays":
        email = replace(email, expression=replace(email.expression, type="VARCHAR[]"))
    return audience(
        of="accounts",
        key_names=("id", *key) if how == "explode" else ("id",),
        fields=(field("name", column("name", "accounts")), email),
        contacts=Contacts("contacts", key, ("account",), how, None, '"contacts"."place"'),
        consents=(expression('"contacts"."ok"', "BOOLEAN"),),
        suppressions=(Listed("blocked", "email", expression('"contacts"."email"')),),
        tables={
            "accounts": {"id": "BIGINT", "name": "VARCHAR"},
            "contacts": {"contact": "BIGINT", "account": "BIGINT", "email": "VARCHAR", "place": "BIGINT", "ok": "BOOLEAN"},
            "blocked": {"email": "VARCHAR"},
        },
    )


def answered(
    made: Audience, contacts: pl.LazyFrame = CONTACTS, head: pl.LazyFrame | None = None, **more: Any
) -> tuple[Answer, pl.DataFrame, pl.DataFrame]:
    source = tables({"accounts": ACCOUNTS, "contacts": contacts, "blocked": BLOCKED}, {} if head is None else {"contacts": head})
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


@pytest.mark.parametrize("how", ["explode", "arrays", "first"])
def test_consent_is_of_the_contact_of_that_account(how: Any) -> None:
    """Contacts are numbered in each account: the same number is another person elsewhere."""
    contacts = CONTACTS.filter(pl.col("contact").is_in([10, 30])).with_columns(
        contact=pl.lit(1, pl.Int64), email=pl.format("{}@x", "contact")
    )
    head = contacts.with_columns(ok=pl.col("account") != 1)
    answer, rows, state = answered(of_accounts(how), contacts, head)
    assert answer.funnel.left_out == {"no_consent": 1}
    assert rows["id"].to_list() == [3]
    since = Since(NOON, answer.funnel, 1, held=state.with_columns(sequence=1).lazy())
    left, rows, _ = answered(of_accounts(how), contacts.filter(pl.col("account") == 1), head, since=since)
    assert left.movement.exits == ({"deleted": 1} if how == "explode" else {"without_contact": 1})
    assert rows["id"].to_list() == [3]


@pytest.mark.parametrize("how", ["explode", "arrays", "first"])
def test_one_contact_an_account_needs_no_key_of_its_own(how: Any) -> None:
    contacts = CONTACTS.filter(pl.col("contact").is_in([11, 20, 40]))
    answer, rows, state = answered(of_accounts(how, ()), contacts)
    assert rows["id"].to_list() == [1]
    assert (answer.funnel.without_contact, answer.funnel.left_out) == (2, {"no_consent": 1, "missing:email": 1})
    since = Since(NOON, answer.funnel, 1, held=state.with_columns(sequence=1).lazy())
    left, _, _ = answered(of_accounts(how, ()), contacts.filter(pl.col("contact") != 11), since=since)
    assert left.movement.exits == {"without_contact": 1}
    made = replace(of_accounts(how, ()), membership=expression('"accounts"."id" > 1', "BOOLEAN"))
    assert answered(made, contacts, since=since)[0].movement.exits == {"left_segment": 1}
    with pytest.raises(KeyNotUnique):
        answered(of_accounts(how, ()))


def test_the_first_contact_who_may_be_sent_decides() -> None:
    """Two accounts whose first contacts differ, but not the first of them who consent: by what is sent they are equal."""
    contacts = pl.LazyFrame(
        [(10, 1, "a@x", 0, False), (11, 1, "b@x", 1, True), (20, 2, "b@x", 0, True), (30, 3, "c@x", 5, True)],
        schema=CONTACTS.collect_schema(),
        orient="row",
    )
    made = replace(of_accounts("first"), dedupe_by=(column("email", "contacts"),), newest_by=column("place", "contacts", "BIGINT"))
    answer, rows, _ = answered(made, contacts)
    assert sorted(rows.select("id", "email").rows()) == [(1, "b@x"), (3, "c@x")]
    assert answer.funnel.left_out == {"duplicate": 1}
    made = replace(of_accounts("first"), keep_by='"contacts"."place"')
    assert answered(made, contacts, keep=1)[1]["id"].to_list() == [2]


@pytest.mark.parametrize("how", ["explode", "arrays", "first"])
def test_a_delivery_once_more_knows_accounts_without_contacts(how: Any) -> None:
    made = of_accounts(how)
    answer, rows, state = answered(made)
    assert answer.state_is_whole
    delivered = state.with_columns(sequence=1).lazy()
    granted, withdrawn = (CONTACTS.with_columns(ok=pl.lit(ok)) for ok in (True, False))
    again, others, _ = answered(made, head=granted, as_delivered=delivered)
    assert (again.funnel, again.sent, again.withheld) == (answer.funnel, answer.sent, {})
    assert others["id"].to_list() == rows["id"].to_list()
    again, others, _ = answered(made, head=withdrawn, as_delivered=delivered)
    assert (again.funnel, again.withheld) == (answer.funnel, {"no_consent": rows.height})
    assert others.height == again.expected == 0
