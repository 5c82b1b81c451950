"""Files of fixed names while runs die, stall and meet: each name holds a whole file, old or new, and it comes right by itself."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.resolving import resolve
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.delivery.test_kill import killed
from cdp_exports_tests.delivery.test_rivals import Other
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World, hurry
from cdp_exports_tests.destinations.far import STORES
from cdp_exports_tests.servers.openssh import Home

FIXED = {
    "path": "drop",
    "file_name": "latest",
    "overwrite": True,
    "mode": "full",
    "changes": "added",
    "format": {"type": "csv", "compression": "none", "max_rows_per_file": 4},
}


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry()


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": n, "v": "a"} for n in range(first, first + count)]


def begun(world: World) -> World:
    """Three files were delivered; two are next."""
    world.write(rows(0, 12))
    assert world.deliver(TIMES[0]).status == "committed"
    world.write(rows(100, 8), mode="overwrite")
    return world


def files(world: World) -> dict[str, list[int]]:
    found = {stored.path for stored in world.destination.list("drop") if stored.path.startswith("drop/latest")}
    return {path: [int(row["id"]) for row in csv.DictReader(io.StringIO((world.destination.read(path) or b"").decode()))] for path in found}


def each_whole(world: World) -> None:
    for ids in files(world).values():
        assert len(ids) == 4 and (max(ids) < 100 or min(ids) >= 100), "a file of the one delivery or of the other"


def comes_right(world: World, time: str, *ids: int) -> None:
    outcome = world.deliver_after_lease(time)
    if outcome.error is not None and outcome.error.code == "in_doubt":
        resolve(world.member, world.member.open_deliveries()[0].export_time, delivered=False, run_id="person")
        outcome = world.deliver_after_lease(time)
    assert outcome.status == "committed", outcome
    *replaced, newest = verify(world.member)
    assert newest.differences == () and newest.over is None
    assert all(verdict.differences == () and verdict.over for verdict in replaced)
    latest = json.loads(world.destination.read(f"drop/_manifests/{EXPORT}.orders/_latest") or b"")
    assert latest["export_time"] == time
    listed, deadline = {f"drop/{file['path']}" for file in latest["files"]}, monotonic() + 30
    while set(files(world)) != listed and monotonic() < deadline:  # what has no place any more goes once the lease is free
        list(verify(world.member))
    found = files(world)
    assert set(found) == listed
    assert sorted(id for held in found.values() for id in held) == sorted(ids)


def test_killed_at_every_step(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path / "world", export=FIXED))
    world.ledger.close()
    shutil.copytree(world.folder, tmp_path / "begun")

    def copied() -> World:
        shutil.rmtree(world.folder)
        shutil.copytree(tmp_path / "begun", world.folder)
        return World(world.folder)

    steps = killed(copied(), -1)
    assert steps is not None and {"put", "delete", "close", "create", "commit"} <= set(steps)
    assert steps.index("create", steps.index("publishing")) < steps.index("put") < steps.index("commit") < steps.index("delete")
    for step, name in enumerate(steps):
        if step < steps.index("open") or name == steps[step - 1] == "write":  # nothing new could be seen
            continue
        again = copied()
        assert killed(again, step) is None, f"{name} was not reached"
        each_whole(again)
        comes_right(again, TIMES[1], *range(100, 108))
        assert not [path for path in (again.folder / "out").rglob("*") if path.name.endswith(".partial")]
        again.write(rows(200, 3), mode="overwrite")
        comes_right(again, TIMES[2], 200, 201, 202)
        again.ledger.close()


@pytest.mark.parametrize("before", ["close", "put", "delete"])
@pytest.mark.parametrize("store", STORES)
def test_killed_far_away(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, before: str) -> None:
    make, of = STORES[store]
    made = request.getfixturevalue(of)
    if isinstance(made, Home):
        made.add_folder("world")
    far = make(made)
    for name, value in far.environ.items():
        monkeypatch.setenv(name, value)
    declared = {name: value for name, value in far.declared.items() if value is not None}
    world = begun(World.create(tmp_path, connection={**declared, "folder": f"{declared['folder']}/world"}, export=FIXED))
    Other(world, TIMES[1], before, interrupt="kill").dies()
    each_whole(world)
    comes_right(world, TIMES[1], *range(100, 108))
    assert far.hidden() == []


@pytest.mark.parametrize("stalled_before", ["begin_file", "write", "close", "end_file", "publishing"])
def test_a_run_that_wakes_too_late_replaces_nothing(tmp_path: Path, stalled_before: str) -> None:
    world = begun(World.create(tmp_path, export=FIXED))
    stalled = Other(world, TIMES[1], stalled_before)
    stalled.wait_until_stopped()
    world.write(rows(200, 12), mode="overwrite")
    assert world.deliver_after_lease(TIMES[2]).status == "committed"
    before = files(world)
    assert stalled.wake()["status"] == "skipped"
    assert files(world) == before
    comes_right(world, TIMES[2], *range(200, 212))


def test_a_run_that_removes_too_late_says_so(tmp_path: Path) -> None:
    """Between its look at the lease and the deletion nothing can hold it back: it is told, found and put right."""
    world = begun(World.create(tmp_path, export=FIXED))
    stalled = Other(world, TIMES[1], "delete")
    stalled.wait_until_stopped()
    world.write(rows(200, 12), mode="overwrite")
    assert world.deliver_after_lease(TIMES[2]).status == "committed"
    ended = stalled.wake()
    assert ended["status"] == "failed" and "whose turn was over" in ended["error"]
    *_, newest = verify(world.member)
    assert [difference for difference in newest.differences if difference.endswith("latest_3.csv is missing")]
    replay(world.member, ExportTime.parse(TIMES[2]), run_id="person")
    comes_right(world, TIMES[2], *range(200, 212))


def test_a_run_that_replaces_too_late_says_so(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path, export=FIXED))
    stalled = Other(world, TIMES[1], "close")
    stalled.wait_until_stopped()
    rival = Other(world, TIMES[2], "close")
    rival.wait_until_stopped()
    ended = stalled.wake()
    assert ended["status"] == "failed" and "whose turn was over" in ended["error"]
    each_whole(world)
    assert rival.wake()["status"] in ("committed", "skipped")  # its own lease ran out too while it was stopped
    world.write(rows(200, 12), mode="overwrite")
    comes_right(world, TIMES[3], *range(200, 212))


def test_verify_leaves_what_a_run_at_work_writes(tmp_path: Path) -> None:
    """A file that an earlier, lost attempt left under a name that the run at work has just given again."""
    world = begun(World.create(tmp_path, export=FIXED))
    Other(world, TIMES[1], "publishing", interrupt="kill").dies()
    world.write(rows(300, 12), mode="overwrite")
    at_work = Other(world, TIMES[2], "publishing")
    at_work.wait_until_stopped()
    found = files(world)
    list(verify(world.member))
    assert files(world) == found
    assert at_work.wake()["status"] in ("committed", "skipped")
    comes_right(world, TIMES[2], *range(300, 312))
