"""Segments that are queries or lists, and the types that come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from cdp_exports.errors import KeyNotUnique, SourceUnreadable
from cdp_exports.evaluation.count import count
from cdp_exports.evaluation.evaluate import evaluate
from cdp_exports.evaluation.inputs import Question
from cdp_exports.segments.audience import Part
from cdp_exports.segments.members import CompiledSegment
from cdp_exports_tests.evaluation.audiences import NOON, PROFILES, audience, column, expression, field, profiles, tables

PEOPLE = profiles(*({"id": key, "email": f"{key}@x"} for key in range(1, 6)))
ORDERS = pl.LazyFrame({"person": [1, 1, 2, 9, None], "total": [5, 6, 7, 8, 9]})
BUYERS = Part(
    segment="buyers",
    key=("id",),
    columns={"spent": "HUGEINT"},
    query='SELECT "orders"."person" AS "id", sum("orders"."total") AS "spent" FROM "orders" GROUP BY ALL',
    uses_time=False,
    reads=frozenset({("orders", "person"), ("orders", "total")}),
)
LIST = Part(segment="invited", key=("id",), columns={"since": "DATE"}, query=None, uses_time=False, reads=frozenset())
MADE = audience(
    '"buyers"."id" IS NOT NULL OR "invited"."id" IS NOT NULL',
    parts=(BUYERS, LIST),
    fields=(field("spent", column("spent", "buyers", "HUGEINT")), field("since", column("since", "invited", "DATE"))),
    tables={"profiles": PROFILES, "orders": {"person": "BIGINT", "total": "BIGINT"}},
)


def rows(source: Mapping[str, pl.LazyFrame], *made: Any) -> list[list[tuple[Any, ...]]]:
    questions = [Question(one, NOON, with_status=False) for one in made]
    with evaluate(questions, tables(source), memory_limit=10**8, disk_limit=10**8) as answers:
        return [sorted(answer.rows.collect().rows()) for answer in answers]


def test_queries_and_lists_decide_and_enrich() -> None:
    source = {"profiles": PEOPLE, "orders": ORDERS, "invited": pl.LazyFrame({"id": ["2", "4", "7"], "since": ["2026-01-02", None, None]})}
    expected = [(1, Decimal(11), None), (2, Decimal(7), date(2026, 1, 2)), (4, None, None)]
    others = replace(MADE, membership=expression('"buyers"."id" IS NULL AND "profiles"."id" > 3', "BOOLEAN"))
    assert rows(source, MADE) == [expected]
    assert rows(source, MADE, others) == [expected, [(4, None, None), (5, None, None)]]
    segments = [
        CompiledSegment(name, "profiles", ("id",), made.membership, made.parts, made.tables) for name, made in (("a", MADE), ("b", others))
    ]
    assert count(segments, tables(source), NOON, memory_limit=10**8, disk_limit=10**8) == {"a": 3, "b": 2}


def test_a_key_comes_once() -> None:
    twice = pl.LazyFrame({"id": [2, 2], "since": [date(2026, 1, 2), None]})
    with pytest.raises(KeyNotUnique, match="Segment invited has one key"):
        rows({"profiles": PEOPLE, "orders": ORDERS, "invited": twice}, MADE)
    same = pl.LazyFrame({"id": [2, 2], "since": [date(2026, 1, 2)] * 2})
    assert len(rows({"profiles": PEOPLE, "orders": ORDERS, "invited": same}, MADE)[0]) == 2


def test_a_list_of_other_values_is_refused_without_them() -> None:
    with pytest.raises(SourceUnreadable, match="segment invited") as refused:
        rows({"profiles": PEOPLE, "orders": ORDERS, "invited": pl.LazyFrame({"id": ["secret"], "since": [None]})}, MADE)
    assert "secret" not in str(refused.value)


def test_types_survive() -> None:
    values = {
        "a decimal": ("DECIMAL(38,9)", Decimal("12345678901234567890.123456789")),
        "time zone": ("TIMESTAMP WITH TIME ZONE", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        "plain": ("TIMESTAMP", datetime(2026, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - that is the type
        "day": ("DATE", date(1600, 2, 29)),
        "list": ("VARCHAR[]", ["a", None, ""]),
        "struct": ("STRUCT(x BIGINT, y VARCHAR[])", {"x": 1, "y": ["é\0'\""]}),
        "bytes": ("BLOB", b"\x00\xff"),
        "real": ("FLOAT", 0.5),
        "small": ("UTINYINT", 255),
    }
    frame = pl.DataFrame({"id": [1], **{name: [value] for name, (_, value) in values.items()}}).with_columns(
        pl.col("a decimal").cast(pl.Decimal(38, 9)), pl.col("real").cast(pl.Float32), pl.col("small").cast(pl.UInt8)
    )
    types = {"id": "BIGINT", **{name: type_ for name, (type_, _) in values.items()}}
    fields = tuple(field(name, column(name, type_=type_)) for name, (type_, _) in values.items())
    made = audience(fields=fields, tables={"profiles": types}, status=None)
    with evaluate([Question(made, NOON, keep_state=True)], tables({"profiles": frame.lazy()}), memory_limit=10**8, disk_limit=10**8) as (
        answer,
    ):
        taken = answer.rows.collect()
    assert taken.rows() == frame.rows()
    assert taken.schema == frame.schema


def test_sums_of_floating_point_numbers_are_the_same_every_time() -> None:
    """Which rows come first decides what is lost in rounding: members would be updated whose orders are what they were."""
    people = profiles(*({"id": key} for key in range(1, 200)))
    order = pl.int_range(300_000)
    orders = pl.select(person=order % 199 + 1, total=(order.hash(1) % 1_000_003).cast(pl.Float64) * 10.0 ** (order % 19 - 9))
    spent = replace(BUYERS, columns={"spent": "DOUBLE"})
    made = audience(
        '"buyers"."id" IS NOT NULL',
        parts=(spent,),
        fields=(field("spent", column("spent", "buyers", "DOUBLE")),),
        tables={"profiles": PROFILES, "orders": {"person": "BIGINT", "total": "DOUBLE"}},
    )
    first, *others = [rows({"profiles": people, "orders": orders.lazy()}, made) for _ in range(3)]
    assert all(other == first for other in others)
