"""Which columns of datasets an output comes from."""

from __future__ import annotations

from cdp_exports.segments.lineage import lineage
from cdp_exports.segments.members import compile_segment
from cdp_exports_tests.segments.declaring import compiled, datasets, segments


def test_of_segments() -> None:
    found = compile_segment("mixed", segments(), datasets())
    assert found.datasets == ("profiles", "orders")
    assert lineage(found) == {"id": {("profiles", "id")}, "spent": {("orders", "total")}, "tier": {("vips", "tier")}}


def test_through_queries() -> None:
    text = """
        with o as (select id, total * 2 as twice, placed from orders)
        select p.id, p.email || 'x' as mail, sum(twice) + count(*) as spent, max(o.placed) as latest, 1 as one
        from profiles p join o using (id) group by all
    """
    union = "select id, email as x from profiles union all select id, total::varchar from orders"
    declared = segments(joined={"of": "profiles", "sql": text}, either={"of": "profiles", "sql": union})
    assert lineage(compile_segment("joined", declared, datasets())) == {
        "id": {("profiles", "id")},
        "mail": {("profiles", "email")},
        "spent": {("orders", "total")},
        "latest": {("orders", "placed")},
        "one": frozenset[tuple[str, str]](),
    }
    assert lineage(compile_segment("either", declared, datasets()))["x"] == {("profiles", "email"), ("orders", "total")}


def test_of_exports() -> None:
    fields = [{"from": "spent", "to": "SPENT"}, {"from": "concat(email, tier, phone)", "to": "all"}, {"value": 1, "to": "one"}]
    assert lineage(compiled("mixed", fields=fields)) == {
        "id": {("profiles", "id")},
        "SPENT": {("orders", "total")},
        "all": {("profiles", "email"), ("profiles", "phone"), ("vips", "tier")},
        "one": frozenset[tuple[str, str]](),
    }
    contacts = {"dataset": "contacts", "by": ["account_id"]}
    assert lineage(compiled("big", project=contacts, fields=[{"from": "accounts.account_id", "to": "account"}])) == {
        "contact_id": {("contacts", "contact_id")},
        "account": {("accounts", "account_id")},
    }
