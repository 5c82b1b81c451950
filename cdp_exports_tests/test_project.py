"""The project's own files do what they say: pins, verbs, Dagster's settings, the wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import dagster as dg
import pytest
import yaml

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS = sysconfig.get_path("scripts")


def run(*command: str, cwd: Path, **environ: str) -> str:
    """What one of the environment's tools prints, run with no Dagster home unless given."""
    env = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    env |= {"PATH": f"{TOOLS}:{env['PATH']}", **environ}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_dependency_is_pinned_with_hashes_and_without_addresses() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==.* \\\n +--hash=sha256:", constraints, re.MULTILINE)
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    wanted = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra] + groups["dev"]
    names = [re.split(r"[\[<>=;, ]", one)[0] for one in wanted]
    assert [name for name in names if name not in pinned] == []
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", constraints, re.MULTILINE))
    assert "://" not in constraints


def test_the_docs_name_only_verbs_that_exist() -> None:
    verbs = set(run("just", "--summary", cwd=ROOT).split())
    named = {
        (file.name, verb)
        for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        for verb in re.findall(r"(?:`|^|&& )just ([a-z-]+)", file.read_text(), re.MULTILINE)
    }
    assert {file for file, _ in named} >= {"development.md"}
    assert [(file, verb) for file, verb in named if verb not in verbs] == []


def test_every_tool_of_dagster_shares_this_folders_home(tmp_path: Path) -> None:
    for name in ("justfile", "constraints.txt", "pyproject.toml", "dagster.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".env").write_text("DAGSTER_HOME=${DAGSTER_HOME:-/moved/away}\nLAKE_KEY_ID=mine\n")
    run("just", "share_home", cwd=tmp_path)
    run("just", "share_home", cwd=tmp_path)
    assert (tmp_path / ".env").read_text() == f"LAKE_KEY_ID=mine\nDAGSTER_HOME=${{DAGSTER_HOME:-{tmp_path}}}\n"

    assert f"$DAGSTER_HOME: {tmp_path}\n" in run("dagster", "instance", "info", cwd=tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    assert f"$DAGSTER_HOME: {other}\n" in run("dagster", "instance", "info", cwd=tmp_path, DAGSTER_HOME=str(other))


def test_workspace_and_dg_load_the_same_code_location() -> None:
    [loaded] = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    project = PYPROJECT["tool"]["dg"]["project"]
    assert loaded["python_module"] == {
        "module_name": project["code_location_target_module"],
        "location_name": project["code_location_name"],
    }


def test_dagster_takes_its_settings(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert isinstance(instance.run_coordinator, dg.QueuedRunCoordinator)
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        queue = instance.get_concurrency_config().run_queue_config
        assert queue
        assert queue.max_concurrent_runs == 4


@dg.asset
def greeting() -> None: ...


def test_the_documented_postgres_variant_works(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (ROOT / "dagster.yaml").read_text()
    variant = re.search(r"(?m)^# storage:\n(?:# {2,}.*\n)+", settings)
    assert variant
    (tmp_path / "dagster.yaml").write_text(settings + re.sub(r"(?m)^# ", "", variant[0]))
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", postgres_database)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert "Postgres" in type(instance.run_storage).__name__
        done = dg.materialize([greeting], instance=instance)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run_of_it = instance.get_run_by_id(done.run_id)
        assert run_of_it
        assert run_of_it.status is dg.DagsterRunStatus.SUCCESS
        assert instance.get_latest_materialization_event(greeting.key)


def test_the_wheel_holds_the_whole_package_and_nothing_else(tmp_path: Path) -> None:
    run("uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--python", TOOLS + "/python", "--out-dir", str(tmp_path), cwd=ROOT)
    [wheel] = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and not name.endswith("/")}
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "cdp_exports").rglob("*") if file.is_file() and file.suffix != ".pyc"}
    assert packed == files
