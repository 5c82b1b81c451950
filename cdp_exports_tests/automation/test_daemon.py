"""A schedule that a real daemon evaluates, and the delivery of its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import deltalake
import pyarrow as pa
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

CATALOG = {
    "environment.yaml": "name: acme\n",
    "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [id]\n",
    "connections/outbox.yaml": "type: local\nfolder: outbox\n",
    "exports/orders_to_outbox.yaml": 'kind: dataset\nconnection: outbox\ndatasets: [orders]\nschedule: {cron: "* * * * *"}\n',
    "exports/never.yaml": (
        'kind: dataset\nconnection: outbox\ndatasets: [orders]\nschedule: {daily_at: "00:00"}\nactive: false\n'
        "path: 'never/{dataset_id}/exportTime={export_time}'\n"
    ),
}


@contextmanager
def daemon(home: Path, root: Path) -> Generator[Path]:
    """Runs dagster-daemon; gives the file it writes to."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")},
        "DAGSTER_HOME": str(home),
        "CDP_EXPORTS_CATALOG": str(root / "catalog"),
    }
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "cdp_exports.definitions"]
    log = root / "daemon.log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=root, env=environ, stdout=out, stderr=out, start_new_session=True) as process:
        try:
            yield log
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def finished_run(instance: DagsterInstance, seconds: float) -> DagsterRun | None:
    until = time.monotonic() + seconds
    ended = RunsFilter(statuses=[DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
    while time.monotonic() < until:
        if runs := instance.get_runs(ended):
            return runs[-1]
        time.sleep(0.5)
    return None


def test_a_tick_delivers(tmp_path: Path, home: Path, stored_instance: DagsterInstance) -> None:
    for name, text in CATALOG.items():
        path = tmp_path / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    deltalake.write_deltalake(tmp_path / "data" / "orders", pa.table({"id": [1, 2, 3]}))
    with daemon(home, tmp_path) as log:
        run = finished_run(stored_instance, seconds=150)
    assert run is not None, log.read_text()[-4000:]
    assert run.status == DagsterRunStatus.SUCCESS, log.read_text()[-4000:]
    assert run.tags["dagster/schedule_name"] == "acme_orders_to_outbox"
    export_time = run.tags["dagster/partition"]
    assert (tmp_path / "outbox" / "orders" / f"exportTime={export_time}" / "_manifest").is_file()
    assert export_time in stored_instance.get_materialized_partitions(AssetKey(["dataset_exports", "orders_to_outbox", "orders"]))
    assert not (tmp_path / "outbox" / "never").exists()
