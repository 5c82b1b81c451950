"""A catalog as Dagster definitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import dagster as dg
import pytest

import cdp_exports
from cdp_exports.assets.exports import assets_of
from cdp_exports.definitions import build_definitions
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.entities.receiver import Suppression
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.assets.declared import catalog_at

ORDERS = dg.AssetKey(["dataset_exports", "both", "orders"])


def node(definitions: dg.Definitions, key: dg.AssetKey) -> dg.AssetSpec:
    return definitions.resolve_asset_graph().get(key).to_asset_spec()


def test_an_export_is_one_step_with_an_asset_for_each_member(tmp_path: Path) -> None:
    assets = assets_of(catalog_at(tmp_path), "both")
    assert assets.keys == {ORDERS, dg.AssetKey(["dataset_exports", "both", "events"])}
    assert assets.can_subset
    assert assets.op.name == "acme_both"
    assert assets.op.pool == "acme/outbox"
    assert assets.partitions_def == dg.DynamicPartitionsDefinition(name="acme/both")
    assert assets.backfill_policy is None, "one run for each export time, named by its key"
    assert {check.name for check in assets.check_specs} == {"delivered"}


def test_members_say_what_they_are(tmp_path: Path) -> None:
    spec = assets_of(catalog_at(tmp_path), "both").specs_by_key[ORDERS]
    assert spec.group_name == "dataset_exports"
    assert spec.kinds == {"parquet", "local"}
    assert {name: spec.tags[name] for name in ("cdp/family", "cdp/export", "cdp/connection", "cdp/connection_type")} == {
        "cdp/family": "dataset",
        "cdp/export": "both",
        "cdp/connection": "outbox",
        "cdp/connection_type": "local",
    }
    assert list(spec.owners) == ["team:crm"]
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["datasets", "orders"])]


def test_required_consent_makes_it_depend_on_the_lists_too(tmp_path: Path) -> None:
    catalog = catalog_at(tmp_path)
    lists = (Suppression(dataset="events", column="order_id", matches="order_id"),)
    outbox = LocalConnection(type="local", folder="outbox", suppress=lists)

    def deps(consent: Literal["required"] | None) -> set[dg.AssetKey]:
        export = DatasetExport(kind="dataset", connection="outbox", datasets=("orders",), consent=consent)
        changed = replace(catalog, connections={"outbox": outbox}, exports={"both": export})
        return {dep.asset_key for dep in assets_of(changed, "both").specs_by_key[ORDERS].deps}

    assert deps(None) == {dg.AssetKey(["datasets", "orders"])}
    assert deps("required") == {dg.AssetKey(["datasets", "orders"]), dg.AssetKey(["shop", "events"])}


def test_the_code_version_follows_the_declaration(tmp_path: Path) -> None:
    def version(folder: str) -> str | None:
        catalog = catalog_at(tmp_path)
        connections = {**catalog.connections, "outbox": LocalConnection(type="local", folder=folder)}
        return assets_of(replace(catalog, connections=connections), "both").specs_by_key[ORDERS].code_version

    assert version("outbox") == version("outbox")
    assert version("outbox") != version("elsewhere")


def test_a_dataset_is_external_unless_it_has_an_asset_of_its_own(tmp_path: Path) -> None:
    @dg.asset(key=["shop", "events"])
    def events() -> None: ...

    merged = dg.Definitions.merge(cdp_exports.build_definitions(catalog_at(tmp_path)), dg.Definitions(assets=[events]))
    graph = merged.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["datasets", "orders"])).is_external
    assert not graph.get(dg.AssetKey(["shop", "events"])).is_external
    assert graph.get(dg.AssetKey(["shop", "events"])).child_keys == {dg.AssetKey(["dataset_exports", "both", "events"])}
    assert not graph.has(dg.AssetKey(["datasets", "events"]))


def test_definitions_validate_beside_a_project_with_its_own_executor(tmp_path: Path) -> None:
    own = dg.Definitions(executor=dg.multiprocess_executor)
    dg.Definitions.validate_loadable(dg.Definitions.merge(build_definitions(catalog_at(tmp_path)), own))


def test_a_wrong_catalog_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    (tmp_path / "catalog" / "exports").mkdir(parents=True)
    (tmp_path / "catalog" / "environment.yaml").write_text("name: acme\n", encoding="utf-8")
    for name in ("one", "two"):
        export = tmp_path / "catalog" / "exports" / f"{name}.yaml"
        export.write_text("kind: dataset\nconnection: nowhere\ndatasets: [a]\n", encoding="utf-8")
    with pytest.raises(DeclarationError) as refused:
        build_definitions(tmp_path / "catalog")
    assert {problem.file for problem in refused.value.problems} == {"catalog/exports/one.yaml", "catalog/exports/two.yaml"}


def test_secrets_are_names_in_what_dagster_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_SECRET", "wJalrXUtnFEMI")
    monkeypatch.setenv("LAKE_KEY", "AKIAIOSFODNN7")
    definitions = build_definitions(catalog_at(tmp_path))
    job = definitions.resolve_implicit_global_asset_job_def()
    told = repr(job.get_job_snapshot())
    assert "LAKE_SECRET" in told
    assert "wJalrXUtnFEMI" not in told
    assert "AKIAIOSFODNN7" not in told
