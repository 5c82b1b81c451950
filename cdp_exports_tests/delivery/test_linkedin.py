"""Segments delivered to LinkedIn: who is in the matched audience is who is in the segment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pytest

from cdp_exports.delivery.context import Context
from cdp_exports.entities.linkedin_connection import VERSION
from cdp_exports_tests.delivery.world import TIMES, World, hurry
from cdp_exports_tests.destinations.opened_linkedin import hashed, open_ads
from cdp_exports_tests.servers.linkedin import LinkedIn, Trouble
from cdp_exports_tests.servers.linkedin_book import ACCESS, CLIENT, REFRESH, SECRET

AUDIENCE = "chosen"


class Ads(World):
    """A table, a segment of it, and LinkedIn behind the connection `out`."""

    linkedin: LinkedIn
    kind: str = "contacts"

    @classmethod
    def of(cls, folder: Path, linkedin: LinkedIn, kind: str, rows: list[dict[str, Any]], fields: list[Any], **export: Any) -> Ads:
        hurry()
        world = cls(folder, linkedin.declared(kind))
        world.linkedin, world.kind = linkedin, kind
        companies = kind == "companies"
        world.put(rows)
        columns = {name: "bigint" if name == "id" else "varchar" for name in rows[0]}
        world.declare("environment.yaml", {"name": "test", "audience": "accounts" if companies else "individuals"})
        source = {"format": "delta", "uri": "data/orders"}
        role = "account" if companies else "profile"
        world.declare("datasets/them.yaml", {"source": source, "key": ["id"], "role": role, "columns": columns})
        world.declare(f"segments/{AUDIENCE}.yaml", {"of": "them", "where": "status = 'in'"})
        world.declare("connections/out.yaml", world.connection)
        world.declare("exports/ads.yaml", {"kind": "segment", "connection": "out", "segments": [AUDIENCE], "fields": fields, **export})
        return world

    def put(self, rows: list[dict[str, Any]]) -> None:
        deltalake.write_deltalake(self.table, pl.DataFrame(rows).to_arrow(), mode="overwrite")

    @cached_property
    def context(self) -> Context:
        context: Context = World.context.func(self)
        return replace(context, open_audience=lambda _: open_ads(self.linkedin, self.kind))


def person(number: int, **changes: str) -> dict[str, Any]:
    return {"id": number, "email": f" P{number}@X.example", "first": f"Ann {number}", "status": "in", **changes}


def addresses(numbers: Mapping[int, Any] | range) -> set[str]:
    return {hashed(f"p{number}@x.example") for number in numbers}


FIELDS = [{"from": "email", "required": True}, {"from": "first", "to": "first_name"}]


def test_people(tmp_path: Path, linkedin: LinkedIn) -> None:
    rows = [person(number) for number in range(6000)]
    world = Ads.of(tmp_path, linkedin, "contacts", rows, FIELDS, fail_above=0.1)
    first = world.deliver(TIMES[0])
    assert first.status == "committed", first.error
    assert first.delivery
    assert first.delivery.counts
    assert first.delivery.counts.batches == 2
    assert linkedin.book.values(AUDIENCE) == addresses(range(6000))
    assert all(set(one) == {"action", "userIds", "firstName"} for one in linkedin.book.held(AUDIENCE).values())

    changed = [
        *rows[:5990],
        person(5990, email="new@x.example"),
        person(5991, first="Eve"),
        *(person(n, status="out") for n in range(5992, 6000)),
    ]
    world.put([*changed, person(7000)])
    linkedin.book.rejects = {hashed("p7000@x.example"): {"status": 400, "code": "INVALID_ID"}}
    linkedin.troubles = [Trouble("drop", "/users", applied=True)]
    assert world.deliver(TIMES[1]).status == "failed"
    again = world.deliver(TIMES[1])
    assert again.status == "committed", again.error
    assert again.delivery
    assert again.delivery.counts
    assert again.delivery.counts.failed == 1
    expected = addresses(range(5990)) | addresses(range(5991, 5992)) | {hashed("new@x.example")}
    assert linkedin.book.values(AUDIENCE) == expected
    (eve,) = [said for said in linkedin.book.held(AUDIENCE).values() if said["firstName"] == "Eve"]
    assert eve["userIds"][0]["idValue"] == hashed("p5991@x.example")

    linkedin.book.rejects = {}
    assert world.deliver(TIMES[2]).status == "committed"
    assert linkedin.book.values(AUDIENCE) == expected | {hashed("p7000@x.example")}
    assert {seen.headers["linkedin-version"] for seen in linkedin.seen if "/rest/" in seen.path} == {VERSION}
    assert not any("@" in seen.body for seen in linkedin.seen)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "data" not in path.parts)
    assert not any(secret.encode() in kept for secret in (ACCESS, CLIENT, SECRET, REFRESH))


@pytest.mark.parametrize(("count", "reason"), [(299, "below_minimum"), (100_001, "over_limit")])
def test_linkedins_limits(tmp_path: Path, linkedin: LinkedIn, count: int, reason: str) -> None:
    world = Ads.of(tmp_path, linkedin, "contacts", [person(number) for number in range(count)], FIELDS)
    outcome = world.deliver(TIMES[0])
    assert outcome.skip
    assert outcome.skip.reason == reason
    assert linkedin.book.received == []


def test_accounts(tmp_path: Path, linkedin: LinkedIn) -> None:
    def account(number: int, **changes: str) -> dict[str, Any]:
        return {"id": number, "name": f"Company {number}", "site": f"https://WWW.c{number}.example/", "status": "in", **changes}

    fields = [{"from": "name", "to": "company_name"}, {"from": "site", "to": "website", "required": True}]
    world = Ads.of(tmp_path, linkedin, "companies", [account(number) for number in range(400)], fields)
    outcome = world.deliver(TIMES[0])
    assert outcome.status == "committed", outcome.error
    world.put([account(number, status="out" if number >= 350 else "in") for number in range(400)])
    assert world.deliver(TIMES[1]).status == "committed"
    held = linkedin.book.held(AUDIENCE, "COMPANY").values()
    assert {(one["companyName"], one["companyWebsiteDomain"]) for one in held} == {(f"Company {n}", f"c{n}.example") for n in range(350)}
    removed = [one for received in linkedin.book.received for one in received.elements if one["action"] == "REMOVE"]
    assert len(removed) == 50
    assert "companyName" not in json.dumps(removed)


def test_people_told_by_their_names(tmp_path: Path, linkedin: LinkedIn) -> None:
    fields = [{"from": "first", "to": "first_name"}, {"value": "Lee", "to": "last_name"}]
    world = Ads.of(tmp_path, linkedin, "contacts", [person(number) for number in range(301)], fields)
    outcome = world.deliver(TIMES[0])
    assert outcome.status == "committed", outcome.error
    world.put([person(number, status="out" if number == 300 else "in") for number in range(301)])
    assert world.deliver(TIMES[1]).status == "committed"
    assert linkedin.book.values(AUDIENCE, "name") == {f"Ann {number} Lee" for number in range(300)}
