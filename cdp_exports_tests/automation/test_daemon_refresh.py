"""Refreshes, a tick that waits and a daemon that is killed, with the real daemon in its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import dagster as dg

from cdp_exports_tests.automation.refreshed import Scene

UPSTREAM = """
    import sys, time
    from pathlib import Path

    import dagster as dg
    import deltalake
    import pyarrow as pa

    home, table, may_end, number = sys.argv[1:]

    @dg.asset(key=["warehouse", "orders"])
    def orders():
        while not Path(may_end).exists():
            time.sleep(0.1)
        deltalake.write_deltalake(table, pa.table({"id": [int(number)]}), mode="append")

    with dg.DagsterInstance.from_config(home) as instance:
        dg.materialize([orders], instance=instance)
"""
"""A run of another code location."""


@contextmanager
def daemon(scene: Scene, home: Path, *loads: str) -> Generator[subprocess.Popen[bytes]]:
    """dagster-daemon with its code servers and the runs that they launch, in a session of their own."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")},
        "DAGSTER_HOME": str(home),
        "CDP_EXPORTS_CATALOG": str(scene.root / "catalog"),
    }
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", *(loads or ("-m", "cdp_exports.definitions"))]
    log = scene.root / "daemon.log"
    with (
        log.open("ab") as out,
        subprocess.Popen(command, cwd=scene.root, env=environ, stdout=out, stderr=out, start_new_session=True) as made,
    ):
        try:
            yield made
        finally:
            kill(made, signal.SIGTERM)
            try:
                made.wait(30)
            except subprocess.TimeoutExpired:
                kill(made)


def kill(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
    if process.poll() is None:
        os.killpg(process.pid, how)


@contextmanager
def refreshing(scene: Scene, home: Path, number: int) -> Generator[Callable[[], None]]:
    """The upstream at work; what is given ends it."""
    may_end = scene.root / f"may_end_{number}"
    script = scene.root / "upstream.py"
    script.write_text(dedent(UPSTREAM))
    arguments = [sys.executable, str(script), str(home), str(scene.root / "data" / "orders"), str(may_end), str(number)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

        def end() -> None:
            may_end.touch()
            process.wait(60)

        try:
            yield end
        finally:
            end()


def until(true: Callable[[], bool], scene: Scene, seconds: float = 180, every: float = 0.3) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError((scene.root / "daemon.log").read_text()[-6000:])
        time.sleep(every)


def test_a_tick_waits_for_the_refresh_and_runs_once(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=80)).replace(second=0, microsecond=0)
    export_time = f"{soon:%Y%m%d%H%M}"
    declared = f'datasets: [orders]\nschedule: {{cron: "{soon.minute} {soon.hour} * * *"}}'
    scene = Scene.create(tmp_path, stored_instance, out=declared)
    with refreshing(scene, home, 3) as end_refresh, daemon(scene, home):
        until(lambda: scene.history("out") == [(export_time, "waiting", "waiting_for_refresh")], scene)
        assert scene.partitions("out") == []
        end_refresh()
        until(lambda: scene.has_delivered("out"), scene)
    assert scene.delivered("out") == [("orders", export_time, 3)]
    assert scene.partitions("out") == [export_time]
    assert scene.history("out") == []
    (run,) = stored_instance.get_runs(dg.RunsFilter(tags={"cdp/export": "out"}))
    assert run.tags["dagster/sensor_name"] == "acme__dataset_refresh"
    assert (run.tags["cdp/family"], run.tags["dagster/partition"]) == ("dataset", export_time)


def test_killed_between_minting_launching_and_recording(tmp_path: Path, home: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out="datasets: [events]\nschedule: {after: refresh}")
    ours = dg.RunsFilter(tags={"cdp/export": "out"})
    with daemon(scene, home) as process:
        until(lambda: bool(scene.ledger.due("acme")), scene, every=0.005)
        kill(process)
    (due,) = scene.ledger.due("acme")
    with daemon(scene, home) as process:
        until(lambda: bool(stored_instance.get_runs(ours)), scene, every=0.01)
        kill(process)
    assert scene.delivered("out") == [], "the run had just begun"
    (run,) = stored_instance.get_runs(ours)
    assert run.tags["dagster/partition"] == str(due.export_time)
    stored_instance.report_run_failed(run)  # as run monitoring does, or a person in the UI
    scene.write("events", 2)
    with daemon(scene, home):
        until(lambda: scene.has_delivered("out"), scene)
    (delivery,) = scene.delivered("out")
    assert delivery[2] == 2, "all rows, once"
    assert {run.tags["dagster/partition"] for run in stored_instance.get_runs(ours)} == set(scene.partitions("out"))
