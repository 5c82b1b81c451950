"""What fails: whether Dagster starts another run for it, and how one that fails again and again is reported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_exports.assets import delivering, retrying
from cdp_exports.assets.run import run_in_process
from cdp_exports.automation.switches import schedules_on
from cdp_exports.errors import CdpExportsError, Occupied, TransientError
from cdp_exports_tests.assets.scripted import Scripted
from cdp_exports_tests.automation.refreshed import Scene

ROOT = Path(__file__).parents[2]
HOOK = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "production.md").read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def home(home: Path) -> Path:
    """With the dagster.yaml that this project ships."""
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return home


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (TransientError("The store is busy.", next_step="It is tried again."), True),
        (Occupied("The folder belongs to another export.", next_step="Choose another folder."), False),
    ],
)
def test_dagster_starts_another_run_for_what_may_pass_and_no_other(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, error: CdpExportsError, retried: bool
) -> None:
    scene = Scene.create(tmp_path, stored_instance, out="datasets: [events]")
    scripted = Scripted({"events": [error]})
    monkeypatch.setattr(delivering, "deliver", scripted)
    monkeypatch.setattr(retrying, "FIRST_WAIT_SECONDS", 0.01)
    run_in_process(scene.catalog, stored_instance, "out")
    assert len(scripted.calls) == (1 + retrying.MAX_RETRIES if retried else 1)
    (run,) = stored_instance.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.is_complete_and_waiting_to_retry is retried


def test_failing_is_reported_and_switches_nothing_off(
    tmp_path: Path, stored_instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    scene = Scene.create(tmp_path, stored_instance, out='datasets: [events]\nschedule: {daily_at: "02:00"}')
    names: dict[str, Any] = {}
    exec(compile(HOOK, "production.md", "exec", dont_inherit=True), names)
    table = tmp_path / "data" / "events"
    table.rename(tmp_path / "gone")
    for times in (1, 2, 3):
        ended = run_in_process(scene.catalog, stored_instance, "out")
        run = stored_instance.get_run_by_id(ended.run_id)
        assert run is not None
        assert run.tags["cdp/failures_in_a_row"] == str(times)
        (record,) = stored_instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
        event = record.event_log_entry.dagster_event
        assert event is not None
        context = dg.build_run_status_sensor_context("exports_that_fail", event, stored_instance, run).for_run_failure()
        names["exports_that_fail"](context)
        assert ("out: " in capfd.readouterr().err) == (times == 3)
    assert schedules_on(scene.catalog, stored_instance) == {"out": True}
    (tmp_path / "gone").rename(table)
    run_in_process(scene.catalog, stored_instance, "out")
    assert scene.ledger.failures_in_a_row("acme", ["out"]) == {}
    assert [rows for _, _, rows in scene.delivered("out")] == [1]
