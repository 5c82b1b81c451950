"""What passed while nobody evaluated a schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cdp_exports.automation import gaps
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import SkipRecord
from cdp_exports_tests.automation.refreshed import Scene

MINUTELY = 'datasets: [orders, events]\nschedule: {cron: "* * * * *"}'


def now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def key_of(time: datetime) -> str:
    return f"{time:%Y%m%d%H%M}"


@pytest.fixture
def declared_long_ago(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Every cadence has been what it is for an hour."""
    moment = now() - timedelta(hours=1)
    real = Ledger.cadences_since

    def since(ledger: Ledger, environment: str, declared: dict[str, str]) -> dict[str, datetime]:
        return dict.fromkeys(real(ledger, environment, declared), moment)

    monkeypatch.setattr(Ledger, "cadences_since", since)
    return moment


def test_one_delivery_covers_all_that_was_missed(tmp_path: Path, stored_instance: dg.DagsterInstance, declared_long_ago: datetime) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    first = tick - timedelta(minutes=5)
    scene.ledger.note_time("acme", "out", gaps.ExportTime(first - timedelta(minutes=1)))
    assert isinstance(scene.schedule("out", first), dg.RunRequest)
    assert scene.history("out") == []
    scene.write("orders", 3)
    assert isinstance(scene.schedule("out", tick), dg.RunRequest), "the daemon was down for four ticks"
    missed = [key_of(first + timedelta(minutes=minutes)) for minutes in range(1, 5)]
    assert scene.history("out") == sorted((time, "skipped", "covered_by") for time in missed for _ in range(2))
    said = {entry.message for entry in scene.ledger.history("acme", "out") if isinstance(entry, SkipRecord)}
    between = f"{first + timedelta(minutes=1):%Y-%m-%d %H:%M} and {tick:%Y-%m-%d %H:%M} UTC"
    assert said == {
        f"Nobody evaluated the schedule between {between}: dagster-daemon did not run. Its rows went with the delivery of {key_of(tick)}."
    }
    assert scene.partitions("out") == [key_of(first), key_of(tick)], "no partition of what was missed"
    assert [one for one in scene.delivered("out") if one[1] == key_of(tick)] == [("events", key_of(tick), 0), ("orders", key_of(tick), 1)]


def test_what_was_missed_stays_missed_until_a_delivery_is_committed(
    tmp_path: Path, stored_instance: dg.DagsterInstance, declared_long_ago: datetime
) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    scene.ledger.note_time("acme", "out", gaps.ExportTime(tick - timedelta(minutes=3)))
    (tmp_path / "data" / "orders").rename(tmp_path / "data" / "away")
    scene.schedule("out", tick)
    assert {one[2] for one in scene.history("out") if one[0] != key_of(tick)} == {"missed", "covered_by"}, "events were delivered"
    (tmp_path / "data" / "away").rename(tmp_path / "data" / "orders")
    from cdp_exports.assets.run import run_in_process

    run_in_process(scene.catalog, stored_instance, "out", export_time=gaps.ExportTime(tick))
    assert {one[2] for one in scene.history("out") if one[0] != key_of(tick)} == {"covered_by"}


def test_nothing_was_missed_before_it_was_declared_or_changed(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    scene.ledger.note_time("acme", "out", gaps.ExportTime(tick - timedelta(minutes=5)))
    scene.schedule("out", tick - timedelta(minutes=1))
    scene.export("out", 'datasets: [orders, events]\nschedule: {cron: "*/2 * * * *"}')
    scene.schedule("out", tick)
    assert scene.history("out") == []


def test_nothing_was_missed_while_it_was_off(
    tmp_path: Path, stored_instance: dg.DagsterInstance, declared_long_ago: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, tick = Scene.create(tmp_path, stored_instance, out=MINUTELY), now()
    monkeypatch.setattr(gaps, "on_since", lambda _instance, _schedule: tick - timedelta(minutes=2, seconds=30))
    scene.schedule("out", tick)
    assert {one[0] for one in scene.history("out")} == {key_of(tick - timedelta(minutes=minutes)) for minutes in (1, 2)}


def test_a_changed_way_of_waiting_is_no_other_cadence(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    scene = Scene.create(tmp_path, stored_instance, out=MINUTELY)

    def text(**more: Any) -> str:
        schedule = scene.catalog.exports["out"].schedule
        assert schedule is not None
        return gaps.cadence_text(scene.catalog, schedule.model_copy(update=more))

    assert text(max_wait="1h", on_upstream_failure="last_good") == text()
    assert text(start="2026-01-01T00:00Z") != text()
    assert text(cron="0 * * * *") != text()
