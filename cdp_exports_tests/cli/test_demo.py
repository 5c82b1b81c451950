"""`demo`: from nothing to verified increments, and on from there."""

from __future__ import annotations

import filecmp
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cdp_exports.cli.demo import FILES
from cdp_exports_tests.cli.conftest import Project

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A folder that is no project."""
    for name in ("DAGSTER_HOME", "CDP_EXPORTS_CATALOG", "COLUMNS"):
        monkeypatch.setenv(name, "")
        del os.environ[name]
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def test_it_goes_the_whole_way_and_then_on(elsewhere: Project) -> None:
    first = elsewhere.call("demo", "here")
    assert first.exit_code == 0, first.output
    exports = elsewhere.root / "here" / "exports"
    assert len(list(exports.glob("**/_manifest"))) == 10
    for word in ("delta-cdf", "delta-files", "_manifest", "40 000 rows", "900 rows", "395 rows", "intact", "dagster dev"):
        assert word in first.stdout
    for word in ("touched", "compared", "no_consent", "missing:EMAIL", "duplicate", "without_contact"):
        assert word in first.stdout
    assert "@example.com" not in first.output
    for deliveries in _by_segment(elsewhere).values():
        increment, full = deliveries
        assert (full["way"], full["movement"]["entered"]) == (None, full["funnel"]["deliverable"])
        assert all(increment["movement"][moved] for moved in ("entered", "updated", "exited"))
    second = elsewhere.call("demo", "here")
    assert second.exit_code == 0, second.output
    assert "here already" in second.stdout
    assert len(list(exports.glob("**/_manifest"))) == 15
    listed = elsewhere.json("list", "--catalog", "here/catalog")["exports"]
    assert [last["state"] for export in listed for last in export["last"]] == ["committed"] * 5
    assert elsewhere.json("verify", "customers_to_crm", "--catalog", "here/catalog")["intact"]


def _by_segment(elsewhere: Project) -> dict[str, list[dict[str, Any]]]:
    entries = elsewhere.json("history", "--catalog", "here/catalog")["entries"]
    segments = {entry["member"] for entry in entries if entry["kind"] == "segment"}
    assert segments == {"active_high_value", "repeat_buyers", "growing_accounts"}
    return {segment: [entry for entry in entries if entry["member"] == segment] for segment in segments}


def test_it_never_touches_a_table_of_somebody_else(elsewhere: Project) -> None:
    (elsewhere.root / "here").mkdir()
    Project(elsewhere.root / "here").write("orders", range(3))
    ended = elsewhere.call("demo", "here")
    assert ended.exit_code == 2
    assert "was not written by the demo" in ended.stderr


def test_a_folder_that_cannot_be_written(elsewhere: Project) -> None:
    (elsewhere.root / "file").touch()
    ended = elsewhere.call("demo", "file")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "cannot write to" in ended.stderr


def test_the_demo_catalog_is_the_repositorys_own() -> None:
    assert _differences(filecmp.dircmp(FILES / "catalog", REPOSITORY / "catalog", ignore=[".schema"])) == []


def _differences(compared: filecmp.dircmp[str]) -> list[str]:
    found = [*compared.left_only, *compared.right_only, *compared.diff_files, *compared.funny_files]
    return found + [name for below in compared.subdirs.values() for name in _differences(below)]


def test_the_readme_shows_the_demo(elsewhere: Project) -> None:
    """Declarations in parts. Its numbers are the same each time; what files take on disk may change with a library."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", readme, re.DOTALL)
    assert blocks
    for name, block in blocks:
        declared = yaml.safe_load((REPOSITORY / name).read_text(encoding="utf-8"))
        for key, value in yaml.safe_load(block).items():
            assert declared[key] == value or (key == "segments" and set(value) < set(declared[key]))
    assert elsewhere.call("demo", "here").exit_code == 0
    increment, full = _by_segment(elsewhere)["active_high_value"]
    funnel, moved, left_out = increment["funnel"], increment["movement"], increment["funnel"]["left_out"]
    assert f"{full['funnel']['deliverable']} rows" in readme
    assert f"{moved['entered']} entered, {moved['updated']} updated, {moved['exited']} exited" in readme
    assert (
        f"{funnel['members']} members: {left_out['no_consent']} without consent, {left_out['missing:EMAIL']} without an address, "
        f"{left_out['duplicate']} duplicates; {moved['held']} delivered = {full['funnel']['deliverable']} before + {moved['entered']} "
        f"entered - {moved['exited']} exited"
    ) in readme
