"""More exports due at once than one tick starts: the others follow in the next ticks, each once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from benchmarks import ticks
from cdp_exports.automation import refresh_sensor
from cdp_exports.automation.refresh_sensor import LAUNCHES
from cdp_exports_tests.automation.refreshed import Scene


def test_work_is_spread_over_ticks_and_nothing_is_lost(tmp_path: Path) -> None:
    found = ticks.main(tmp_path, 2 * LAUNCHES + 10)  # ends with an error unless each export is asked for exactly once
    assert found["due_ticks"] == 3


def test_what_is_given_up_is_spread_over_ticks_too(
    tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh_sensor, "DROPS", 2)
    follows, waits = "datasets: [orders, events]\nschedule: {after: refresh}", 'datasets: [orders]\nschedule: {cron: "* * * * *"}'
    exports = {f"{name}{number}": text for name, text in (("follows", follows), ("waits", waits)) for number in range(3)}
    scene = Scene.create(tmp_path, stored_instance, **exports)
    with scene.refreshing(fails=True):
        for number in range(3):
            assert isinstance(scene.schedule(f"waits{number}", datetime.now(UTC)), str)

    def given_up() -> int:
        assert scene.evaluate() == []
        return sum([how[1:] for how in scene.history(name)] == [("skipped", "upstream_failed")] for name in exports)

    assert [given_up() for _ in range(4)] == [2, 4, 6, 6]
