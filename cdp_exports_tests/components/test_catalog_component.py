"""A catalog inside somebody else's Dagster project, by the commands its people use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

TYPE = "cdp_exports.components.CdpExportsComponent"
PROJECT = """
[project]
name = "shop"
version = "0.1"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "shop"
"""
DEFINITIONS = """
from pathlib import Path
from dagster import definitions, load_from_defs_folder

@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


@dataclass(frozen=True)
class Project:
    """A throw-away project with a home of its own."""

    root: Path

    def dg(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "CDP_EXPORTS", "PYTHONDONT"))},
            "DAGSTER_HOME": str(self.root / "home"),
            "PYTHONPATH": str(self.root),
            "COLUMNS": "200",
        }
        command = [str(Path(sys.executable).with_name("dg")), *arguments]
        return subprocess.run(command, cwd=self.root, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("project")
    (root / "shop" / "defs").mkdir(parents=True)
    (root / "home").mkdir()
    (root / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    (root / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (root / "shop" / "__init__.py").touch()
    (root / "shop" / "defs" / "__init__.py").touch()
    (root / "shop" / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    return Project(root)


def test_it_is_listed_scaffolded_and_checked(project: Project) -> None:
    listed = project.dg("list", "components", "--json")
    assert TYPE in [found["key"] for found in json.loads(listed.stdout)["items"]]

    scaffolded = project.dg("scaffold", "defs", TYPE, "exports")
    assert scaffolded.returncode == 0, scaffolded.stdout + scaffolded.stderr
    folder = project.root / "shop" / "defs" / "exports"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.yaml")} == {
        "defs.yaml",
        "catalog/environment.yaml",
        "catalog/connections/outbox.yaml",
        "catalog/datasets/orders.yaml",
        "catalog/exports/orders_to_outbox.yaml",
    }

    defined = project.dg("list", "defs", "--json")
    assert defined.returncode == 0, defined.stdout + defined.stderr
    keys = {asset["asset_key"] for asset in json.loads(defined.stdout)["assets"]}
    assert keys == {"connections/outbox", "datasets/orders", "dataset_exports/orders_to_outbox/orders"}

    (folder / "defs.yaml").write_text(f"type: {TYPE}\nattributes:\n  catalogue: catalog\n", encoding="utf-8")
    refused = project.dg("check", "yaml")
    assert refused.returncode == 1
    assert "defs.yaml:3" in refused.stdout
    assert "catalogue" in refused.stdout

    (folder / "defs.yaml").write_text(f"type: {TYPE}\nattributes:\n  catalog: catalog\n", encoding="utf-8")
    export = folder / "catalog" / "exports" / "orders_to_outbox.yaml"
    export.write_text("kind: dataset\nconnection: outbx\ndatasets: [ordrs]\n", encoding="utf-8")
    wrong = project.dg("check", "defs")
    assert wrong.returncode == 1
    assert "catalog/exports/orders_to_outbox.yaml:2: There is no connection 'outbx'" in wrong.stdout + wrong.stderr
    assert "catalog/exports/orders_to_outbox.yaml:3: There is no dataset 'ordrs'" in wrong.stdout + wrong.stderr
