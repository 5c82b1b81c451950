"""The page on declarative automation, block by block: its code is run, and exports take part as it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cdp_exports_tests.automation.refreshed import Scene

pytestmark = pytest.mark.filterwarnings("ignore:.*include_sources:dagster.BetaWarning")  # Dagster warns of itself

PAGE = (Path(__file__).parents[2] / "docs" / "declarative-automation.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
YAML = {block.split("\n")[0][len("# catalog/") :]: block for block in reversed(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))}
RELEASED = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "orders_released" in block)

EXPORT = "orders_to_lake"
DELIVERED = dg.AssetKey(["dataset_exports", EXPORT, "orders"])


class Project:
    """A user's project, and what its automation sensor asks for."""

    def __init__(self, scene: Scene, code: str) -> None:
        self.scene, self.cursor = scene, None
        names: dict[str, Any] = {}
        exec(compile(code, "declarative-automation.md", "exec", dont_inherit=True), names)
        self.names = names
        assets = [
            made for made in names.values() if isinstance(made, dg.AssetsDefinition) and not isinstance(made, dg.AssetChecksDefinition)
        ]
        checks = [made for made in names.values() if isinstance(made, dg.AssetChecksDefinition)]
        self.definitions = dg.Definitions(assets=assets, asset_checks=checks)

    def ask(self, at: datetime) -> set[tuple[str, str | None]]:
        """One tick of the automation sensor; assets and partitions that it asks for."""
        result = dg.evaluate_automation_conditions(self.definitions, self.scene.instance, cursor=self.cursor, evaluation_time=at)
        self.cursor = result.cursor
        found: set[tuple[str, str | None]] = set()
        for key in self.definitions.resolve_asset_graph().get_all_asset_keys():
            found |= {(key.path[-1], partition) for partition in result.get_requested_partitions(key)}
        return found

    def make(self, *asked: tuple[str, str | None]) -> None:
        """The runs."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        for name, partition in asked:
            key = dg.AssetKey(["warehouse", name])
            assert job.execute_in_process(instance=self.scene.instance, partition_key=partition, asset_selection=[key]).success


@pytest.fixture
def scene(tmp_path: Path, stored_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("ORDERS", str(tmp_path / "data" / "orders"))
    made = Scene(tmp_path, stored_instance)
    made.declare("environment.yaml", "name: acme\n")
    made.declare("connections/lake.yaml", "type: local\nfolder: outbox\n")
    for name, text in YAML.items():
        made.declare(name, dedent(text))
    return made


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, 5, tzinfo=UTC)


def delivered(scene: Scene) -> list[list[str]]:
    """The ids of each delivery, oldest first."""
    folders = sorted(path.parent for path in (scene.root / "outbox").rglob("_manifest"))
    return [sorted(pl.concat([pl.read_parquet(file) for file in folder.glob("*.parquet")])["id"]) for folder in folders]


def test_a_partitioned_asset_is_followed(scene: Scene) -> None:
    project = Project(scene, CODE[0])
    assert project.ask(at(4, 0)) == set()
    asked = project.ask(at(4, 1))
    assert asked == {("orders", "2026-11-03")}
    project.make(*asked)
    assert len(scene.tick()) == 1
    assert delivered(scene) == [["2026-11-03-1"]]
    assert scene.tick() == []

    assert project.ask(at(5, 0)) == set()
    project.make(*project.ask(at(5, 1)), ("orders", "2026-11-02"))
    assert len(scene.tick()) == 1, "two partitions, one delivery"
    assert delivered(scene)[-1] == ["2026-11-02-1", "2026-11-04-1"]
    assert scene.tick() == []


def test_a_rule_of_ones_own(scene: Scene) -> None:
    scene.declare("datasets/orders.yaml", RELEASED)
    project = Project(scene, "\n".join(CODE[:2]))
    project.ask(at(4, 0))
    project.make(*project.ask(at(4, 1)))
    assert scene.tick() == [], "not released yet"
    asked = project.ask(at(4, 2))
    assert asked == {("orders_released", None)}
    project.make(*asked)
    assert len(scene.tick()) == 1
    assert delivered(scene) == [["2026-11-03-1"]]


def test_what_comes_after_an_export(scene: Scene) -> None:
    project = Project(scene, "\n".join([CODE[0], CODE[2]]))
    project.ask(at(4, 0))
    project.make(("orders", "2026-11-03"))
    assert ("partner_was_told", None) not in project.ask(at(4, 2))
    scene.tick()
    assert scene.instance.get_materialized_partitions(DELIVERED)
    assert ("partner_was_told", None) in project.ask(at(4, 3))
    assert ("partner_was_told", None) not in project.ask(at(4, 4)), "once"
