"""Scalar expressions: what they mean, what is refused, and that canonical SQL means what was written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.segments.audience import TimeBound, at
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import expression, order
from cdp_exports_tests.segments.tables import ONE, TABLES, with_rows

MOMENT = datetime(2026, 12, 1, 2, tzinfo=UTC)
LITERAL = "TIMESTAMPTZ '2026-12-01 02:00:00+00'"


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with with_rows() as connection:
        yield connection


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("emial = 'x'", "There is no column 'emial' in profiles (did you mean 'email'?)."),
        ("profile.id = 1", "There is no table 'profile' here (did you mean 'profiles'?)."),
        ("profiles.idd = 1", "There is no column 'idd' in profiles (did you mean 'id'?)."),
        ("orders.total > 1", "There is no table 'orders' here; columns of profiles can be read."),
        ("address.town = 'x'", 'DuckDB refuses it: Could not find key "town" in struct'),
        ("lowr(email) = 'x'", "There is no function 'lowr' (did you mean 'lower'?)."),
        ("lower(id) = 'x'", "No function or operator takes these types: lower(BIGINT); a CAST may be missing."),
        ("email > 5", "DuckDB refuses it: Cannot compare values of type VARCHAR and type INTEGER_LITERAL - an explicit cast is required."),
        ("id = 'abc'", "DuckDB refuses it: Could not convert string 'abc' to INT64."),
        ("seen > '2026-13-01'", 'DuckDB refuses it: timestamp field value out of range: "2026-13-01".'),
        ("id", "A condition is needed here, true or false, and this is BIGINT."),
        ("id = 1 and", "Syntax error near 'and', line 1, column 8."),
        ("id = 1\n and and", "Syntax error near 'and', line 2, column 6."),
        ("(id = 1", "Syntax error near '1', line 1, column 7."),
        ("{ : } with", "Syntax error: this cannot be read as SQL."),
        ("(" * 3000 + "1" + ")" * 3000, "This SQL is nested too deeply."),
        ("'unfinished", "Syntax error: Error tokenizing"),
        ("-- nothing", "There is no SQL here"),
        ("id = 1; drop table profiles", "One SQL statement is needed here, not several."),
        ("id = 1, id = 2", "One SQL expression is needed here, not several."),
        ("id = 1 from profiles", "An SQL expression is needed here, not a statement"),
        ("distinct id", "An SQL expression is needed here, not a statement"),
        ("id one", "A name has no place here: leave out `AS one`"),
        ("id in (select id from orders)", "A subquery cannot stand here; write the segment as a query, with `sql:` in place of `where`."),
        ("exists (from orders)", "A subquery cannot stand here"),
        ("sum(id) > 1", "`sum` aggregates rows, and here is one row; write the segment as a query, with `sql:`."),
        ("count(*) > 1", "`count` aggregates rows"),
        ("json_group_array(id) = '[]'", "`json_group_array` aggregates rows"),
        ("row_number() over () = 1", "`row_number` looks at other rows"),
        ("unnest(tags) = 'a'", "`unnest` makes several rows of one"),
        ("random() > 0.5", "`random` gives another answer each time; who is in a segment must be the same whenever it is asked."),
        ('"random"() > 0.5', "`random` gives another answer each time"),
        ("uuid() = 'x'", "`uuid` gives another answer each time"),
        ("current_user = 'x'", "`current_user` gives another answer each time"),
        ("current_setting('TimeZone') = 'x'", "`current_setting` gives another answer each time"),
        ("getvariable('x') = 1", "`getvariable` gives another answer each time"),
        ("txid_current() > 1", "`txid_current` gives another answer each time"),
        ("getenv('HOME') = 'x'", "`getenv` reads something outside the declared datasets"),
        ("read_text('x') = 'x'", "`read_text` reads something outside the declared datasets"),
        ("query('select 1') = 1", "`query` reads something outside the declared datasets"),
        ("age(seen) > interval 1 day", "`age` of one date reads the clock; write `age(export_time, ...)`."),
        ("seen > ago(interval 1 day)", "`ago` reads the clock; write `export_time - ...`."),
        ("list_transform(tags, lambda export_time: 1) = []", "`export_time` means the export time, so nothing else can have that name."),
        ("*", "One value is needed here, and `*` stands for several; name the column."),
        ("columns('id') = 1", "One value is needed here"),
        ("id = ?", "Parameters have no value here."),
        ("id = $1", "Parameters have no value here."),
        ("email.lower() = 'x'", "Write lower(email), not email.lower()."),
        ("extra -> 'a' || 'b' = 'x'", "`->` and `->>` bind weakly; put them in parentheses"),
        ("null", 'A condition is needed here, true or false, and this is "NULL".'),
    ],
)
def test_what_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(SqlProblem) as refused:
        expression(text, ONE, must_be="boolean")
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


def test_a_name_that_two_tables_have_is_ambiguous_and_a_qualified_one_is_not() -> None:
    with pytest.raises(SqlProblem, match=r"^Column 'id' is ambiguous: profiles and orders have one; write profiles\.id\.$"):
        expression("id = 1", TABLES)
    assert expression("Orders.ID = 1", TABLES).columns == {("orders", "id")}
    assert expression("total > 1", TABLES).columns == {("orders", "total")}


def test_a_column_called_like_the_export_time_is_refused() -> None:
    with pytest.raises(SqlProblem, match="visits has a column 'export_time', and that name means the export time"):
        expression("id = 1", {"visits": {"id": "BIGINT", "Export_Time": "DATE"}})


@pytest.mark.parametrize(
    ("text", "type_", "columns"),
    [
        ("ID", "BIGINT", {"id"}),
        ("address.city", "VARCHAR", {"address"}),
        ("profiles.address.zip", "INTEGER", {"address"}),
        ('"weird name" + 1', "INTEGER", {"Weird Name"}),
        ("comment", "VARCHAR", {"comment"}),
        ("list_filter(tags, lambda email: email > comment)", "VARCHAR[]", {"tags", "comment"}),
        ("[id for id in tags if id > email]", "VARCHAR[]", {"tags", "email"}),
        ("ltv * 2", "DECIMAL(18,2)", {"ltv"}),
        ("e164(email, 'FR')", "VARCHAR", {"email"}),
        ("1", "INTEGER", set[str]()),
    ],
)
def test_types_and_columns(text: str, type_: str, columns: set[str]) -> None:
    found = expression(text, ONE)
    assert (found.type, found.columns) == (type_, {("profiles", column) for column in columns})
    assert found.bounds == () and not found.uses_time


THIRTY_DAYS = "export_time - INTERVAL '30' DAY"
DAY = "CAST(export_time AT TIME ZONE 'UTC' AS DATE)"


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("seen >= export_time - interval 30 days", {("seen", THIRTY_DAYS)}),
        ("NOT (now() - INTERVAL '30 day' > seen) OR email IS NULL", {("seen", THIRTY_DAYS)}),
        ("seen BETWEEN export_time - interval 30 days AND current_timestamp", {("seen", THIRTY_DAYS), ("seen", "export_time")}),
        ("export_time NOT BETWEEN seen AND visited", {("seen", "export_time"), ("visited", "export_time")}),
        ("birth = current_date OR birth <> today() - 7", {("birth", DAY), ("birth", f"{DAY} - 7")}),
        ("(seen) < (now())", {("seen", "(export_time)")}),
        ("case when seen > now() then true end", {("seen", "export_time")}),
        ("id > 1", set[tuple[str, str]]()),
        ("comment = 'now()' and comment <> 'export_time'", set[tuple[str, str]]()),
        ("seen::date = current_date", None),
        ("seen + interval 1 day > now()", None),
        ("date_diff('day', seen, now()) < 30", None),
        ("seen IN (now())", None),
        ("seen IS DISTINCT FROM now()", None),
        ("export_time > '2027-01-01'", None),
        ("visited > seen - (export_time - seen)", None),
        ("birth BETWEEN seen AND now()", {("birth", "export_time")}),
        ("now() BETWEEN seen AND '2030-01-01'", None),
        ("seen > now() - to_days(id::INTEGER)", None),
        ("seen > now() and extract(hour from now()) = 3", None),
    ],
)
def test_how_the_export_time_decides(text: str, bounds: set[tuple[str, str]] | None) -> None:
    found = expression(text, ONE, must_be="boolean")
    assert (None if found.bounds is None else set(found.bounds)) == (bounds and {TimeBound("profiles", *bound) for bound in bounds})
    assert found.uses_time is (bounds != set())


@pytest.mark.parametrize(
    ("text", "by_hand"),
    [
        ("export_time", LITERAL),
        ("EXPORT_TIME", LITERAL),
        ("now()", LITERAL),
        ("current_timestamp", LITERAL),
        ("get_current_timestamp()", LITERAL),
        ("transaction_timestamp()", LITERAL),
        ("current_date", "DATE '2026-12-01'"),
        ("current_date()", "DATE '2026-12-01'"),
        ("today()", "DATE '2026-12-01'"),
        ("localtimestamp", "TIMESTAMP '2026-12-01 02:00:00'"),
        ("current_localtimestamp()", "TIMESTAMP '2026-12-01 02:00:00'"),
        ("localtime", "TIME '02:00:00'"),
        ("current_localtime()", "TIME '02:00:00'"),
        ("current_time", "TIMETZ '02:00:00+00'"),
        ("get_current_time()", "TIMETZ '02:00:00+00'"),
        ("comment = 'export_time' and seen < export_time", f"comment = 'export_time' and seen < {LITERAL}"),
        ("seen >= now() - interval 2 days", f"seen >= {LITERAL} - interval 2 days"),
        ("birth >= current_date - 1", "birth >= DATE '2026-12-01' - 1"),
        ("visited < now()", f"visited < {LITERAL}"),
        ("age(export_time, seen)", f"age({LITERAL}, seen)"),
        ("date_trunc('month', now())", f"date_trunc('month', {LITERAL})"),
    ],
)
def test_now_means_the_export_time_whatever_the_time_zone_of_the_session(rows: duckdb.DuckDBPyConnection, text: str, by_hand: str) -> None:
    found = expression(text, ONE)
    assert found.uses_time
    truth = rows.execute(f"SELECT {by_hand} FROM profiles ORDER BY id").fetchall()
    assert rows.execute(f"SELECT {at(found.sql, MOMENT)} FROM profiles ORDER BY id").fetchall() == truth
    assert str(rows.execute(f"SELECT {by_hand} FROM profiles").description[0][1]) == found.type


CORPUS = r"""
email || comment
lower(trim(email))
email ~ 'e'
email !~ 'e'
email ~* 'E'
email SIMILAR TO '.*e.*'
email GLOB 'A*'
email LIKE '%\_%' ESCAPE '\'
email NOT ILIKE 'a%'
email ^@ 'A'
email[1:3]
email[-2]
tags[1]
tags[-1]
'a' IN tags
'a' = ANY(tags)
len(tags)
list_contains(tags, 'a')
array_to_string(tags, ',')
[upper(t) for t in tags if t <> 'b']
list_transform(tags, lambda t, i: t || i)
list_sort(tags)
address.city
address['zip']
{'a': id, 'b': email}.b
struct_pack(a := id).a
MAP {'k': id}['k']
extra->>'$.a'
extra->>'b.c'
extra->'d'->>'e'
extra->>0
extra->>'/a'
json_extract(extra, '$.d.e')
json_extract_string(extra, 'b.c')
extra->>'$."b.c"'
extra.a
(extra->>'a')::INTEGER + 1
extra->>'a' = '1'
id / 2
id // 2
id % 2
-id ** 2
id ^ 2 * 3
id & 1 | 2
id << 2
ltv / 3
round(ltv, 1)
id::VARCHAR(3)
TRY_CAST(email AS INTEGER)
NOT id = 1 AND email IS NULL OR opted_in
id NOT IN (1, 2)
id NOT BETWEEN 2 AND 3
id IS DISTINCT FROM phone
opted_in IS NOT TRUE
opted_in ISNULL
email NOTNULL
CASE id WHEN 1 THEN 'x' ELSE comment END
if(opted_in, 1, 2)
ifnull(email, 'x')
coalesce(email, comment, '')
nullif(email, '')
greatest(id, phone)
extract(dow FROM birth)
dayofweek(birth)
isodow(birth)
date_part('week', birth)
date_trunc('week', birth)
date_diff('month', birth, visited)
date_add(birth, INTERVAL 1 MONTH)
birth + 3
birth - DATE '2000-01-01'
visited - INTERVAL (id) DAY
seen AT TIME ZONE 'Europe/Paris'
timezone('Europe/Paris', visited)
last_day(birth)
strftime(visited, '%Y-%m')
strptime('2020', '%Y')
epoch(seen)
epoch_ms(visited)
make_date(2020, 1, id::INTEGER)
md5(email)
sha256(email)
hash(id) % 10
regexp_replace(email, '[aeiou]', '*', 'g')
regexp_extract(email, '(.*)@(.*)', 2)
regexp_matches(email, 'ANN', 'i')
regexp_split_to_array(email, '@')
split_part(email, '@', 2)
string_split(email, '@')
replace(email, 'e', '''')
e'tab\tquote\''
$$it's$$
substring(email, 2, 3)
substring(email FROM 2 FOR 3)
position('@' IN email)
left(email, 2)
lpad(email, 20, '.')
concat(email, null, id)
concat_ws('-', email, id)
format('{} {}', id, email)
printf('%05d', id)
1_000.5e1
0.1 + 0.2
(id, email) = (1, 'x')
email COLLATE NOCASE = 'ann@example.com'
strip_accents(email)
levenshtein(email, comment)
chr(65)
ascii(email)
unicode(email)
hex(email)
base64(email::BLOB)
'\xAA'::BLOB
bit_count(id)
"""


@pytest.mark.parametrize("text", CORPUS.strip().split("\n"))
def test_canonical_sql_means_what_was_written(rows: duckdb.DuckDBPyConnection, text: str) -> None:
    truth = rows.execute(f"SELECT {text} FROM profiles ORDER BY id").fetchall()
    type_ = str(rows.execute(f"SELECT {text} FROM profiles").description[0][1])
    found = expression(text, ONE)
    assert rows.execute(f"SELECT {found.sql} FROM profiles ORDER BY id").fetchall() == truth
    assert found.type == type_
    assert expression(found.sql, ONE) == found, "canonical SQL is its own canonical form"


OPERANDS = st.sampled_from(
    [
        "id",
        "phone",
        "email",
        "comment",
        "opted_in",
        "tags",
        "tags[1]",
        "ltv",
        "1",
        "2.5",
        "'a'",
        "NULL",
        "TRUE",
        "birth",
        "seen",
        "now()",
        "extra",
        "extra->>'a'",
    ]
)
WORDS = ["AND", "OR", "LIKE", "NOT LIKE", "ILIKE", "IN", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "SIMILAR TO", "BETWEEN 1 AND"]
SIGNS = ["+", "-", "*", "/", "//", "%", "^", "**", "=", "<>", "!=", "<", ">=", "||", "~", "!~", "&", "|", "<<", "->", "->>", "==", "^@"]
OPERATORS = st.sampled_from([*WORDS, *SIGNS])
SUFFIXES = st.sampled_from(
    ["IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT FALSE", "::VARCHAR", "::INTEGER", "BETWEEN 1 AND 2", "IN (1, 2)", "NOT IN (1)"]
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(inner, OPERATORS, inner).map(" ".join)
        | st.tuples(inner, SUFFIXES).map(" ".join)
        | inner.map(lambda text: f"NOT {text}")
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"coalesce({text}, NULL)")
    )


@settings(max_examples=250, deadline=None)
@given(
    st.recursive(OPERANDS, deeper, max_leaves=4),
    st.integers(1_500_000_000_000_000, 1_900_000_000_000_000).map(
        lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    ),
)
def test_any_precedence_is_duckdbs(rows: duckdb.DuckDBPyConnection, text: str, moment: datetime) -> None:
    by_hand = text.replace("now()", f"TIMESTAMPTZ '{moment.isoformat()}'")
    try:
        described = rows.execute(f"SELECT {by_hand} FROM profiles ORDER BY id").description
        truth = repr(rows.fetchall())
    except duckdb.Error:
        return
    try:
        found = expression(text, ONE)
    except SqlProblem:
        return  # more is refused than DuckDB refuses, never less
    assert repr(rows.execute(f"SELECT {at(found.sql, moment)} FROM profiles ORDER BY id").fetchall()) == truth
    assert str(described[0][1]) == found.type
    assert expression(found.sql, ONE).sql == found.sql


KEYWORDS = [
    "and",
    "or",
    "not",
    "between",
    "interval",
    "is",
    "null",
    "in",
    "like",
    "case",
    "when",
    "then",
    "else",
    "end",
    "export_time",
    "seen",
    "id",
    "email",
]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_layout_case_and_comments_change_nothing(data: st.DataObject) -> None:
    text = data.draw(
        st.sampled_from(
            [
                "seen between export_time - interval 30 day and export_time or email is not null and id in ( 1 , 2 )",
                "case when seen > export_time - interval 30 day then id = 1 else email like 'A%' and not id = 2 end",
            ]
        )
    )
    space = st.sampled_from([" ", "\n", "\t ", " /* 'why' */ ", " -- because of export_time\n"])
    laid_out = ""
    for word in text.split():
        written = data.draw(st.sampled_from([word, word.upper(), word.title()])) if word in KEYWORDS else word
        laid_out += data.draw(space) + written
    assert expression(laid_out, ONE) == expression(text, ONE)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="a'\"\\ export_time\n-/*;$Ü", max_size=30))
def test_text_in_expressions_stays_as_it_is(rows: duckdb.DuckDBPyConnection, value: str) -> None:
    literal = "'" + value.replace("'", "''") + "'"
    found = expression(f"concat({literal}, '|', export_time::varchar)", ONE)
    assert rows.execute(f"SELECT {at(found.sql, MOMENT)}").fetchall() == [(f"{value}|2026-12-01 02:00:00+00",)]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("ltv desc, id", '"profiles"."ltv" DESC, "profiles"."id"'),
        ("lower(email) DESC nulls first", 'LOWER("profiles"."email") DESC NULLS FIRST'),
        ("opted_in desc", '"profiles"."opted_in" DESC'),
    ],
)
def test_orders(text: str, sql: str) -> None:
    assert order(text, ONE).sql == sql


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1", "An order names columns"),
        ("all", "An order names columns"),
        ("ltvv", "There is no column 'ltvv' in profiles (did you mean 'ltv'?)."),
        ("random()", "`random` gives another answer each time"),
        ("id limit 1", "An SQL expression is needed here"),
        ("sum(id)", "`sum` aggregates rows"),
        ("(select 1)", "A subquery cannot stand here"),
        ("id desc foo", "Syntax error near 'foo'"),
        ("lower(id)", "No function or operator takes these types: lower(BIGINT)"),
    ],
)
def test_orders_that_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(SqlProblem) as refused:
        order(text, ONE)
    assert str(refused.value).startswith(sentence)
