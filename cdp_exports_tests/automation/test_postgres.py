"""The same where Dagster and the ledger are in Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from cdp_exports_tests.automation.refreshed import Scene


@pytest.fixture
def in_postgres(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance and a ledger in one database."""
    home = tmp_path / "home"
    home.mkdir()
    storage = "storage: {postgres: {postgres_url: {env: TEST_POSTGRES}}}\n"
    (home / "dagster.yaml").write_text(f"telemetry: {{enabled: false}}\n{storage}", encoding="utf-8")
    monkeypatch.setenv("TEST_POSTGRES", postgres_database)
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


def test_follows_waits_and_recovers(tmp_path: Path, in_postgres: dg.DagsterInstance) -> None:
    scene = Scene.create(
        tmp_path,
        in_postgres,
        follows="datasets: [orders, events]\nschedule: {after: refresh}",
        ticks='datasets: [orders]\nschedule: {cron: "* * * * *"}',
    )
    scene.declare("environment.yaml", "name: acme\nledger: {env: TEST_POSTGRES}\n")
    scene.refresh()
    (lost,) = scene.evaluate()  # and the daemon dies
    (again,) = scene.evaluate()
    assert again.run_key == lost.run_key
    scene.launch(again)
    tick = datetime.now(UTC)
    with scene.refreshing(3) as run_id:
        said = scene.schedule("ticks", tick)
        assert isinstance(said, str)
        assert run_id in said
        assert scene.tick() == []
        assert [one[1:] for one in scene.history("ticks")] == [("waiting", "waiting_for_refresh")]
    assert {key.partition("/")[0] for key in scene.tick()} == {"follows", "ticks"}
    assert scene.tick() == []
    assert [rows for _, _, rows in scene.delivered("ticks")] == [3]
    assert sorted(rows for _, _, rows in scene.delivered("follows")) == [1, 1, 2]
    assert scene.partitions("ticks") == [f"{tick:%Y%m%d%H%M}"]
    scene.refresh(fails=True)
    scene.write("events", 2)
    assert scene.tick() == []
    assert [one[1:] for one in scene.history("follows")] == [("skipped", "upstream_failed")]
