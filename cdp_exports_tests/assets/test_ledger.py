"""Which ledger a run writes to, and which it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance

from cdp_exports.assets.ledger import check_ledger, open_ledger
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import DeclarationError

LAUNCHED_ELSEWHERE = """
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
telemetry: {enabled: false}
"""
SQLITE = Environment(name="acme")
NAMED = Environment(name="acme", ledger=Secret(env="LEDGER"))


def test_the_default_ledger_lies_in_dagsters_home_and_is_opened_once(stored_instance: DagsterInstance, home: Path) -> None:
    ledger = open_ledger(SQLITE, stored_instance)
    assert (home / "ledger.db").is_file()
    assert open_ledger(SQLITE, stored_instance) is ledger


def test_a_named_ledger_is_used(stored_instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER", f"sqlite:///{tmp_path}/mine.db")
    open_ledger(NAMED, stored_instance)
    assert (tmp_path / "mine.db").is_file()


def test_a_ledger_whose_variable_is_missing_is_refused(stored_instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEDGER", raising=False)
    with pytest.raises(DeclarationError, match="LEDGER is not set"):
        open_ledger(NAMED, stored_instance)


def test_sqlite_is_refused_at_load_where_runs_are_launched_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(LAUNCHED_ELSEWHERE, encoding="utf-8")
    home = {"DAGSTER_HOME": str(tmp_path)}
    with pytest.raises(DeclarationError, match="SyncInMemoryRunLauncher runs deliveries elsewhere"):
        check_ledger(SQLITE, home)
    with pytest.raises(DeclarationError, match="SQLite"):
        check_ledger(NAMED, {**home, "LEDGER": "sqlite:////shared/ledger.db"})
    check_ledger(NAMED, {**home, "LEDGER": "postgresql://ledger"})
    check_ledger(NAMED, home)


def test_sqlite_is_accepted_at_load_with_the_default_launcher(tmp_path: Path) -> None:
    check_ledger(SQLITE, {})
    check_ledger(SQLITE, {"DAGSTER_HOME": str(tmp_path)})
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    check_ledger(SQLITE, {"DAGSTER_HOME": str(tmp_path)})


def test_sqlite_is_refused_when_a_run_begins_elsewhere(home: Path) -> None:
    (home / "dagster.yaml").write_text(LAUNCHED_ELSEWHERE, encoding="utf-8")
    with DagsterInstance.from_config(str(home)) as instance, pytest.raises(DeclarationError, match="only this machine can open"):
        open_ledger(SQLITE, instance)
