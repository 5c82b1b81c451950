"""How `list` and `history` show what waits and what was missed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dagster import DagsterInstance

from cdp_exports.automation import toggles
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.cli.conftest import Project


@pytest.fixture
def ledger(project: Project) -> Ledger:
    return Ledger.open(f"sqlite:///{project.root}/ledger.db")


def minute(number: int) -> ExportTime:
    return ExportTime(datetime(2026, 1, 1, 0, number, tzinfo=UTC))


def test_what_waits(project: Project, ledger: Ledger) -> None:
    ledger.wait("acme", "weekly", minute(5), members=["orders"], upstream_runs=["run-7"])
    weekly = next(export for export in project.json("list")["exports"] if export["export"] == "weekly")
    assert [(last["state"], last["reason"]) for last in weekly["last"]] == [("waiting", "waiting_for_refresh")]
    assert "waiting 202601010005" in project.call("list").stdout
    (entry,) = project.json("history", "weekly")["entries"]
    assert (entry["state"], entry["reason"], entry["run_id"]) == ("waiting", "waiting_for_refresh", "run-7")
    assert "being refreshed (run run-7)" in project.call("history").stdout


def test_a_gap_is_one_line(project: Project, ledger: Ledger) -> None:
    ledger.missed("acme", "weekly", ["orders"], map(minute, range(3, 20)), why="Nobody evaluated the schedule.", noticed_by="acme_weekly")
    assert len(project.json("history", "weekly")["entries"]) == 17
    shown = project.call("history", "weekly").stdout
    assert shown.count("Nobody evaluated the schedule.") == 1
    assert "202601010003 to 202601010019 (17 times)" in shown
    project.call("run", "weekly")
    shown = project.call("history", "weekly").stdout
    assert shown.count("Its rows went with the delivery of") == 1


def test_a_sensor_that_is_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "This sensor is off" not in project.call("list").stdout
    asked: list[str] = []

    def is_off(_: DagsterInstance, name: str) -> bool:
        asked.append(name)
        return True

    monkeypatch.setattr(toggles, "sensor_is_off", is_off)
    assert "acme__dataset_refresh: This sensor is off" in project.call("list").stdout
    assert asked == ["acme__dataset_refresh"]
