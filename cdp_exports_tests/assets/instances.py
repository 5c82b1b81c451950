"""Dagster instances of a test's own; the repository's home is never touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """In memory; the ledger lies below the test's folder."""
    with DagsterInstance.ephemeral(tempdir=str(tmp_path), settings={"telemetry": {"enabled": False}}) as made:
        yield made


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose storage is set up, to be copied: setting it up takes Dagster seconds."""
    home = tmp_path_factory.mktemp("empty_home")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    with DagsterInstance.from_config(str(home)) as made:
        made.get_runs()
    return home


@pytest.fixture
def home(tmp_path: Path, empty_home: Path) -> Path:
    """A Dagster home with storage on disk."""
    return Path(shutil.copytree(empty_home, tmp_path / "dagster_home"))


@pytest.fixture
def stored_instance(home: Path) -> Iterator[DagsterInstance]:
    """The instance of `home`."""
    with DagsterInstance.from_config(str(home)) as made:
        yield made
