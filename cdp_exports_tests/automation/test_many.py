"""More exports due at once than one tick starts: the others follow in the next ticks, each once."""

from __future__ import annotations

from pathlib import Path

from benchmarks import ticks
from cdp_exports.automation.refresh_sensor import LAUNCHES


def test_work_is_spread_over_ticks_and_nothing_is_lost(tmp_path: Path) -> None:
    found = ticks.main(tmp_path, 2 * LAUNCHES + 10)  # ends with an error unless each export is asked for exactly once
    assert found["due_ticks"] == 3
