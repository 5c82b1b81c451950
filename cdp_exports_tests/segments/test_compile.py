"""A segment as an export sends it: membership, columns, protection, ways, and every refusal with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.segments.audience import Way
from cdp_exports.segments.members import compile_segment
from cdp_exports_tests.segments.declaring import compiled, datasets, problems, segments

PURPOSE = {"purpose": "marketing"}
STOPPED = {"suppress": [{"dataset": "stop", "column": "hashed", "matches": "sha256(lower(trim(email)))"}]}
CONTACTS = {"dataset": "contacts", "by": ["account_id"]}


def test_set_operations_of_predicates_are_one_condition() -> None:
    found = compiled("both", fields=[{"from": "email"}])
    assert found.membership.sql == (
        '(COALESCE("profiles"."ltv" > 100, FALSE)) AND (COALESCE("profiles"."seen" >= export_time - INTERVAL \'30\' DAY, FALSE))'
    )
    assert [bound.column for bound in found.membership.bounds or ()] == ["seen"]
    assert (found.of, found.key, found.key_names, found.parts) == ("profiles", ("id",), ("id",), ())
    assert found.tables == {"profiles": {"email": "VARCHAR", "id": "BIGINT", "ltv": "DOUBLE", "seen": "TIMESTAMP WITH TIME ZONE"}}


def test_queries_and_lists_are_parts_that_are_joined() -> None:
    found = compiled("mixed", fields=[{"from": "spent"}, {"from": "vips.tier"}, {"from": "email"}])
    assert found.membership.sql == (
        '(COALESCE("profiles"."ltv" > 100, FALSE)) AND ((COALESCE("profiles"."seen" >= export_time - INTERVAL \'30\' DAY, FALSE)) '
        'OR ("buyers"."id" IS NOT NULL)) AND NOT ("vips"."id" IS NOT NULL)'
    )
    buyers, vips = found.parts
    assert (buyers.columns, vips.columns, vips.query) == ({"spent": "DECIMAL(38,2)"}, {"tier": "VARCHAR"}, None)
    assert found.datasets == ("profiles", "orders")
    [alone] = compiled("buyers_alone").parts
    assert alone.query is not None and alone.query.startswith("SELECT DISTINCT") and alone.uses_time


def test_membership_is_never_null_and_combines_as_sets_do() -> None:
    found = compile_segment(
        "any",
        segments(
            any={"any_of": ["some", "none"], "none_of": ["rich"]},
            some={"of": "profiles", "where": "ok"},
            none={"of": "profiles", "where": "not ok"},
        ),
        datasets(),
    )
    rows = "VALUES (1, NULL, NULL), (2, true, NULL), (3, false, 1), (4, true, 101), (5, NULL, 101)"
    sql = f"SELECT id, {found.membership.sql} FROM ({rows}) AS profiles(id, ok, ltv) ORDER BY id"
    assert duckdb.execute(sql).fetchall() == [(1, False), (2, True), (3, True), (4, False), (5, False)]


@pytest.mark.parametrize(
    ("also", "at", "sentence"),
    [
        ({"where": "emial = 'x'"}, "where", "There is no column 'emial' in profiles (did you mean 'email'?)."),
        ({"where": "orders.total > 1"}, "where", "There is no table 'orders' here; columns of profiles can be read."),
        ({"sql": "select order_id from orders"}, "sql", "The query does not return 'id', of the key of profiles; it returns order_id."),
        (
            {"sql": "select id::varchar as id from orders"},
            "sql",
            "The query returns 'id' as VARCHAR, and in profiles it is BIGINT; CAST it.",
        ),
        ({"sql": "select id from ordrs"}, "sql", "There is no dataset 'ordrs' (did you mean 'orders'?)."),
        ({"list": {"uri": "x", "format": "csv", "columns": {"a": "strng"}}}, "list.columns.a", "There is no SQL type 'strng'"),
        ({"list": {"uri": "x", "format": "csv", "columns": {"ID": "int"}}}, "list.columns.ID", "'ID' is of the key of profiles"),
    ],
)
def test_a_segment_that_is_wrong(also: dict[str, Any], at: str, sentence: str) -> None:
    [(kind, id, where, message)] = problems("new", also={"new": {"of": "profiles", **also}})
    assert (kind, id, where) == ("segment", "new", at)
    assert message.startswith(sentence)


def test_set_operations_that_are_wrong() -> None:
    assert problems("a", also={"a": {"all_of": ["b"]}, "b": {"any_of": ["rich", "a"]}}) == [
        ("segment", "b", "any_of.1", "Segments are made of each other in a circle: a -> b -> a.")
    ]
    assert problems("a", also={"a": {"all_of": ["rich"], "none_of": ["big"]}}) == [
        (
            "segment",
            "a",
            "none_of.0",
            "'big' has members of 'accounts', and this segment of 'profiles'; only segments of one dataset combine.",
        )
    ]
    [found] = problems("a", also={"a": {"of": "accounts", "all_of": ["rich"]}})
    assert found[2] == "all_of.0"
    [found] = problems("a", also={"a": {"all_of": ["richh"]}})
    assert found[3] == "There is no segment 'richh' (did you mean 'rich'?)."
    [found] = problems("a", also={"a": {"all_of": ["c"]}, "c": {"of": "profiles", "where": "ltvv > 1"}})
    assert found[:3] == ("segment", "c", "where")
    [found] = problems("orders", also={"orders": {"of": "profiles", "sql": "select id from profiles"}})
    assert found[3].startswith("A dataset is called 'orders' too")


@pytest.mark.parametrize(
    ("changed", "at", "sentence"),
    [
        ({"key": []}, "key", "The segment 'rich' needs a `key`"),
        ({"columns": {}}, "columns", "The segment 'rich' needs `columns`; `cdp-exports columns profiles` prints them."),
        ({"columns": {"ltv": "double"}}, "key", "`columns` lacks 'id', which `key` names"),
        ({"columns": {"id": "bigintt", "ltv": "double"}}, "columns.id", "There is no SQL type 'bigintt' (did you mean 'bigint'?)."),
        ({"columns": {"id": "bigint", "ltv": "double", "export_time": "date"}}, None, "profiles has a column 'export_time'"),
    ],
)
def test_a_dataset_that_is_wrong(changed: dict[str, Any], at: str | None, sentence: str) -> None:
    [(kind, id, where, message)] = problems("rich", changed={"profiles": changed})
    assert (kind, id, where) == (("dataset", "profiles", at) if at else ("segment", "rich", "where"))
    assert message.startswith(sentence)


def test_names_of_columns() -> None:
    found = compiled(
        "rich",
        fields=[{"from": "EMAIL"}, {"from": '"full.name"'}, {"from": "ID", "to": "Customer"}, {"value": 7, "to": "x.y"}],
        dots="underscore",
    )
    assert [(field.name, field.key) for field in found.fields] == [("email", None), ("full_name", None), ("Customer", "id"), ("x_y", None)]
    assert found.key_names == ()  # the field takes its place
    assert compiled("rich", fields=[{"from": "id", "to": "c", "transforms": ["sha256"]}]).key_names == ("id",)
    assert compiled("rich", fields=[{"from": "email"}], include_key=False, send=["entered"]).key_names == ()
    status = compiled("rich").status
    assert status is not None and status.column == "segment_status"
    assert compiled("rich", mode="full").status is None
    assert compiled("rich", mode="full", status={"in_full": True}).status is not None


@pytest.mark.parametrize(
    ("keys", "at", "sentence"),
    [
        ({"fields": [{"from": "emial"}]}, "fields.0.from", "There is no column 'emial' in profiles (did you mean 'email'?)."),
        (
            {"fields": [{"from": "email"}, {"from": "lower(email)"}]},
            "fields.1.from",
            "An expression has no name of its own; say how the column is called",
        ),
        ({"fields": [{"from": "ltv", "transforms": ["lower"]}]}, "fields.0.transforms", "`lower` takes text, and this is DOUBLE"),
        ({"fields": [{"from": "seen", "transforms": [{"e164": "FR"}]}]}, "fields.0.transforms", "`e164` takes text, and this is TIMESTAMP"),
        (
            {"fields": [{"from": "email"}, {"from": "phone", "to": "Email"}]},
            "fields.1.to",
            "Two columns of the files would be called 'Email': a field and a field",
        ),
        (
            {"fields": [{"from": "email", "to": "ID"}]},
            "fields.0.to",
            "Two columns of the files would be called 'ID': a key column and a field",
        ),
        (
            {"fields": [{"from": "email", "to": "segment.status"}], "dots": "underscore"},
            "status.column",
            "Two columns of the files would be called 'segment_status'",
        ),
        (
            {"status": {"column": "x", "reason": "X"}},
            "status.reason",
            "Two columns of the files would be called 'X': the status column and",
        ),
        ({"fields": [{"value": 2**70, "to": "x"}]}, "fields.0.value", "A whole number has at most 64 bits"),
        ({"dedupe_by": ["email", "foo"]}, "dedupe_by.1", "There is no column 'foo' in profiles."),
        ({"dedupe_by": ["email"], "newest_by": "sean"}, "newest_by", "There is no column 'sean' in profiles (did you mean 'seen'?)."),
        ({"limits": {"over": "truncate", "keep_by": "1"}}, "limits.keep_by", "An order names columns"),
        ({"project": CONTACTS}, "project.by.0", None),
        (
            {"project": {"dataset": "contact", "by": ["account_id"]}},
            "project.dataset",
            "There is no dataset 'contact' (did you mean 'contacts'?).",
        ),
        (
            {"project": {"dataset": "contacts", "by": ["email"]}},
            "project.by.0",
            "contacts.email is VARCHAR, and profiles.id is BIGINT; they must be of the same type.",
        ),
        (
            {"project": {"dataset": "contacts", "by": ["account_id", "email"]}},
            "project.by",
            "`by` needs as many columns as the key of profiles has: id.",
        ),
        ({"project": {**CONTACTS, "where": "seen > now()"}}, "project.where", "There is no column 'seen' in contacts."),
        (
            {"project": {**CONTACTS, "order_by": "mainn desc"}},
            "project.order_by",
            "There is no column 'mainn' in contacts (did you mean 'main'?).",
        ),
        ({"project": {**CONTACTS, "how": "arrays"}, "dedupe_by": ["main"]}, "dedupe_by.0", "There is no column 'main' in profiles"),
        (
            {"project": CONTACTS, "fields": [{"from": "email"}]},
            "fields.0.from",
            "Column 'email' is ambiguous: profiles and contacts have one",
        ),
    ],
)
def test_an_export_that_is_wrong(keys: dict[str, Any], at: str, sentence: str | None) -> None:
    if sentence is None:
        compiled("rich", **keys)
        return
    [(kind, id, where, message)] = problems("rich", **keys)
    assert (kind, id, where) == ("export", None, at)
    assert message.startswith(sentence)


def test_everything_that_is_wrong_is_found_at_once() -> None:
    wrong = {"fields": [{"from": "a1"}, {"from": "b1"}], "dedupe_by": ["c1"], "limits": {"over": "truncate", "keep_by": "d1"}}
    stop = {"suppress": [{"dataset": "stop", "column": "x", "matches": "e1"}, {"dataset": "sto", "column": "x", "matches": "e1"}]}
    found = problems("rich", **wrong, connection={**stop, "purpose": "ads"})
    assert [one[:3] for one in found] == [
        ("export", None, "fields.0.from"),
        ("export", None, "fields.1.from"),
        ("export", None, "dedupe_by.0"),
        ("export", None, "limits.keep_by"),
        ("dataset", "profiles", "consent"),
        ("connection", "lake", "suppress.0.column"),
        ("connection", "lake", "suppress.0.matches"),
        ("connection", "lake", "suppress.1.dataset"),
    ]


def test_consent_is_that_of_people() -> None:
    [consent] = compiled("rich", connection=PURPOSE).consents
    assert consent.sql == 'COALESCE("profiles"."ok", FALSE)'
    assert compiled("rich", connection=PURPOSE).guards == ("profiles",)
    assert compiled("big", connection=PURPOSE).consents == ()
    assert [one.sql for one in compiled("big", connection=PURPOSE, project=CONTACTS).consents] == ['COALESCE("contacts"."ok", FALSE)']
    [(kind, id, at, message)] = problems("rich", connection={"purpose": "marketng"})
    assert (kind, id, at) == ("dataset", "profiles", "consent")
    assert message == (
        "The connection 'lake' is for 'marketng', and nothing says who grants it: "
        "add `consent: {marketng: <column>}` (did you mean 'marketing'?)."
    )
    [(_, _, at, message)] = problems("rich", connection=PURPOSE, changed={"profiles": {"consent": {"marketing": "email"}}})
    assert (at, message) == ("consent.marketing", "'email' is VARCHAR; consent is granted by a column that is true or false (BOOLEAN).")
    [(_, _, _, message)] = problems("rich", connection=PURPOSE, changed={"profiles": {"consent": {"marketing": "okk"}}})
    assert message == "`columns` lacks 'okk', which grants consent (did you mean 'ok'?)."


def test_suppression_compares_like_with_like() -> None:
    found = compiled("rich", connection=STOPPED)
    [listed] = found.suppressions
    assert (listed.dataset, listed.column, listed.matches.columns) == ("stop", "hashed", {("profiles", "email")})
    assert (found.guards, found.datasets) == (("stop",), ("profiles",))
    assert found.tables["stop"] == {"hashed": "VARCHAR"}
    [(kind, id, at, message)] = problems("rich", connection={"suppress": [{"dataset": "stop", "column": "hashed", "matches": "id"}]})
    assert (kind, id, at) == ("connection", "lake", "suppress.0.matches")
    assert message == "stop.hashed is VARCHAR and this is BIGINT; both must be text, or whole numbers, or of the same type. Write a CAST."
    assert compiled("rich", connection={"suppress": [{"dataset": "stop", "column": "number", "matches": "id"}]}).suppressions


def test_contacts() -> None:
    found = compiled(
        "big",
        project={**CONTACTS, "where": "email is not null", "order_by": "main desc"},
        fields=[{"from": "email"}, {"from": "contact_id", "to": "c"}],
    )
    assert found.contacts is not None
    assert (found.key_names, found.contacts.key, found.contacts.by) == (("account_id",), ("contact_id",), ("account_id",))
    assert [field.key for field in found.fields] == [None, "contact_id"]
    assert found.datasets == ("accounts", "contacts")
    assert set(found.tables["contacts"]) == {"contact_id", "account_id", "email", "main"}
    assert compiled("big", project=CONTACTS).key_names == ("account_id", "contact_id")
    joined = compiled("big", project=CONTACTS, changed={"contacts": {"key": ["account_id", "contact_id"]}})
    assert joined.key_names == ("account_id", "contact_id")  # the account's key stands there once
    arrays = compiled(
        "big",
        project={**CONTACTS, "how": "arrays"},
        fields=[{"from": "email", "transforms": ["lower"]}, {"from": "name"}, {"from": "contact_id"}],
        format={"type": "json"},
    )
    assert [(field.expression.type, field.array, field.key) for field in arrays.fields] == [
        ("VARCHAR[]", True, None),
        ("VARCHAR", False, None),
        ("BIGINT[]", True, None),
    ]
    assert arrays.key_names == ("account_id",)


def test_identities_are_hashed_where_the_destination_demands_it() -> None:
    demanding = replace(capabilities_of("local"), hashes_identities=True)
    fields = [
        {"from": "email", "identity": True, "transforms": ["trim", "lower"]},
        {"from": "email", "to": "h", "identity": True, "transforms": ["sha256", "upper"]},
        {"from": "phone"},
    ]
    email, hashed, phone = compiled("rich", fields=fields, capabilities=demanding).fields
    assert email.expression.sql.startswith("sha256(nullif(lower(")
    assert hashed.expression.sql.count("sha256") == 1
    assert "sha256" not in phone.expression.sql
    assert "sha256" not in compiled("rich", fields=fields).fields[0].expression.sql
    [(_, _, at, message)] = problems("rich", fields=[{"from": "ltv", "identity": True}], capabilities=demanding)
    assert (at, message.split(",")[0]) == ("fields.0.from", "`sha256` takes text")


@pytest.mark.parametrize(
    ("transforms", "given", "made"),
    [
        (["trim"], " \t\n\u00a0\u2003a b\u3000\r\x0b\x85", "a b"),
        (["trim"], "", ""),
        (["lower"], "ÄÉ@X", "äé@x"),
        (["upper"], "äé@x", "ÄÉ@X"),
        (["digits"], "+33 (0)6-12", "330612"),
        (["digits"], "x", ""),
        (["gmail"], "A.n.n+news@Gmail.com", "Ann@Gmail.com"),
        (["gmail"], "a.b@googlemail.com", "ab@googlemail.com"),
        (["gmail"], "a.b+c@example.com", "a.b+c@example.com"),
        (["gmail"], "a.b@gmail.com.evil", "a.b@gmail.com.evil"),
        (["sha256"], "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (["trim", "lower", "sha256"], " ABC\n", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (["sha256"], "é", "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c"),
        (["sha256"], "", None),
        (["trim", "sha256"], " ", None),
        *((transforms, None, None) for transforms in (["trim"], ["lower"], ["upper"], ["digits"], ["gmail"], ["sha256"])),
    ],
)
def test_transforms(transforms: list[str], given: str | None, made: str | None) -> None:
    [field] = compiled("rich", fields=[{"from": "email", "transforms": transforms}]).fields
    assert field.expression.type == "VARCHAR"
    assert duckdb.execute(f"SELECT {field.expression.sql} FROM (SELECT CAST(? AS VARCHAR) AS email) AS profiles", [given]).fetchone() == (
        made,
    )


def test_whole_numbers_are_text_for_transforms_and_telephone_numbers_call_a_function() -> None:
    [field] = compiled("rich", fields=[{"from": "phone", "transforms": [{"e164": "FR"}, "sha256"]}]).fields
    assert field.expression.sql == "sha256(nullif(e164(CAST(\"profiles\".\"phone\" AS VARCHAR), 'FR'), ''))"


@pytest.mark.parametrize("value", ["it's", "", 3, -(2**63), 1.5, 1e300, True, False, "export_time"])
def test_constants(value: str | float) -> None:
    [field] = compiled("rich", fields=[{"value": value, "to": "x"}]).fields
    cursor = duckdb.execute(f"SELECT {field.expression.sql}")
    assert str(cursor.description[0][1]) == field.expression.type
    assert cursor.fetchone() == (value,)


@pytest.mark.parametrize(
    ("segment", "keys", "way", "reason"),
    [
        ("rich", {}, Way.CHANGES, "One dataset alone decides, so rows that changed are enough."),
        ("both", {}, Way.CHANGES, "One dataset alone decides, so rows that changed, and rows whose seen came due are enough."),
        ("rich", {"connection": PURPOSE}, Way.TOUCHED, "Rows that changed, and the members they touch by consent."),
        ("recent", {"connection": STOPPED, "dedupe_by": ["email"]}, Way.TOUCHED, None),
        ("rich", {"dedupe_by": ["email"], "newest_by": "seen - now()"}, Way.COMPARED, None),
        (
            "rich",
            {"fields": [{"from": "current_date", "to": "day"}]},
            Way.COMPARED,
            "The field 'day' changes with the export time, so everybody is compared.",
        ),
        ("rich", {"limits": {"over": "truncate", "keep_by": "ltv desc"}}, Way.COMPARED, None),
        ("rich", {"mode": "full"}, Way.COMPARED, "Every delivery is full, so everybody is evaluated."),
        ("buyers", {}, Way.COMPARED, "buyers is a query, so who came and who left shows only when everybody is compared."),
        ("mixed", {}, Way.COMPARED, None),
        ("vips", {}, Way.COMPARED, "vips is a list, so who came and who left shows only when everybody is compared."),
        ("big", {"project": CONTACTS}, Way.COMPARED, None),
        ("odd", {"also": {"odd": {"of": "profiles", "where": "seen::date = current_date"}}}, Way.COMPARED, None),
    ],
)
def test_ways(segment: str, keys: dict[str, Any], way: Way, reason: str | None) -> None:
    found = compiled(segment, **keys)
    assert found.way is way
    assert reason is None or found.way_reason == reason


def test_the_definition_is_plain_and_says_what_is_sent_to_whom() -> None:
    fields = [{"from": "email", "transforms": ["lower"]}]
    sent: dict[str, Any] = {"fields": fields}
    found = compiled("mixed", **sent).definition
    assert json.loads(json.dumps(found)) == found

    def changed(**keys: Any) -> bool:
        return compiled("mixed", **{**sent, **keys}).definition != found

    assert changed(fields=[{"from": "email"}])
    assert changed(fields=[*fields, {"from": "phone"}])
    assert changed(fields=[{"from": "email", "transforms": ["lower"], "required": True}])
    assert changed(include_key=False, send=["entered"])
    assert changed(send=["entered"])
    assert changed(dedupe_by=["email"])
    assert changed(status={"exited": "gone"})
    assert changed(mode="full")
    assert changed(also={"rich": {"of": "profiles", "where": "ltv > 101"}})
    assert changed(also={"buyers": {"of": "profiles", "sql": "select id, sum(total) as spent from orders group by id"}})
    assert not changed(connection={**PURPOSE, **STOPPED})
    assert not changed(limits={"over": "truncate", "keep_by": "ltv desc", "audience": {"max": 3}})
    assert not changed(also={"rich": {"of": "profiles", "where": "LTV  >\n100 -- at least"}})
    renamed = {
        "mixed": {"all_of": ["rich"], "any_of": ["recent", "shoppers"], "none_of": ["vips"]},
        "shoppers": {"of": "profiles", "sql": segments()["buyers"].sql},
    }
    assert not changed(also=renamed)


HASHED = {"from": "email", "to": "E", "transforms": ["lower", "sha256"], "identity": True}


def test_without_the_key_no_identity_is_sent_twice_and_nobody_without_one() -> None:
    required = {**HASHED, "required": True}
    plain = compiled("rich", include_key=False, fields=[required], newest_by="seen")
    [email] = plain.fields
    assert (plain.dedupe_by, plain.distinct_by, plain.way) == ((email.expression,), (), Way.TOUCHED)
    assert plain.newest_by is not None
    same = compiled("rich", include_key=False, fields=[required], dedupe_by=["sha256(nullif(lower(email), ''))"])
    assert (same.distinct_by, same.way, same.definition["dedupe_by"]) == ((), Way.TOUCHED, plain.definition["dedupe_by"])
    other = compiled("rich", include_key=False, fields=[required], dedupe_by=["lower(email)"])
    assert ([one.sql for one in other.dedupe_by], other.distinct_by) == (['LOWER("profiles"."email")'], (email.expression,))
    assert (other.way, other.way_reason) == (
        Way.COMPARED,
        "Without the key no identity may be sent twice, and `dedupe_by` is something else, so everybody is compared.",
    )
    both = compiled("rich", include_key=False, fields=[required, {"from": "phone", "identity": True}])
    assert [one.sql for one in both.dedupe_by] == [email.expression.sql, 'COALESCE(CAST("profiles"."phone" AS VARCHAR), \'\')']
    cases: list[dict[str, Any]] = [
        {"fields": [HASHED]},
        {"fields": [HASHED], "include_key": False, "send": ["entered", "updated"]},
        {"fields": [HASHED], "include_key": False, "mode": "full"},
        {"fields": [{"from": "ID", "to": "member", "identity": True}, {"from": "email"}], "include_key": False},
    ]
    for keys in cases:
        found = compiled("rich", **keys)
        assert (found.dedupe_by, found.distinct_by) == ((), ())


@pytest.mark.parametrize(
    ("segment", "keys", "at", "sentence"),
    [
        (
            "rich",
            {"fields": [{"from": "phone"}, HASHED]},
            "fields.1.required",
            "Without the key members who leave are told by their identity",
        ),
        (
            "rich",
            {"fields": [HASHED, {"value": "acme", "to": "brand", "identity": True, "required": True}]},
            "fields.0.required",
            "Without the key members who leave are told by their identity alone, so nobody without one may be sent: `required: true` for",
        ),
        (
            "big",
            {"project": {**CONTACTS, "how": "arrays"}, "fields": [{**HASHED, "required": True}], "format": {"type": "parquet"}},
            "fields.0.identity",
            "Without the key members who leave are told by one value, and 'E' is an array",
        ),
        (
            "big",
            {"project": CONTACTS, "fields": [{"from": "accounts.account_id", "to": "a", "identity": True}]},
            "fields.0.required",
            "Without the key",
        ),
    ],
)
def test_an_identity_that_does_not_tell_members_apart(segment: str, keys: dict[str, Any], at: str, sentence: str) -> None:
    [(kind, id, where, message)] = problems(segment, include_key=False, **keys)
    assert (kind, id, where) == ("export", None, at)
    assert message.startswith(sentence)
