"""Orders that have ties: refused where another row could be taken another time, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest

from cdp_exports.segments.audience import at
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import query
from cdp_exports_tests.segments.tables import KEYS, TABLES

LOG = {"id": "BIGINT", "what": "VARCHAR"}  # without a key
MOMENT = datetime(2026, 12, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("select id from orders qualify row_number() over (order by total) <= 3", "end its ORDER BY with order_id."),
        ("select id, total from orders qualify row_number() over (partition by id order by placed desc) = 1", "`row_number`"),
        ("select id, ntile(4) over (order by total) as n from orders", "end its ORDER BY with order_id."),
        ("select id, total, lag(placed) over (partition by id order by placed) as n from orders", "end its ORDER BY with order_id."),
        ("select id, first_value(total) over (partition by id order by placed) as n from orders", "`first_value`"),
        ("select id, last_value(total ignore nulls) over w as n from orders window w as (partition by id order by placed)", "`last_value`"),
        ("select id, nth_value(total, 2) over (partition by id order by placed) as n from orders", "`nth_value`"),
        ("select id, sum(total) over (order by placed rows unbounded preceding) as n from orders", "`sum`"),
        ("select id, list(total order by placed) over (partition by id) as n from orders", "`array_agg`"),
        ("select distinct on (id) id, total from orders order by id, placed desc", "DISTINCT ON, another comes first another time"),
        ("select max_by(email, ltv) as e, 1::bigint as id from profiles", "first(... ORDER BY ... DESC, id)."),
        ("select id, arg_max(total, placed) as t from orders group by id", "first(... ORDER BY ... DESC, order_id)."),
        ("select id, argmin(total, placed) as t from orders group by id", "first(... ORDER BY ..., order_id)."),
        ("select id, min_by(total, placed, 2) as t from orders group by id", "first(... ORDER BY ..., order_id)."),
        ("select id, max_by(total, placed) over (partition by id) as t from orders", "`arg_max` takes any of the rows that tie"),
        ("select id, first(total order by placed) as t from orders group by id", "end its ORDER BY with order_id."),
        ("select id, any_value(total order by placed) as t from orders group by id", "end its ORDER BY with order_id."),
        ("select id, string_agg(total::varchar, ',' order by placed) as t from orders group by id", "end its ORDER BY with order_id."),
        ("select id, list(total order by placed) as t from orders group by rollup (id)", "`array_agg`"),
        ("select id from (select id, row_number() over (order by total) as n from orders) where n < 3", "end its ORDER BY with order_id."),
        ("select id, (select max_by(o.total, o.placed) from orders o where o.id = p.id) as t from profiles p", "DESC, order_id)."),
        (
            "select o.id, total from profiles p join orders o on o.id = p.id qualify row_number() over (order by p.id) < 3",
            "with o.order_id.",
        ),
        ("select p.id from profiles p left join orders o on o.id = p.id qualify row_number() over (order by o.order_id) < 3", "with p.id."),
        ("select p.id, o.total from profiles p, orders o qualify row_number() over (order by p.ltv) < 3", "with p.id, o.order_id."),
        ("select id, what, row_number() over (order by id) as n from log", "end its ORDER BY with what."),
        ("select id, t.x, row_number() over (order by id) as n from profiles, unnest(tags) t(x)", "end its ORDER BY with t.x."),
        ("select id, row_number() over (order by count(*)) as n from orders group by id", "end its ORDER BY with id."),
        ("with o as (select id, total from orders) select id, total, row_number() over (order by id) as n from o", "ORDER BY with total."),
        ("select id, total from orders order by id limit 3", "the order of LIMIT, another comes first another time"),
        ("select id, total from orders union all select id, ltv from profiles order by id limit 3", "end its ORDER BY with total."),
    ],
)
def test_rows_that_tie_are_refused(text: str, end: str) -> None:
    with pytest.raises(SqlProblem) as refused:
        query(text, {**TABLES, "log": LOG}, key=["id"], keys=KEYS)
    assert end in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "select id from orders qualify row_number() over (order by total desc, order_id) <= 7",
        "select id, order_id, row_number() over (partition by id order by placed, orders.ORDER_ID) as n from orders",
        "select id, rank() over (order by total) as r, dense_rank() over (order by total) as d from orders",
        "select id from orders qualify row_number() over (partition by id order by placed desc) = 1",
        "select id, lag(placed) over (partition by id order by placed) as n from orders",
        "select p.id from profiles p join orders o on o.id = p.id qualify row_number() over (order by p.id) < 3",
        "select id, sum(total) over (order by placed) as n, max(total) over (partition by id) as m from orders",
        "select id, total, sum(total) over (order by placed, order_id rows unbounded preceding) as n from orders",
        "select id, lag(total) over w as x from orders window w as (partition by id order by placed, order_id)",
        "select distinct on (id) id, total from orders order by id, placed desc, order_id",
        "select distinct on (id) id, total as t from orders order by id, t",
        "select id, max_by(total, (placed, order_id)) as t from orders group by id",
        "select id, max_by(total, row(placed, order_id)) as t, min_by(total, {'a': placed, 'b': order_id}) as u from orders group by id",
        "select id, max_by(placed, placed) as t, max_by(id, total) as u from orders group by id",
        "select id, max_by(total, order_id, 2) as t from orders group by all",
        "select id, first(total order by placed desc, order_id) as t, list(total order by total) as u from orders group by 1",
        "select id, list(distinct total order by total) as u, string_agg(total::varchar, ',' order by total) as v from orders group by id",
        "select id, (select max_by(o.total, o.order_id) from orders o where o.id = p.id) as t from profiles p",
        "select p.id, first(o.total order by o.placed, o.order_id) as t from profiles p join orders o using (id) group by p.id",
        "select p.id, o.total from profiles p join orders o on o.id = p.id qualify row_number() over (order by o.order_id) < 9",
        "select p.id, o.total from profiles p left join orders o on o.id = p.id qualify row_number() over (order by p.id, o.order_id) < 9",
        "select p.id, o.total from profiles p, orders o where p.id = o.id qualify row_number() over (order by o.total, o.order_id) < 9",
        "select id, what, row_number() over (order by id, what) as n from log",
        "select id, t.x, row_number() over (order by id, t.x) as n from profiles, unnest(tags) t(x)",
        "select id, row_number() over (order by count(*), id) as n from orders group by id",
        "select id, n, row_number() over (order by n, id) as r from (select id, count(*) as n from orders group by id)",
        "with o as (select order_id, id, total from orders) select id, total, row_number() over (order by order_id) as n from o",
        "with o as (select distinct id, total from orders) select id, total, row_number() over (order by id, total) as n from o",
        "select id, t, row_number() over (order by o) as n from (select order_id o, id, total t from profiles join orders using (id))",
        "select id from (select id from orders union select id from profiles) u qualify row_number() over (order by id) < 3",
        "select id, sum(total) as t from orders group by id order by t desc, id limit 3",
        "select id from orders order by id limit 3",
        "select id, total from orders union all select id, ltv from profiles order by id, total limit 3",
    ],
)
def test_orders_that_tell_all_apart_give_the_same_in_whatever_order_rows_are_read(text: str) -> None:
    found = query(text, {**TABLES, "log": LOG}, key=["id"], keys=KEYS)
    answers: list[list[str]] = []
    for seed in range(4):
        with duckdb.connect(config={"threads": "1"}) as rows:
            rows.execute("SET TimeZone = 'UTC'")
            shuffled = f"ORDER BY md5(i || 'x{seed}')"
            rows.execute(
                "CREATE TABLE orders AS SELECT i AS order_id, i % 5 AS id, CAST(i % 3 AS DECIMAL(12,2)) AS total, "
                f"TIMESTAMPTZ '2026-11-01 00:00:00+00' + to_days((i % 4)::INTEGER) AS placed FROM range(60) r(i) {shuffled}"
            )
            rows.execute(
                "CREATE TABLE profiles AS SELECT i AS id, 'x' || i AS email, CAST(i % 3 AS DECIMAL(12,2)) AS ltv, ['a', 'b', 'a'] AS tags "
                f"FROM range(9) r(i) {shuffled}"
            )
            rows.execute(f"CREATE TABLE log AS SELECT i % 5 AS id, 'w' || i % 2 AS what FROM range(30) r(i) {shuffled}")
            answers.append(sorted(map(repr, rows.execute(at(found.sql, MOMENT)).fetchall())))
    assert answers == [answers[0]] * 4
    assert answers[0]
