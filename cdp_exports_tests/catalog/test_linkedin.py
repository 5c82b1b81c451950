"""What the catalog says of exports to LinkedIn before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdp_exports.catalog.load import load
from cdp_exports.entities.export import SegmentExport
from cdp_exports_tests.catalog.declaring import problems, write

ADS = "type: linkedin_{}\naccount_id: '1'\nsource_platform: X\naccess_token: {{env: TOKEN}}\n"
COLUMNS = "{id: bigint, email: varchar, name: varchar}"
FILES: dict[str, str | None] = {
    "environment.yaml": "name: test\naudience: accounts\n",
    "datasets/people.yaml": f"source: {{format: delta, uri: people}}\nrole: profile\nkey: [id]\ncolumns: {COLUMNS}\n",
    "datasets/firms.yaml": f"source: {{format: delta, uri: firms}}\nrole: account\nkey: [id]\ncolumns: {COLUMNS}\n",
    "segments/some_people.yaml": "of: people\nwhere: id > 1\n",
    "segments/some_firms.yaml": "of: firms\nwhere: id > 1\n",
    "connections/contacts.yaml": ADS.format("contacts"),
    "connections/companies.yaml": ADS.format("companies"),
}


def export(connection: str, segment: str, fields: str, more: str = "") -> dict[str, str | None]:
    declared = f"kind: segment\nconnection: {connection}\nsegments: [{segment}]\nfields: {fields}\n{more}"
    return {**FILES, "exports/ads.yaml": declared}


@pytest.mark.parametrize(
    ("connection", "segment", "fields", "says"),
    [
        ("contacts", "some_firms", "[{from: email}]", "it is a segment of accounts, and"),
        ("companies", "some_people", "[{from: name, to: company_name}]", "it is a segment of people, and"),
        ("contacts", "some_people", "[{from: email, to: e_mail}]", "take no field 'e_mail' (did you mean 'email'?)"),
        (
            "contacts",
            "some_people",
            "[{from: name, to: first_name}]",
            "one of these: email; or email_sha256; or google_aid; or first_name and last_name",
        ),
        ("companies", "some_firms", "[{from: name, to: company}]", "take no field 'company'"),
        ("contacts", "some_people", "[{from: email}]\ninclude_key: true", "do not take the dataset's key"),
        ("contacts", "some_people", "[{from: email}]\nformat: {type: csv}", "take no files"),
        ("contacts", "some_people", "[{from: email}]\nmode: full", "are told what changed"),
        ("contacts", "some_people", "[{from: email}]\nsend: [entered]", "who leaves would stay in the audience"),
        ("contacts", "some_people", "[{from: email}, {from: name, to: google_aid}]", "`required: true` for 'email'"),
    ],
)
def test_what_is_refused(tmp_path: Path, connection: str, segment: str, fields: str, says: str) -> None:
    found = problems(write(tmp_path, export(connection, segment, fields)))
    assert any(says in problem for problem in found), found


def test_addresses_are_hashed_whatever_is_declared(tmp_path: Path) -> None:
    for declared in ("", ", transforms: [gmail]", ", transforms: [trim, lower, sha256]"):
        catalog = load(write(tmp_path, export("contacts", "some_people", f"[{{from: email{declared}}}, {{from: name, to: title}}]")))
        sends = catalog.exports["ads"]
        assert isinstance(sends, SegmentExport)
        email, title = sends.fields
        assert email.transforms[-1] == "sha256" and email.identity and email.required
        assert title.transforms == ("trim",) and not title.identity and not title.required


@pytest.mark.parametrize(
    ("connection", "segment", "fields", "identities"),
    [
        ("contacts", "some_people", "[{from: name, to: first_name}, {from: email, to: last_name}]", ["first_name", "last_name"]),
        ("companies", "some_firms", "[{from: name, to: company_name}]", ["company_name"]),
        ("companies", "some_firms", "[{from: name, to: company_name}, {from: email, to: website, required: true}]", ["website"]),
    ],
)
def test_the_only_way_to_tell_members_apart_is_their_identity(
    tmp_path: Path, connection: str, segment: str, fields: str, identities: list[str]
) -> None:
    sends = load(write(tmp_path, export(connection, segment, fields))).exports["ads"]
    assert isinstance(sends, SegmentExport)
    assert [field.to for field in sends.fields if field.identity] == identities
