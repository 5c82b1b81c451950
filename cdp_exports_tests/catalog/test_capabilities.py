"""What a destination can do, and what a catalog that asks for something else is told. The type is made up: `s3` with other abilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.entities import connection
from cdp_exports.entities.capabilities import Capabilities, Known, Members, Repeat
from cdp_exports_tests.catalog.declaring import ACCOUNTS, PEOPLE, problems, write

FIELDS = (Known("email", "An address.", identity=True), Known("first_name", "A name."), Known("last_name", "Another."))
MEMBERS = Members(
    batch_max=100,
    repeat=Repeat.HARMLESS,
    fields=FIELDS,
    any_of=(frozenset({"email"}), frozenset({"first_name", "last_name"})),
    takes_key=False,
)
AUDIENCE = Capabilities(proof=None, formats=frozenset(), conditional_create=False, members=MEMBERS)

TO_ADS = "kind: segment\nconnection: crm\nsegments: [vips]\ninclude_key: false\nfields:\n- {from: email, identity: true}\n"
TO_LAKE = "kind: dataset\nconnection: lake\ndatasets: [orders]\n"


def _with(monkeypatch: pytest.MonkeyPatch, **abilities: Any) -> None:
    """Connections to S3 can do this, those to folders what they always can."""
    made_up = replace(connection.TYPES["s3"], capabilities=replace(AUDIENCE, **abilities))
    monkeypatch.setattr(connection, "TYPES", {**connection.TYPES, "s3": made_up})


def _told(parent: Path, files: Mapping[str, str | None]) -> list[str]:
    beside = {**PEOPLE, "exports/to_lake.yaml": TO_LAKE, "connections/crm.yaml": "type: s3\nbucket: crm\n"}
    return [problem.removeprefix("catalog/") for problem in problems(write(parent, {**beside, **files}))]


def test_members_go_to_an_audience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch)
    files = {"exports/vips_to_crm.yaml": TO_ADS + 'audience_name: "VIPs {segment_id}"\nsend: [entered, exited]\n'}
    assert _told(tmp_path, files) == []


@pytest.mark.parametrize(
    ("export", "told"),
    [
        (
            TO_ADS + "mode: full\n",
            (
                "7: `mode: full`: connections of the type `s3` are told what changed; leave it out, and send everybody again with "
                "`run vips_to_crm --full`."
            ),
        ),
        (
            TO_ADS + "send: [entered, updated]\n",
            "7: `send`: without `exited` who leaves would stay in the audience; connections of the type `s3` need it.",
        ),
        (
            TO_ADS + "format: {type: csv}\n",
            "7: `format` says how files arrive, and connections of the type `s3` take no files; leave it out.",
        ),
        (
            TO_ADS + "path: vips/{export_time}\n",
            "7: `path` says how files arrive, and connections of the type `s3` take no files; leave it out.",
        ),
        (
            TO_ADS + "layout: adobe\n",
            "7: `layout` says how files arrive, and connections of the type `s3` take no files; leave it out.",
        ),
        (
            TO_ADS.replace("include_key: false", "include_key: true"),
            "4: `include_key: true`: connections of the type `s3` do not take the dataset's key; leave it out.",
        ),
        (
            TO_ADS + "- {from: country, to: first_nam}\n",
            "7: `fields[1]`: connections of the type `s3` take no field 'first_nam' (did you mean 'first_name'?).",
        ),
        (
            TO_ADS + "- {from: country}\n",
            "7: `fields[1]`: connections of the type `s3` take no field 'country'; they take email, first_name, last_name.",
        ),
        (
            TO_ADS.replace("{from: email,", "{from: email, to: first_name, required: true,"),
            (
                "5: `fields`: connections of the type `s3` cannot tell who is meant without one of these: email; or first_name and "
                "last_name. Map it, with `to`."
            ),
        ),
        (
            "kind: dataset\nconnection: crm\ndatasets: [customers]\n",
            (
                "2: `connection`: connections of the type `s3` take the members of segments, and this export sends datasets. Choose a "
                "connection that takes files, or declare `kind: segment`."
            ),
        ),
    ],
)
def test_what_an_audience_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, export: str, told: str) -> None:
    _with(monkeypatch)
    assert _told(tmp_path, {"exports/vips_to_crm.yaml": export}) == [f"exports/vips_to_crm.yaml:{told}"]


def test_keys_of_the_other_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with(monkeypatch)
    files = {
        "connections/crm.yaml": "type: s3\nbucket: crm\nlower_case: true\n",
        "exports/vips_to_crm.yaml": TO_ADS,
        "exports/vips_to_lake.yaml": "kind: segment\nconnection: lake\nsegments: [vips]\nfail_above: 0.5\n",
    }
    assert _told(tmp_path, files) == [
        "connections/crm.yaml:3: `lower_case`: connections of the type `s3` take no files; leave it out.",
        (
            "exports/vips_to_lake.yaml:4: `fail_above` means something where members are sent to an audience, and connections of the type "
            "`local` take files; leave it out."
        ),
    ]


def test_a_destination_of_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    companies = replace(MEMBERS, fields=(Known("company", "A name.", identity=True),), any_of=(frozenset({"company"}),))
    _with(monkeypatch, accepts_people=False, members=companies)
    firms = (
        "kind: segment\nconnection: crm\nsegments: [firms]\ninclude_key: false\nfields:\n"
        "- {from: name, to: company, identity: true, required: true}\n"
    )
    declared = {**ACCOUNTS, "exports/vips_to_crm.yaml": None}
    assert _told(tmp_path / "firms", {**declared, "exports/firms_to_crm.yaml": firms}) == []
    vips = firms.replace("firms", "vips").replace("from: name", "from: email")
    assert _told(tmp_path / "vips", {"exports/vips_to_crm.yaml": vips}) == [
        (
            "exports/vips_to_crm.yaml:3: The segment 'vips' is not eligible for the connection 'crm': it is a segment of people, and "
            "connections of the type `s3` take accounts only. Choose a segment of accounts (role `account`), or another connection."
        )
    ]
    people_only = {"connections/crm.yaml": "type: s3\nbucket: crm\naccepts: [people]\n", "exports/firms_to_crm.yaml": None}
    assert _told(tmp_path / "nobody", {**declared, **people_only}) == [
        "connections/crm.yaml:3: `accepts`: connections of the type `s3` take accounts only, so nobody could be sent there; leave it out."
    ]


@pytest.mark.parametrize(
    ("abilities", "told"),
    [
        ({"formats": frozenset({"csv"})}, "`format`: connections of the type `s3` do not take `parquet`; they take `csv`."),
        (
            {"compressions": frozenset({"none", "gzip"})},
            "`format.compression`: connections of the type `s3` do not take `zstd`; they take `gzip`, `none`.",
        ),
        ({"modes": frozenset({"full"})}, "`mode`: connections of the type `s3` do not take `incremental` exports; they take `full`."),
        (
            {"file_max": 1000},
            "`format.max_rows_per_file`: connections of the type `s3` take files of at most 1000 rows; write it, or a smaller number.",
        ),
    ],
)
def test_files_that_a_store_does_not_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abilities: dict[str, Any], told: str) -> None:
    takes_files: dict[str, Any] = {"members": None, "formats": frozenset({"csv", "json", "parquet"})}
    _with(monkeypatch, **takes_files)
    files = {"exports/to_lake.yaml": TO_LAKE.replace("lake", "crm"), "exports/vips_to_crm.yaml": None}
    assert _told(tmp_path, files) == []
    _with(monkeypatch, **{**takes_files, **abilities})
    [found] = _told(tmp_path, files)
    assert found.startswith("exports/to_lake.yaml:")
    assert found.endswith(f": {told}")


ADS = (
    "type: linkedin_contacts\naccount_id: '502840441'\nsource_platform: ACME_CDP\nclient_id: {env: A}\nclient_secret: {env: B}\n"
    "refresh_token: {env: C}\n"
)
HOOK = "type: http\nurl: https://api.partner.com/audiences\nsigning_secret: {env: A}\n"
MAPPED = "kind: segment\nconnection: crm\nsegments: [vips]\nfields:\n- {from: email, to: email}\n"


@pytest.mark.parametrize(
    ("connection", "export", "told"),
    [
        (ADS, MAPPED, []),
        (HOOK, MAPPED, []),
        (HOOK, MAPPED + "include_key: true\n", []),
        (ADS, MAPPED + "- {from: country, to: contry}\n", ["take no field 'contry' (did you mean 'country'?)."]),
        (ADS, MAPPED + "limits: {audience: {max: 200}}\n", ["take at least 300; choose a greater one, or leave it out."]),
        (HOOK, MAPPED + "path: x/{export_time}\n", ["take no files; leave it out."]),
        (HOOK, TO_LAKE.replace("lake", "crm"), ["Choose a connection that takes files, or declare `kind: segment`."]),
    ],
)
def test_the_types_that_there_are(tmp_path: Path, connection: str, export: str, told: list[str]) -> None:
    files = {"connections/crm.yaml": connection, "exports/vips_to_crm.yaml": export, "exports/to_lake.yaml": None}
    found = _told(tmp_path, files)
    assert len(found) == len(told), found
    assert all(one.endswith(end) for one, end in zip(found, told, strict=True)), found
