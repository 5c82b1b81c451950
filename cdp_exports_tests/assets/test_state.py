"""Where is kept what receivers hold, and where it may not be."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance

from cdp_exports.assets.resources import check_secrets
from cdp_exports.assets.state import check_state, open_state
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.load import load
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.assets.people import declare
from cdp_exports_tests.assets.test_ledger import LAUNCHED_ELSEWHERE

STATE_IN_S3 = "state: {type: s3, bucket: acme, access_key_id: {env: STATE_KEY}, secret_access_key: {env: STATE_SECRET}}\n"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    declare(tmp_path)
    return load(tmp_path / "catalog")


def with_state(root: Path, state: str, *, mode: str = "incremental") -> Catalog:
    declare(root)
    (root / "catalog" / "environment.yaml").write_text(f"name: acme\n{state}", encoding="utf-8")
    with (root / "catalog" / "exports" / "vip_to_crm.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nmode: {mode}\n")
    return load(root / "catalog")


def test_by_default_it_lies_in_dagsters_home(catalog: Catalog, stored_instance: DagsterInstance, home: Path) -> None:
    assert open_state(catalog, stored_instance).create("a/b", b"x")
    assert (home / "state" / "a" / "b").read_bytes() == b"x"


def test_a_folder_of_its_own_counts_from_the_catalogs_parent(tmp_path: Path, stored_instance: DagsterInstance) -> None:
    catalog = with_state(tmp_path, "state: {type: local, folder: kept}\n")
    assert open_state(catalog, stored_instance).create("a", b"x")
    assert (tmp_path / "kept" / "a").is_file()


def test_the_default_is_refused_where_runs_are_launched_elsewhere(catalog: Catalog, tmp_path: Path, home: Path) -> None:
    (home / "dagster.yaml").write_text(LAUNCHED_ELSEWHERE, encoding="utf-8")
    with pytest.raises(DeclarationError, match="SyncInMemoryRunLauncher runs deliveries elsewhere"):
        check_state(catalog, {"DAGSTER_HOME": str(home)})
    with DagsterInstance.from_config(str(home)) as instance, pytest.raises(DeclarationError, match="one of this machine"):
        open_state(catalog, instance)
    check_state(with_state(tmp_path / "named", "state: {type: local, folder: /mnt/kept}\n"), {"DAGSTER_HOME": str(home)})
    check_state(with_state(tmp_path / "full", "", mode="full"), {"DAGSTER_HOME": str(home)})


def test_its_secrets_are_asked_for_where_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="STATE_KEY is not set"):
        check_secrets(with_state(tmp_path / "needed", STATE_IN_S3), {})
    check_secrets(with_state(tmp_path / "full", STATE_IN_S3, mode="full"), {})
