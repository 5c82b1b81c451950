"""A Dagster instance of the test's own, and a protocol that ends as the test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from cdp_exports.assets import delivering
from cdp_exports_tests.assets.scripted import Scripted


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """In memory; the ledger lies below the test's folder."""
    with DagsterInstance.ephemeral(tempdir=str(tmp_path), settings={"telemetry": {"enabled": False}}) as made:
        yield made


@pytest.fixture
def stored_instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """With storage on disk, as in a home."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with DagsterInstance.from_config(str(home)) as made:
        yield made


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Takes the protocol's place."""
    script = Scripted()
    monkeypatch.setattr(delivering, "deliver", script)
    return script
