"""The layer contract: a name imports only what stands before it, and a run's process loads only what it needs.

Style rules that ruff knows (relative imports, heavy libraries at module level) stand in pyproject.toml.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

import cdp_exports

PACKAGE = Path(cdp_exports.__file__).parent

ORDER = (
    {"errors"},
    {"entities"},
    {"encryption", "segments"},
    {"catalog"},
    {"access", "evaluation", "formats", "increments", "ledger", "sources"},
    {"destinations"},
    {"delivery"},
    {"testing"},
    {"assets"},
    {"automation", "monitoring"},
    {"definitions"},
    {"components"},
    {"cli"},
)
RANK = {layer: rank for rank, layers in enumerate(ORDER) for layer in layers}

ALSO = {("increments", "cdp_exports.ledger.records"), ("evaluation", "cdp_exports.ledger.records")}
"""Names that a layer may import although they stand beside it."""

NEVER = {("destinations", layer) for layer in ("access", "increments", "ledger", "sources")}
"""Layers that stay unseen although they stand before."""

WITH_DAGSTER = {"assets", "automation", "monitoring", "definitions", "components", "cli"}

PRIVATE_DAGSTER = {"automation/switches.py"}
"""Files that may use private Dagster API; each has a test of its own that fails when Dagster changes it."""

TWO_FAMILIES = {"assets", "automation", "monitoring"}
VAGUE = {"base", "common", "helper", "helpers", "manager", "managers", "util", "utils"}
LONGEST = 400


@dataclass(frozen=True)
class Import:
    name: str  # in full: `from a import b` is a.b
    line: int


def imports(tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def violations(package: Path) -> list[str]:
    """What breaks the contract below a `cdp_exports` folder, as `path:line: what is wrong`."""
    found: list[str] = []
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        parts = [part for part in path.with_suffix("").parts if part != "__init__"]
        text = file.read_text()
        length = text.count("\n")
        if length > LONGEST:
            found.append(f"{path}:{LONGEST}: has {length} lines, at most {LONGEST}: it holds more than one idea")
        if vague := VAGUE & {word for part in parts for word in part.split("_")}:
            found.append(f"{path}:1: is named {min(vague)!r}: name it by what it does")
        if parts and parts[0] not in RANK:
            found.append(f"{path}:1: {parts[0]!r} is no layer; the layers are {', '.join(RANK)}")
            continue
        found += [f"{path}:{one.line}: {wrong}" for one in imports(ast.parse(text)) if (wrong := _wrong(path, parts, one.name))]
    return found


def _wrong(path: Path, parts: list[str], name: str) -> str | None:
    layer = parts[0] if parts else None  # None: the package's own front door, which may import all
    root, *rest = name.split(".")
    if root == "cdp_exports" and layer and rest:
        return _wrong_layer(layer, parts, name, rest)
    if root.startswith("dagster"):
        if layer not in WITH_DAGSTER | {None}:
            return f"{layer} may not import {name}: it works without Dagster"
        if (root == "dagster_shared" or any(part.startswith("_") for part in rest)) and path.as_posix() not in PRIVATE_DAGSTER:
            return f"may not import {name}: private Dagster API stays in the files of PRIVATE_DAGSTER"
    return None


def _wrong_layer(layer: str, parts: list[str], name: str, rest: list[str]) -> str | None:
    target = rest[0]
    if target not in RANK:
        return f"may not import {name}: import it from where it is defined"
    if target == layer:
        families = {family for names in (parts, rest) for part in names for family in ("profile", "dataset") if part.startswith(family)}
        if layer in TWO_FAMILIES and len(families) > 1:
            return f"may not import {name}: profile exports and dataset exports are never mixed"
        return None
    if any(layer == who and f"{name}.".startswith(f"{what}.") for who, what in ALSO):
        return None
    if RANK[target] >= RANK[layer] or (layer, target) in NEVER:
        return f"{layer} may not import {name}: {target} does not stand before it"
    return None


def test_the_package_keeps_its_layers() -> None:
    assert violations(PACKAGE) == []


def test_files_with_private_dagster_api_exist() -> None:
    assert [file for file in PRIVATE_DAGSTER if not (PACKAGE / file).exists()] == []


@pytest.mark.parametrize(
    ("path", "code", "wrong"),
    [
        ("entities/a.py", "from cdp_exports.catalog.catalog import Catalog", "entities may not import cdp_exports.catalog.catalog.Catalog"),
        ("sources/a.py", "def f():\n    from cdp_exports import formats", "sources may not import cdp_exports.formats"),
        ("increments/a.py", "from cdp_exports.ledger.ledger import Ledger", "increments may not import cdp_exports.ledger.ledger.Ledger"),
        ("destinations/a.py", "import cdp_exports.ledger.records", "destinations may not import cdp_exports.ledger.records"),
        ("delivery/a.py", "if TYPE_CHECKING:\n    import dagster as dg", "delivery may not import dagster: it works without Dagster"),
        ("delivery/a.py", "import dagster_aws.s3", "delivery may not import dagster_aws.s3"),
        ("monitoring/a.py", "import cdp_exports.automation.schedules", "monitoring may not import cdp_exports.automation.schedules"),
        ("definitions.py", "from cdp_exports.cli.run import run", "definitions may not import cdp_exports.cli.run.run"),
        ("cli/a.py", "from cdp_exports import build_definitions", "import it from where it is defined"),
        ("assets/dataset_exports.py", "import cdp_exports.assets.profile_exports", "are never mixed"),
        ("monitoring/profiles.py", "from cdp_exports.monitoring import datasets", "are never mixed"),
        ("assets/a.py", "from dagster._core.instance import DagsterInstance", "private Dagster API"),
        ("assets/a.py", "from dagster import _check", "private Dagster API"),
        ("catalog/utils.py", "", "is named 'utils'"),
        ("delivery/file_helpers/a.py", "", "is named 'helpers'"),
        ("plugins/a.py", "", "'plugins' is no layer"),
        ("errors.py", "\n" * 401, "has 401 lines"),
    ],
)
def test_what_breaks_the_contract_is_found(tmp_path: Path, path: str, code: str, wrong: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    [found] = violations(tmp_path)
    assert found.startswith(f"{path}:")
    assert wrong in found


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("__init__.py", "from cdp_exports.definitions import build_definitions"),
        ("increments/a.py", "from cdp_exports.ledger.records import Delivery"),
        ("destinations/a.py", "from cdp_exports.formats.writing import Writer"),
        ("assets/dataset_exports.py", "import dagster as dg\nimport cdp_exports.assets.keys"),
        ("cli/a.py", "from cdp_exports.cli.table import Table\nfrom cdp_exports.errors import Skip"),
        ("errors.py", "\n" * 400),
    ],
)
def test_what_keeps_the_contract_is_not(tmp_path: Path, path: str, code: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
    assert violations(tmp_path) == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Whatever way round: also through a library that imports another."""
    ruff = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["ruff"]
    heavy = set(ruff["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])
    code = """
        import importlib, pkgutil, sys
        import cdp_exports
        for module in pkgutil.walk_packages(cdp_exports.__path__, "cdp_exports."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)
        print(*sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "cdp_exports.errors" in loaded
    assert loaded & heavy == set()
