"""Two runs of one export: at once, or one that stalls and wakes up after another took its place. One delivery, always."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from cdp_exports.delivery.holding import holding
from cdp_exports.delivery.resolving import resolve
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.delivery.test_kill import begun
from cdp_exports_tests.delivery.world import TIMES, World, hurry


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry()


class Other:
    """A run in another process, stopped before a step."""

    def __init__(self, world: World, export_time: str, before: str, *, interrupt: str = "stop") -> None:
        command = [sys.executable, "-m", "cdp_exports_tests.delivery.crash", str(world.folder), export_time, interrupt, before]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_until_stopped(self) -> None:
        process, deadline = psutil.Process(self._process.pid), time.monotonic() + 60
        while process.status() != psutil.STATUS_STOPPED:
            assert self._process.poll() is None and time.monotonic() < deadline, self._process.communicate()
            time.sleep(0.02)

    def wake(self) -> dict[str, Any]:
        """Let it go on to its end; how it ended."""
        os.kill(self._process.pid, signal.SIGCONT)
        return self.end()

    def dies(self) -> None:
        self._process.communicate(timeout=60)
        assert self._process.returncode == -signal.SIGKILL

    def end(self) -> dict[str, Any]:
        out, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, err
        ended: dict[str, Any] = json.loads(out)
        return ended


def nothing_lost_nothing_twice(world: World, export_time: str) -> None:
    world.write([{"id": 77, "v": "last"}])
    assert world.deliver_after_lease(export_time).status == "committed"
    assert world.received() == world.rows()
    assert world.member.open_deliveries() == []
    listed = {f"{document['folder']}/{file['path']}" for document in world.manifests() for file in document["files"]}
    assert world.data_files() == listed


@pytest.mark.parametrize("stalled_before", ["begin_file", "close", "publishing"])
@pytest.mark.parametrize("rival_time", [TIMES[1], TIMES[2]], ids=["same time", "later time"])
def test_a_run_that_stalled_and_wakes_after_another_published(tmp_path: Path, stalled_before: str, rival_time: str) -> None:
    world = begun(World.create(tmp_path))
    stalled = Other(world, TIMES[1], stalled_before)
    stalled.wait_until_stopped()
    rival = world.deliver_after_lease(rival_time)
    assert rival.status == "committed" and rival.sent
    ended = stalled.wake()
    assert ended["status"] in ("skipped", "committed") and not ended["sent"]
    nothing_lost_nothing_twice(world, TIMES[3])


@pytest.mark.parametrize("rival_time", [TIMES[1], TIMES[2]], ids=["same time", "later time"])
def test_a_run_that_stalled_between_intent_and_manifest_is_in_doubt_until_it_wakes(tmp_path: Path, rival_time: str) -> None:
    world = begun(World.create(tmp_path))
    stalled = Other(world, TIMES[1], "create")
    stalled.wait_until_stopped()
    rival = world.deliver_after_lease(rival_time)
    assert rival.error is not None and rival.error.code == "in_doubt"
    assert stalled.wake()["status"] == "committed"
    assert world.deliver_after_lease(rival_time).status == "committed"
    nothing_lost_nothing_twice(world, TIMES[3])


@pytest.mark.parametrize("rival_time", [TIMES[1], TIMES[2]], ids=["same time", "later time"])
def test_a_run_that_wakes_before_the_other_published(tmp_path: Path, rival_time: str) -> None:
    world = begun(World.create(tmp_path))
    stalled = Other(world, TIMES[1], "close")
    stalled.wait_until_stopped()
    rival = Other(world, rival_time, "publishing")
    rival.wait_until_stopped()
    assert stalled.wake()["status"] == "skipped"
    assert rival.wake()["status"] in ("committed", "skipped")  # its own lease ran out too while it was stopped
    world.deliver_after_lease(rival_time)
    nothing_lost_nothing_twice(world, TIMES[3])


def test_a_resent_delivery_whose_first_sender_wakes_is_one_delivery(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path))
    stalled = Other(world, TIMES[1], "create")
    stalled.wait_until_stopped()
    time.sleep(1.2)
    resolve(world.member, ExportTime.parse(TIMES[1]), delivered=False, run_id="person")
    resent = world.deliver_after_lease(TIMES[1])
    assert resent.status == "committed" and resent.sent
    assert not stalled.wake()["sent"]
    nothing_lost_nothing_twice(world, TIMES[3])


def test_two_runs_at_once_are_one_delivery(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path))
    runs = [Other(world, TIMES[1], "-1") for _ in range(3)]
    ended = [run.end() for run in runs]
    assert sum(run["sent"] for run in ended) == 1
    nothing_lost_nothing_twice(world, TIMES[3])


def test_the_second_run_names_the_first(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path))
    with holding(world.ledger, "test", ("orders_out",), run_id="the-first", export_time=ExportTime.parse(TIMES[1])):
        second = world.deliver(TIMES[1])
    assert second.skip is not None
    assert second.skip.reason == "already_running"
    assert "the-first" in second.skip.message
    assert world.deliver(TIMES[1]).status == "committed"


def test_a_run_that_died_is_taken_over_by_the_next(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path))
    Other(world, TIMES[1], "close", interrupt="kill").dies()
    assert world.deliver(TIMES[1]).status == "committed", "unattended: nobody runs it again and again"
    nothing_lost_nothing_twice(world, TIMES[3])


def test_a_run_of_another_export_time_waits(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path))
    with ThreadPoolExecutor() as pool:
        lease = world.ledger.acquire("test", "orders_out", run_id="somebody", export_time=ExportTime.parse(TIMES[1]), seconds=30)
        assert lease is not None
        waiting = pool.submit(world.deliver, TIMES[2])
        time.sleep(0.5)
        assert not waiting.done()
        world.ledger.release(lease)
        assert waiting.result(timeout=30).status == "committed"


def test_the_receiver_moves_the_files_between_publishing_and_the_ledger(tmp_path: Path) -> None:
    world = begun(World.create(tmp_path))
    died = Other(world, TIMES[1], "commit", interrupt="kill")
    died.dies()
    taken = world.received()
    world.destination.delete([stored.path for stored in world.destination.list(f"orders/exportTime={TIMES[1]}")])
    doubt = world.deliver_after_lease(TIMES[1])
    assert doubt.error is not None and doubt.error.code == "in_doubt"
    later = world.deliver_after_lease(TIMES[2])
    assert later.error is not None and later.error.code == "in_doubt"
    assert "--delivered" in later.error.next_step
    delivery = resolve(world.member, ExportTime.parse(TIMES[1]), delivered=True, run_id="person")
    assert delivery.counts is not None and delivery.counts.delivered == 18
    world.write([{"id": 50, "v": "later"}])
    after = world.deliver(TIMES[3])
    assert after.delivery is not None and after.delivery.counts is not None and after.delivery.counts.delivered == 1
    assert after.delivery.pin.sources[0].after_version == delivery.pin.sources[0].upto_version
    assert taken + (world.rows() - taken) == world.rows()
    with pytest.raises(DeclarationError):
        resolve(world.member, ExportTime.parse(TIMES[1]), delivered=True, run_id="person")
