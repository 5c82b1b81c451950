"""Queries over several datasets: what they return and read, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cdp_exports.segments.audience import at
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import query
from cdp_exports_tests.segments.tables import KEYS, TABLES, with_rows

MOMENT = datetime(2026, 12, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("select id from ordrs", "There is no dataset 'ordrs' (did you mean 'orders'?)."),
        ("select id from main.orders", "Datasets are named by their id alone"),
        ("select idd from orders", "There is no column 'idd' (did you mean 'id'?)."),
        ("select o.nothing from orders o", "There is no column 'nothing'."),
        ("select id from orders join profiles on true", "Column 'id' is ambiguous: orders and profiles have one; write orders.id."),
        ("select id, id from orders", "The query returns two columns 'id'; give one another name."),
        ("select id, count(*) from orders group by 1", "A column of the query (of type BIGINT) has no name; give it one with AS."),
        ("select lower(id) as x from orders", "No function or operator takes these types: lower(BIGINT)"),
        (
            "select id from profiles where email > id",
            "DuckDB refuses it: Cannot compare values of type VARCHAR and type BIGINT",
        ),
        ("select id from orders where", "Syntax error"),
        ("delete from orders", "Only one SELECT is allowed here; it cannot change anything."),
        ("create table x as select 1", "Only one SELECT is allowed here"),
        ("copy orders to 'x.csv'", "Only one SELECT is allowed here"),
        ("select id from orders; drop table orders", "One SQL statement is needed here, not several."),
        ("select * from read_csv('x')", "`read_csv` reads something outside the declared datasets"),
        ("select * from 'x.parquet'", "There is no dataset 'x.parquet'."),
        ("select * from duckdb_secrets()", "`duckdb_secrets` reads something outside the declared datasets"),
        ("select * from information_schema.tables", "Datasets are named by their id alone"),
        ("select id, random() as r from orders", "`random` gives another answer each time"),
        ("select id from orders limit 10", "LIMIT keeps whichever rows come first."),
        ("select id from orders order by total limit 10", "LIMIT keeps whichever rows come first."),
        ("select id from orders order by id offset 1", None),
        ("select id from (select id from orders order by id limit 1)", "LIMIT keeps whichever rows come first."),
        ("select distinct on (id) id, total from orders", "DISTINCT ON without ORDER BY"),
        ("select id from orders tablesample 10%", "A sample is another one each time"),
        ("select id from orders using sample 10", "A sample is another one each time"),
        ("select id, first(total) as x from orders group by id", "`first` depends on the order of rows"),
        ("select id, any_value(total) as x from orders group by id", "`any_value` depends on the order of rows"),
        ("select id, list(total) as x from orders group by id", "`array_agg` depends on the order of rows"),
        ("select id, string_agg(total::varchar, ',') as x from orders group by id", "`string_agg` depends on the order of rows"),
        ("select id, list(total order by placed, order_id) as x from orders group by id", None),
        ("select id, string_agg(total::varchar, ',' order by placed, order_id) as x from orders group by id", None),
        ("select id, list(total order by placed, order_id) filter (where total > 1) as x from orders group by id", None),
        ("select id, approx_count_distinct(total) as x from orders group by id", "`approx_count_distinct` is approximate"),
        ("select id, row_number() over (partition by id) as x from orders", "`row_number` needs an order: OVER (... ORDER BY ...)."),
        ("select id, lag(total) over w as x from orders window w as (partition by id order by placed, order_id)", None),
        ("select id from orders qualify row_number() over (partition by id order by placed, order_id) = 1", None),
        ("select id from orders asof join profiles on orders.id = profiles.id and placed >= seen", "An ASOF join takes any of the rows"),
        ("select id from orders positional join profiles", "A positional join depends on the order of rows"),
        ("select * from (pivot orders on id using sum(total))", "PIVOT makes columns of values"),
        ("select columns('id') from orders", "COLUMNS(...) hides which columns are read; name them."),
        ("select id from orders where id = ?", "Parameters have no value here."),
        ("select id, placed as export_time from orders", "`export_time` means the export time, so nothing else can have that name."),
        ("select id from empty", "The dataset 'empty' declares no `columns`; `cdp-exports columns empty` prints them."),
        ("select o.id from orders o, generate_series(1, 3) s(x) where o.id = s.x", None),
    ],
)
def test_what_is_refused(text: str, sentence: str | None) -> None:
    tables = {**TABLES, "empty": {}}
    if sentence is None:
        query(text, tables, key=["id"], keys=KEYS)
        return
    with pytest.raises(SqlProblem) as refused:
        query(text, tables, key=["id"], keys=KEYS)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "columns", "reads", "uses_time"),
    [
        (
            "select ID, sum(total) as Spent from Orders where placed > now() - interval 20 days group by all having count(*) > 1",
            {"id": "BIGINT", "spent": "DECIMAL(38,2)"},
            {"orders.id", "orders.total", "orders.placed"},
            True,
        ),
        (
            "with o as (select id, total from orders) select p.id, email from profiles p join o using (id) where o.total > 3",
            {"id": "BIGINT", "email": "VARCHAR"},
            {"orders.id", "orders.total", "profiles.id", "profiles.email"},
            False,
        ),
        (
            "select id from profiles where exists (select 1 from orders where orders.id = profiles.id and orders.placed > profiles.seen)",
            {"id": "BIGINT"},
            {"profiles.id", "profiles.seen", "orders.id", "orders.placed"},
            False,
        ),
        ("select id from profiles where (select count(*) from orders) > 3", {"id": "BIGINT"}, {"profiles.id", "orders.id"}, False),
        ("from profiles select * exclude (extra) replace (id + 1 as id) where address.city = 'Lyon'", None, None, False),
        ("select id, t.x from profiles, unnest(tags) t(x)", {"id": "BIGINT", "x": "VARCHAR"}, {"profiles.id", "profiles.tags"}, False),
        ("select id from profiles union select id from orders order by id limit 3", {"id": "BIGINT"}, {"profiles.id", "orders.id"}, False),
        ("select id, total from orders qualify row_number() over (partition by id order by placed desc, order_id) = 1", None, None, False),
        (
            'select id, "Weird Name" as w, address.zip as zip from profiles',
            None,
            {"profiles.id", "profiles.Weird Name", "profiles.address"},
            False,
        ),
    ],
)
def test_what_is_read_and_returned(text: str, columns: dict[str, str] | None, reads: set[str] | None, uses_time: bool) -> None:
    found = query(text, TABLES, key=["id"], keys=KEYS)
    assert columns is None or found.columns == columns
    assert reads is None or {f"{table}.{column}" for table, column in found.reads} == reads
    assert found.uses_time is uses_time
    with with_rows() as rows:
        by_hand = text.replace("now()", "TIMESTAMPTZ '2026-12-01 02:00:00+00'")
        assert sorted(rows.execute(at(found.sql, MOMENT)).fetchall(), key=repr) == sorted(rows.execute(by_hand).fetchall(), key=repr)
        for table in {table for table, _ in found.reads}:  # what is not among the reads is not needed
            for column in set(TABLES[table]) - {name for owner, name in found.reads if owner == table}:
                rows.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
        rows.execute(at(found.sql, MOMENT))


def test_wide_tables_cost_only_the_columns_that_are_named_and_hints_know_all() -> None:
    wide = {"wide": {f"column_{number}": "INTEGER" for number in range(3)} | {"id": "BIGINT", "near": "DATE"}}
    assert query("select * from wide", wide, keys={}).columns == wide["wide"]
    with pytest.raises(SqlProblem, match=r"There is no column 'neer'.*did you mean 'near'"):
        query("select id, neer from wide", wide, keys={})
    with pytest.raises(SqlProblem, match=r"^Column 'id' is ambiguous: w and x have one; write w\.id\.$"):
        query("select id from wide w join wide x on w.near = x.near", wide, keys={})


def test_layout_changes_nothing() -> None:
    text = "SELECT id,\n  Sum(total) spent -- how much\nFROM orders AS Orders GROUP BY\tid"
    assert query(text, TABLES, keys=KEYS) == query(
        "select orders.id, sum(orders.total) as spent from orders group by orders.id", TABLES, keys=KEYS
    )
