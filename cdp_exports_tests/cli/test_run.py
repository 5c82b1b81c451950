"""`run`: what it delivers, reports and ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from dagster import DagsterInstance

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip, TransientError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys


def test_a_full_then_what_changed(project: Project) -> None:
    first = project.json("run", "both")
    assert same_keys(first, SHAPES["run"]) == []
    assert [(member["member"], member["status"], member["sent"]) for member in first["members"]] == [
        ("orders", "committed", True),
        ("customers", "committed", True),
    ]
    assert first["members"][0]["delivery"]["mode"] == "full"
    project.write("orders", [6, 7])
    project.delete("orders", "order_id = 1")
    second = project.json("run", "both", "--member", "orders")
    (orders,) = second["members"]
    assert orders["delivery"]["rows"] | {"left_out": {}} == {
        "received": 3,
        "total": 3,
        "inserted": 2,
        "updated": 0,
        "deleted": 1,
        "left_out": {},
        "failed": 0,
    }
    assert second["export_time"] > first["export_time"]
    manifest = json.loads(next(iter(project.files(f"orders/exportTime={second['export_time']}/_manifest"))).read_bytes())
    assert manifest["rows"] == {"total": 3, "inserted": 2, "updated": 0, "deleted": 1}


def test_it_is_a_run_of_the_instance_and_the_table_says_so(project: Project) -> None:
    ended = project.call("run", "both")
    assert (ended.exit_code, ended.stderr) == (0, "")
    for word in ("orders", "customers", "committed", "full", str(project.root / "outbox")):
        assert word in ended.stdout
    with DagsterInstance.from_config(str(project.root)) as instance:
        (run,) = instance.get_runs()
        assert run.tags["cdp/export"] == "both"


def test_an_export_time_run_again_sends_nothing(project: Project) -> None:
    at = project.json("run", "both")["export_time"]
    files = project.files("**/*")
    (orders, customers) = project.json("run", "both", "--at", at)["members"]
    assert (orders["status"], orders["sent"], customers["sent"]) == ("committed", False, False)
    assert "nothing was sent now" in project.call("run", "both", "--at", at).stdout
    assert project.files("**/*") == files


def test_full_begins_a_new_chain(project: Project) -> None:
    project.json("run", "both", "--member", "orders")
    (orders,) = project.json("run", "both", "--member", "orders", "--full")["members"]
    assert (orders["delivery"]["mode"], orders["delivery"]["sequence"], orders["delivery"]["reason"]) == (
        "full",
        1,
        "asked for with --full",
    )


def test_skipped_is_3_and_says_why(project: Project) -> None:
    project.json("run", "both", "--member", "orders")
    document = project.json("run", "both", "--at", "202601010000", "--member", "orders", status=3)
    assert (document["members"][0]["status"], document["members"][0]["error"]["reason"]) == ("skipped", "covered_by")
    ended = project.call("run", "both", "--at", "202601010000", "--member", "orders")
    assert ended.exit_code == 3
    assert "[covered_by]" in ended.stdout


def test_the_worst_member_decides(project: Project) -> None:
    project.json("run", "both", "--member", "orders")
    document = project.json("run", "both", "--at", "202601010000", status=3)
    assert [member["status"] for member in document["members"]] == ["skipped", "committed"]
    (project.root / "data" / "customers").rename(project.root / "data" / "gone")
    document = project.json("run", "both", "--at", "202601010001", status=1)
    assert [member["status"] for member in document["members"]] == ["skipped", "failed"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TransientError("The ledger is away.", next_step="Try again."), 1),
        (Skip("Not now.", next_step="Later.", reason="already_running"), 3),
    ],
)
def test_an_error_before_any_member(project: Project, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    def fails(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("cdp_exports.assets.run.run_in_process", fails)
    ended = project.call("run", "both")
    assert (ended.exit_code, ended.stdout) == (status, "")
    assert ended.stderr.splitlines() == list(error.args)


def test_ctrl_c(project: Project) -> None:
    """Another run holds the export; the one that waits for it is interrupted."""
    ledger = Ledger.open(f"sqlite:///{project.root}/ledger.db")
    other = ExportTime.parse("202601010000")
    lease = ledger.acquire("acme", "both", run_id="other", export_time=other, seconds=600)
    assert lease is not None
    script = "import sys; from cdp_exports.cli import main; sys.argv = ['cdp-exports', 'run', 'both']; main()"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=project.root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        while ledger.newest_time("acme", "both") is None:
            assert run.poll() is None
            time.sleep(0.1)
        with DagsterInstance.from_config(str(project.root)) as instance:
            while not any(run.status.value == "STARTED" for run in instance.get_runs()):
                time.sleep(0.1)
        time.sleep(0.5)  # into the wait; an interrupt before it ends the same
        os.kill(run.pid, signal.SIGINT)
        said, errors = run.communicate()
    assert run.returncode == 130, said + errors
    assert "Interrupted." in said + errors
    assert "Traceback" not in said + errors
    ledger.close()
