"""Receivers of segments: what docs/receivers.md shows keeps exactly the members that are in the segment."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cdp_exports_tests.delivery.segment_world import SegmentWorld
from cdp_exports_tests.delivery.world import TIMES, hurry

PAGE = (Path(__file__).parent.parent / "docs" / "receivers.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"<!-- snippet: ([a-z-]+) -->\n```[a-z]+\n(.*?)\n```", PAGE, re.DOTALL))
[STATEMENTS] = re.findall(r"^```sql\n(DELETE FROM audience.*?)```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry(60.0)


def _people(*ids: int, **values: Any) -> list[dict[str, Any]]:
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    return [{"id": n, "email": f'"{n}",\n é@x', "country": "FR", "value": 5, "seen": seen, "opt_in": True} | values for n in ids]


def _delivered(folder: Path, **export: Any) -> tuple[SegmentWorld, str, dict[int, tuple[Any, ...]]]:
    """A full, an increment of everything that can happen, one with nothing; another full, another increment."""
    world = SegmentWorld.begin(folder, export=export, connection={"purpose": "marketing"})
    world.put("people", _people(*range(20)))
    for time, full in zip(TIMES[:5], (False, False, False, True, False), strict=True):
        assert world.deliver(time, full=full).status == "committed"
        if time == TIMES[2]:
            continue
        number = int(time[-2:])
        world.put("people", [*_people(20 + number), *_people(1, value=7 + number), *_people(2 + number, opt_in=False)])
        world.remove("people", f"id = {10 + number}")
    outcome = world.deliver(TIMES[5])
    assert outcome.delivery is not None
    head = "EXISTS (SELECT 1 FROM head WHERE head.id = p.id AND head.opt_in)"
    truth = world.truth_of(outcome.delivery, sends=head)
    assert 10 < len(truth) < len(world.truth_of(outcome.delivery)), "some may not be sent"
    return world, str(Path(world.manifests()[0]["folder"]).parent), truth


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_set_of_members_is_kept(tmp_path: Path, compression: str) -> None:
    status = {"column": "op", "entered": "I", "updated": "U", "exited": "D", "reason": "why"}
    world, member, truth = _delivered(tmp_path, status=status, format={"type": "csv", "delimiter": ";", "compression": compression})
    snippets = _run("deliveries", "audience")
    members = snippets["audience"](tmp_path / "out" / member, ["id"])
    assert {int(key): (row["EMAIL"], row["country"], float(row["double"])) for (key,), row in members.items()} == truth
    assert world.manifests()[-1]["movement"]["held"] == len(members)
    assert len(snippets["audience"](tmp_path / "out" / member, ["EMAIL"])) == len(members)


@pytest.mark.parametrize("format_", [{"type": "csv"}, {"type": "json"}, {"type": "parquet"}], ids=["csv", "json", "parquet"])
def test_a_database_is_kept(tmp_path: Path, format_: dict[str, Any]) -> None:
    _, member, truth = _delivered(tmp_path, format=format_)
    snippets = _run("deliveries", "receive")

    def apply(database: duckdb.DuckDBPyConnection, delivery: duckdb.DuckDBPyRelation, table: str, key: list[str]) -> None:
        assert (table, key) == ("audience", ["id"])
        members = delivery.select("* EXCLUDE (segment_status, exit_reason)")
        database.register("delivery", delivery)
        database.register("members", members)
        database.execute("CREATE TABLE IF NOT EXISTS audience AS SELECT * FROM members LIMIT 0")
        for statement in STATEMENTS.replace("profile_id", "id").split(";\n"):
            database.execute(statement)

    snippets["apply"] = apply
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        snippets["receive"](database, tmp_path / "out" / member, "audience")
        assert {row[0]: row[1:] for row in database.table("audience").fetchall()} == truth


def _run(*names: str) -> dict[str, Any]:
    """The names that snippets of the page define."""
    defined: dict[str, Any] = {}
    for name in names:
        exec(compile(SNIPPETS[name], f"docs/receivers.md, {name}", "exec"), defined)
    return defined
