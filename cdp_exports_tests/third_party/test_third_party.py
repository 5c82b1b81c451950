"""A destination from another package: installed as any, it is one of the types, passes the suites and receives deliveries."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

PACKAGE = Path(__file__).parent / "package"
PAGE = Path(__file__).parents[2] / "docs" / "extending.md"

FILES = {
    "environment.yaml": "name: acme\n",
    "connections/archive.yaml": "type: acme_archive\ndatabase: archive.db\n",
    "connections/register.yaml": "type: acme_register\ndatabase: register.db\n",
    "datasets/profiles.yaml": (
        "role: profile\nsource: {format: delta, uri: profiles}\nkey: [id]\ncolumns: {id: bigint, email: varchar, name: varchar}\n"
    ),
    "segments/everybody.yaml": "of: profiles\nwhere: name <> 'Nobody'\n",
    "exports/profiles_to_archive.yaml": "kind: dataset\nconnection: archive\ndatasets: [profiles]\n",
    "exports/everybody_to_register.yaml": (
        "kind: segment\nconnection: register\nsegments: [everybody]\nfields:\n- {from: email, required: true}\n- {from: name}\n"
        "fail_above: 0.5\n"  # one address is none
    ),
}


@dataclass(frozen=True)
class Site:
    """A folder with installed packages, beside those of the environment."""

    folder: Path

    def run(self, *command: str, here: Path) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": str(self.folder), "DAGSTER_DISABLE_TELEMETRY": "1"}
        environ.pop("DAGSTER_HOME", None)
        return subprocess.run(command, cwd=here, env=environ, capture_output=True, text=True, check=False)

    def call(self, *arguments: str, here: Path) -> subprocess.CompletedProcess[str]:
        return self.run(str(Path(sys.executable).with_name("cdp-exports")), *arguments, here=here)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """With the package, built and installed."""
    folder = tmp_path_factory.mktemp("site")
    install = ["pip", "install", "--offline", "--no-deps", "--no-build-isolation", "--python", sys.executable, "--target", str(folder)]
    subprocess.run([str(Path(sys.executable).with_name("uv")), *install, str(PACKAGE)], check=True, capture_output=True)
    assert list(folder.glob("acme_destinations-*.dist-info/entry_points.txt"))
    return Site(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        file = tmp_path / "catalog" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    people = {"id": [1, 2, 3], "email": [" Ann@example.com", "bob@example.com", "nowhere"], "name": ["Ann", "Bob", "Cy"]}
    write_deltalake(tmp_path / "profiles", pl.DataFrame(people).to_arrow())
    return tmp_path


def _offers(folder: Path, package: str, value: str, word: str = "acme_broken") -> None:
    """A package that is installed there and offers a type."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cdp_exports.destinations]\n{word} = {value}\n")


def test_it_passes_the_suites(site: Site, tmp_path: Path) -> None:
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(PACKAGE / "tests")]
    ended = site.run(sys.executable, *tests, here=tmp_path)
    assert ended.returncode == 0, ended.stdout
    [passed] = re.findall(r"(\d+) passed", ended.stdout)
    assert int(passed) > 60


def test_its_types_are_types(site: Site, tmp_path: Path) -> None:
    shown = json.loads(site.call("destinations", "--json", here=tmp_path).stdout)
    found = {one["type"]: one for one in shown["types"]}
    assert found["acme_archive"]["package"] == found["acme_register"]["package"] == "acme-destinations"
    assert found["acme_register"]["family"] == "audiences"
    assert shown["not_usable"] == []
    schema = json.loads(site.call("schema", here=tmp_path).stdout)["connection"]
    assert {"acme_archive", "acme_register"} < set(schema["discriminator"]["mapping"])


def test_files_and_members_are_delivered_to_it(site: Site, project: Path) -> None:
    checked = site.call("check", here=project)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for export in ("profiles_to_archive", "everybody_to_register"):
        ended = site.call("run", export, "--json", here=project)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    verified = site.call("verify", "profiles_to_archive", here=project)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    with closing(sqlite3.connect(project / "archive.db")) as database:
        names = [path.rpartition("/")[2] for (path,) in database.execute("SELECT path FROM files")]
    assert {"_manifest", "_owner"} < set(names)
    assert len(names) == 3
    with closing(sqlite3.connect(project / "register.db")) as database:
        assert set(database.execute("SELECT audience, email, name FROM members")) == {
            ("everybody", "ann@example.com", "Ann"),
            ("everybody", "bob@example.com", "Bob"),
        }


def test_a_package_that_is_gone(site: Site, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was delivered through it is told in one sentence; the rest of the catalog works on."""
    assert site.call("run", "profiles_to_archive", here=project).returncode == 0
    without = Site(tmp_path_factory.mktemp("without"))
    refused = without.call("list", here=project)
    assert refused.returncode == 2
    assert "`type`: 'acme_archive' is not one of 'local', 's3'" in refused.stderr
    for name in ("connections/archive.yaml", "connections/register.yaml"):
        (project / "catalog" / name).write_text("type: local\nfolder: " + name.partition("/")[2].removesuffix(".yaml") + "\n")
    (project / "catalog" / "exports" / "everybody_to_register.yaml").unlink()
    verified = without.call("verify", "profiles_to_archive", here=project)
    assert verified.returncode == 2, verified.stdout + verified.stderr
    assert "No type of destination 'acme_archive' is installed" in verified.stderr
    assert without.call("list", here=project).returncode == 0


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (
            "nowhere.at.all:TYPE",
            "cannot be loaded (ModuleNotFoundError: No module named 'nowhere'); install its next version, or uninstall it",
        ),
        ("acme_destinations:Path", "but `acme_destinations:Path` is no DestinationType; tell its authors"),
        ("acme_destinations:ARCHIVE", 'but the `type` of its connection is not `Literal["acme_broken"]`; tell its authors'),
    ],
)
def test_one_that_is_broken_stops_only_those_who_use_it(
    site: Site, project: Path, tmp_path_factory: pytest.TempPathFactory, value: str, why: str
) -> None:
    beside = tmp_path_factory.mktemp("beside")
    _offers(beside, "acme-broken", value)
    both = Site(Path(f"{site.folder}{os.pathsep}{beside}"))
    listed = both.call("list", here=project)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    said = both.call("destinations", here=project).stdout
    assert "acme_broken: not usable: the package acme-broken offers the type `acme_broken`" in said
    assert why in said
    (project / "catalog" / "connections" / "lake.yaml").write_text("type: acme_broken\nanything: goes\n")
    refused = both.call("list", here=project)
    assert refused.returncode == 2
    assert "catalog/connections/lake.yaml:1: `type`: the package acme-broken offers the type `acme_broken`" in refused.stderr
    assert why in refused.stderr
    assert "Traceback" not in refused.stderr


def test_two_that_offer_the_same_type(site: Site, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beside = tmp_path_factory.mktemp("beside")
    _offers(beside, "acme-copy", "acme_destinations:ARCHIVE", "acme_archive")
    refused = Site(Path(f"{site.folder}{os.pathsep}{beside}")).call("list", here=project)
    assert refused.returncode == 2
    assert "both offer the type `acme_archive`; uninstall one of them" in refused.stderr


def test_ours_are_not_replaced(site: Site, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beside = tmp_path_factory.mktemp("beside")
    _offers(beside, "acme-copy", "acme_destinations:ARCHIVE", "local")
    both = Site(Path(f"{site.folder}{os.pathsep}{beside}"))
    shown = json.loads(both.call("destinations", "--json", here=project).stdout)
    assert [one["package"] for one in shown["types"] if one["type"] == "local"] == [None]
    assert "which cdp-exports has itself" in shown["not_usable"][0]["why"]


def _shown() -> Mapping[str, str]:
    """The files that the page shows, by their name in the first line."""
    blocks = re.findall(r"```\w+\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {name: content for name, content in blocks if (PACKAGE / name).exists()}


def test_the_page_shows_the_package() -> None:
    shown = _shown()
    files = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*") if file.suffix in (".py", ".toml") and file.stat().st_size}
    assert set(shown) == files
    assert [name for name, content in shown.items() if content != (PACKAGE / name).read_text(encoding="utf-8")] == []
