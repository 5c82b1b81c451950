"""A project of its own for each test: catalog, Delta tables, Dagster home. The repository's are never touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from deltalake import DeltaTable, write_deltalake

from cdp_exports.cli.program import program
from cdp_exports_tests.assets.instances import empty_home

__all__ = ["empty_home"]

FILES = {
    "environment.yaml": "name: acme\n",
    "connections/outbox.yaml": "type: local\nfolder: outbox\n",
    "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [order_id]\n",
    "datasets/customers.yaml": "role: profile\nsource: {format: delta, uri: data/customers}\nkey: [customer_id]\n",
    "exports/both.yaml": (
        "kind: dataset\nconnection: outbox\ndatasets: [orders, customers]\nchanges: all\n"
        "schedule: {every: 3h}\nactive: false\ndescription: Orders and customers.\n"
    ),
    "exports/weekly.yaml": (
        'kind: dataset\nconnection: outbox\ndatasets: [orders]\npath: weekly/{dataset_id}/{export_time}\nschedule: {cron: "0 3 * * 1"}\n'
    ),
}


@dataclass
class Project:
    """A folder with everything, and the command line called in it."""

    root: Path

    def call(self, *arguments: str) -> Result:
        """As typed. A traceback is a failure of the test."""
        ended = CliRunner(catch_exceptions=False).invoke(program, [*arguments], prog_name="cdp-exports")
        assert "Traceback" not in ended.output
        return ended

    def json(self, *arguments: str, status: int = 0) -> Any:
        """The document on stdout, which holds nothing else."""
        ended = self.call(*arguments, "--json")
        assert ended.exit_code == status, ended.output
        return json.loads(ended.stdout)

    def declare(self, file: str, text: str) -> None:
        path = self.root / "catalog" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write(self, table: str, ids: Sequence[int]) -> None:
        """Append rows."""
        key = {"orders": "order_id", "customers": "customer_id"}[table]
        write_deltalake(str(self.root / "data" / table), pl.DataFrame({key: list(ids), "name": [f"n{i}" for i in ids]}), mode="append")

    def delete(self, table: str, where: str) -> None:
        DeltaTable(str(self.root / "data" / table)).delete(where)

    def files(self, pattern: str) -> list[Path]:
        return sorted((self.root / "outbox").glob(pattern))


@pytest.fixture
def project(tmp_path: Path, empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A catalog of two exports and two tables of five rows; nothing was delivered."""
    root = Path(shutil.copytree(empty_home, tmp_path / "project"))
    (root / "pyproject.toml").touch()
    for name in ("DAGSTER_HOME", "CDP_EXPORTS_CATALOG", "CDP_EXPORTS_DEBUG", "COLUMNS"):
        monkeypatch.setenv(name, "")  # remembered, so that what a command sets does not outlive the test
        del os.environ[name]
    monkeypatch.chdir(root)
    made = Project(root)
    for file, text in FILES.items():
        made.declare(file, text)
    for table in ("orders", "customers"):
        made.write(table, range(1, 6))
    return made
