"""kill -9 before every step of a delivery, then a retry: as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from cdp_exports.delivery.held_files import held_of
from cdp_exports.delivery.resolving import resolve
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.delivery.segment_world import SegmentWorld
from cdp_exports_tests.delivery.world import TIMES, World, hurry
from cdp_exports_tests.servers.seaweedfs import EXPORTER, Bucket

WorldAt = Callable[[Path], World]


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry()


def begun(world: World) -> World:
    """One delivery committed, then inserts, updates and deletes that make an increment of three files."""
    world.write([{"id": n, "v": "old"} for n in range(20)])
    assert world.deliver(TIMES[0]).status == "committed"
    world.write([{"id": n, "v": "new"} for n in range(20, 30)])
    world.update("id < 5", v="'changed'")
    world.delete("id >= 5 AND id < 8")
    return world


def killed(world: World, step: int) -> list[str] | None:
    """Deliver in another process that dies before this step; the steps it took, if it lived."""
    command = [sys.executable, "-m", "cdp_exports_tests.delivery.crash", str(world.folder), TIMES[1], "kill", str(step)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert ended["status"] == "committed", ended
    steps: list[str] = ended["steps"]
    return steps


def chosen(world: SegmentWorld) -> SegmentWorld:
    """One delivery committed, then people who enter, change, leave and are deleted."""
    people = [{"id": n, "email": f"{n}@x", "country": "FR", "value": 5, "seen": None, "opt_in": True} for n in range(20)]
    world.put("people", people)
    assert world.deliver(TIMES[0]).status == "committed"
    world.put("people", [{**people[n], "id": n + 20} for n in range(10)])
    world.put("people", [{**people[n], "country": "DE"} for n in range(5)] + [{**people[n], "value": 0} for n in range(5, 8)])
    world.remove("people", "id = 8")
    return world


def as_if_nothing_had_happened_to_the_segment(world: SegmentWorld) -> None:
    outcome = world.deliver_after_lease(TIMES[1])
    if outcome.error is not None and outcome.error.code == "in_doubt":
        resolve(world.member, ExportTime.parse(TIMES[1]), delivered=False, run_id="person")
        outcome = world.deliver_after_lease(TIMES[1])
    assert outcome.status == "committed" and outcome.delivery is not None and outcome.delivery.counts is not None, outcome
    counts = outcome.delivery.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (10, 5, 4)
    assert world.audience() == world.truth_of(outcome.delivery)
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]
    listed = {f"{document['folder']}/{file['path']}" for document in world.manifests() for file in document["files"]}
    assert world.data_files() == listed
    world.remove("people", "id = 9")
    last = world.deliver(TIMES[2])
    assert last.delivery is not None and world.audience() == world.truth_of(last.delivery)
    kept = {held_of(delivery).file for delivery in world.member.chain_up_to(last.delivery)}  # type: ignore[union-attr]
    state = {stored.path for stored in world.context.open_state().list("test") if ".compacted." not in stored.path}
    assert state == kept, "what attempts that died wrote of the receiver is gone"


def as_if_nothing_had_happened(world: World) -> None:
    outcome = world.deliver_after_lease(TIMES[1])
    if outcome.error is not None and outcome.error.code == "in_doubt":
        # killed between the intent and the manifest: nobody can know, so a person says it
        resolve(world.member, ExportTime.parse(TIMES[1]), delivered=False, run_id="person")
        outcome = world.deliver_after_lease(TIMES[1])
    assert outcome.status == "committed", outcome
    assert outcome.delivery is not None and outcome.delivery.counts is not None
    counts = outcome.delivery.counts
    assert (counts.inserted, counts.updated, counts.deleted) == (10, 5, 3)
    assert world.received() == world.rows()
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]
    listed = {f"{document['folder']}/{file['path']}" for document in world.manifests() for file in document["files"]}
    assert world.data_files() == listed
    assert not [path for path in (world.folder / "out").rglob("*") if path.name.endswith(".partial")]
    assert world.member.open_deliveries() == []
    assert [document["sequence"] for document in world.manifests()] == [1, 2]
    # and the next delivery goes on from there
    world.write([{"id": 99, "v": "later"}])
    assert world.deliver(TIMES[2]).status == "committed"
    assert world.received() == world.rows()
    assert world.data_files() == {f"{document['folder']}/{file['path']}" for document in world.manifests() for file in document["files"]}


def every_step(world: World, tmp_path: Path, copy: Callable[[World, Path], World]) -> int:
    steps = killed(copy(world, tmp_path / "alive"), -1)
    assert steps is not None
    assert {"pin", "start_attempt", "begin_file", "open", "write", "close", "end_file", "publishing", "create", "commit", "release"} <= set(
        steps
    )
    for step in range(len(steps)):
        copied = copy(world, tmp_path / f"step{step}")
        assert killed(copied, step) is None, f"{steps[step]} was not reached"
        as_if_nothing_had_happened(copied)
    return len(steps)


def test_killed_at_every_step_on_local_disk(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path / "world", export={"format": {"type": "parquet", "max_rows_per_file": 6}}))

    world.ledger.close()
    shutil.copytree(world.folder, tmp_path / "begun")

    def copy(original: World, _: Path) -> World:
        shutil.rmtree(original.folder)
        shutil.copytree(tmp_path / "begun", original.folder)  # at the same place: another target would be another chain
        return World(original.folder)

    assert every_step(world, tmp_path, copy) > 20


@pytest.mark.timeout(600)
def test_a_segment_killed_at_every_step(tmp_path: Path) -> None:
    world = chosen(SegmentWorld.begin(tmp_path / "world", export={"format": {"type": "parquet", "max_rows_per_file": 8}}))
    world.ledger.close()
    shutil.copytree(world.folder, tmp_path / "begun")

    def copied() -> SegmentWorld:
        shutil.rmtree(world.folder)
        shutil.copytree(tmp_path / "begun", world.folder)
        return SegmentWorld(world.folder)

    lived: list[str] | None = None
    for step in count():  # how many chunks a file is written in may differ by one
        again = copied()
        lived = killed(again, step)
        as_if_nothing_had_happened_to_the_segment(again)
        again.ledger.close()
        if lived is not None:
            break
    assert lived is not None and len(lived) > 20
    last_close = max(n for n, name in enumerate(lived[: lived.index("commit")]) if name == "close")
    assert last_close < lived.index("publishing"), "what the receiver will hold is kept before the manifest is there"


def test_killed_at_every_step_on_s3(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TEST_KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setitem(os.environ, "TEST_SECRET", EXPORTER.secret_access_key)

    def world_at(folder: Path) -> World:
        connection = {
            "type": "s3",
            "bucket": bucket.name,
            "folder": f"{bucket.folder}/{folder.name}",
            "endpoint_url": bucket.url,
            "region": "us-east-1",
            "access_key_id": {"env": "TEST_KEY_ID"},
            "secret_access_key": {"env": "TEST_SECRET"},
        }
        return begun(World.create(folder, connection=connection))

    assert every_step(World(tmp_path), tmp_path, lambda _, folder: world_at(folder)) > 12
