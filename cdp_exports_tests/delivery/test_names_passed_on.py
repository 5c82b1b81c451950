"""A fixed name that one export gave up and another has now: housekeeping of the first leaves it alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.expiring import expire
from cdp_exports.delivery.member import members_of
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import clock
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World

FIXED: dict[str, Any] = {
    "path": "drop",
    "file_name": "latest",
    "overwrite": True,
    "mode": "full",
    "changes": "added",
    "format": {"type": "csv", "compression": "none"},
}
ANOTHER = {"kind": "dataset", "connection": "out", "datasets": ["orders"], **FIXED}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An export has delivered `drop/latest.csv`."""
    world = World.create(tmp_path, connection={"type": "local", "folder": "out", "keep_for": "2d"}, export=FIXED)
    world.write([{"id": 1, "v": "a"}])
    assert world.deliver(TIMES[0]).sent
    return world


def take_the_name(world: World) -> None:
    """Another export, which is refused until somebody moves the file away, as the error says."""

    def delivered(export_time: str) -> list[Any]:
        return list(deliver(world.context, "another", ExportTime.parse(export_time), run_id=export_time))

    world.declare("exports/another.yaml", ANOTHER)
    (refused,) = delivered(TIMES[1])
    assert refused.error is not None and refused.error.code == "occupied"
    world.destination.delete(["drop/latest.csv"])
    (sent,) = delivered(TIMES[2])
    assert sent.sent


def intact(world: World) -> bool:
    (member,) = members_of(world.context, "another")
    (verdict,) = verify(member)
    return verdict.differences == () and verdict.over is None and verdict.files == 1


def test_the_time_of_an_export_that_was_removed_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.folder / "catalog" / "exports" / f"{EXPORT}.yaml").unlink()
    take_the_name(world)
    (first,) = world.ledger.standing("test", (EXPORT,))
    (second,) = world.ledger.standing("test", ("another",))
    over = first.written + timedelta(days=2)
    assert over < second.written + timedelta(days=2)
    monkeypatch.setattr(clock, "now", lambda connection: over)
    assert [delivery.export for delivery in expire(world.context)] == [EXPORT]
    assert intact(world)
    assert list(expire(world.context)) == [], "once"
    monkeypatch.setattr(clock, "now", lambda connection: second.written + timedelta(days=2))
    assert [delivery.export for delivery in expire(world.context)] == ["another"]
    assert world.data_files() == set(), "theirs goes in its own time"


def test_the_one_that_gave_it_up_delivers_under_its_new_name(world: World) -> None:
    world.declare(f"exports/{EXPORT}.yaml", {**ANOTHER, "file_name": "newest"})
    take_the_name(world)
    (outcome,) = deliver(world.context, EXPORT, ExportTime.parse(TIMES[3]), run_id="again")
    assert outcome.sent
    assert world.data_files() == {"drop/latest.csv", "drop/newest.csv"}
    assert intact(world)
