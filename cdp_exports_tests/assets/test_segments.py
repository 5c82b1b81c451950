"""Segments as assets, and their members counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus, ExecuteInProcessResult, TableColumnLineage

from cdp_exports.assets import segments
from cdp_exports.assets.segments import segment_assets
from cdp_exports_tests.assets.people import PEOPLE, People, people, profiles, write

VIP, BUYERS, BOTH = (AssetKey(["segments", name]) for name in ("vip", "buyers", "vip_buyers"))
PROFILES, ORDERS = AssetKey(["datasets", "profiles"]), AssetKey(["datasets", "orders"])


@pytest.fixture
def shop(tmp_path: Path, instance: DagsterInstance) -> People:
    return people(tmp_path, instance)


def materialized(result: ExecuteInProcessResult) -> set[AssetKey]:
    return {event.asset_key for event in result.get_asset_materialization_events() if event.asset_key}


def test_segments_depend_on_exactly_the_datasets_they_read(shop: People) -> None:
    (assets,) = segment_assets(shop.catalog)
    specs = assets.specs_by_key
    deps = {key: {dep.asset_key for dep in spec.deps} for key, spec in specs.items()}
    assert deps == {VIP: {PROFILES}, BUYERS: {PROFILES, ORDERS}, BOTH: {PROFILES, ORDERS}}
    assert specs[VIP].group_name == "segments"
    assert specs[VIP].kinds == {"sql"}, "`segment` is a company's, with its logo"
    assert specs[VIP].description == "Who spends much"
    assert list(specs[VIP].owners) == ["team:crm"]
    assert {name: specs[VIP].tags[name] for name in ("cdp/segment", "cdp/family")} == {"cdp/segment": "vip", "cdp/family": "profile"}


def test_the_code_version_follows_the_definition(shop: People) -> None:
    def versions() -> dict[AssetKey, str | None]:
        (assets,) = segment_assets(shop.catalog)
        return {key: spec.code_version for key, spec in assets.specs_by_key.items()}

    before = versions()
    assert before == versions()
    (shop.root / "catalog" / "segments" / "vip.yaml").write_text("of: profiles\nwhere: spent > 200\n", encoding="utf-8")
    after = versions()
    assert before[VIP] != after[VIP]
    assert before[BUYERS] == after[BUYERS]
    assert before[BOTH] != after[BOTH], "what it is made of changed"


def test_members_are_counted_at_each_refresh(shop: People) -> None:
    assert shop.count("vip", "buyers", "vip_buyers").success
    assert {key: shop.said(key)["cdp/members"] for key in (VIP, BUYERS, BOTH)} == {VIP: 5, BUYERS: 2, BOTH: 1}
    assert shop.said(BOTH)["dagster/row_count"] == 1
    assert shop.said(BOTH)["cdp/versions"] == {"orders": 0, "profiles": 0}
    write(shop.root, "profiles", profiles([*PEOPLE, (7, "flo@example.org", "Nice", 101.0, True)]))
    assert shop.count("vip").success
    assert (shop.said(VIP)["cdp/members"], shop.said(VIP)["cdp/versions"]) == (6, {"profiles": 1})
    assert shop.said(BOTH)["cdp/members"] == 1, "not selected, not counted again"


def test_a_count_that_finds_the_same_is_the_same_data_version(shop: People) -> None:
    def version() -> str | None:
        assert shop.count("vip").success
        event = shop.instance.get_latest_materialization_event(VIP)
        assert event is not None
        assert event.asset_materialization is not None
        return (event.asset_materialization.tags or {}).get("dagster/data_version")

    before = version()
    assert before == version()
    write(shop.root, "profiles", profiles(PEOPLE[1:]))
    assert before != version()


def test_columns_have_their_lineage(shop: People) -> None:
    assert shop.count("buyers").success
    lineage = shop.said(BUYERS)["dagster/column_lineage"]
    assert isinstance(lineage, TableColumnLineage)
    assert {name: [(dep.asset_key, dep.column_name) for dep in deps] for name, deps in lineage.deps_by_column.items()} == {
        "profile_id": [(PROFILES, "profile_id")],
        "newest": [(ORDERS, "order_id")],
    }


def test_a_run_that_counts_is_of_the_profile_family(shop: People) -> None:
    result = shop.count("vip")
    run = shop.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["cdp/family"] == "profile"
    assert "cdp/export" not in run.tags


def test_a_table_that_is_not_there_is_a_sentence_and_the_others_are_counted(shop: People) -> None:
    shutil.rmtree(shop.root / "data" / "orders")
    result = shop.count("vip", "buyers", "vip_buyers")
    assert not result.success
    run = shop.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == DagsterRunStatus.FAILURE
    (event,) = result.get_step_failure_events()
    data = event.step_failure_data
    assert data.user_failure_data is not None
    said = data.user_failure_data.description or ""
    assert "orders" in said
    assert "\n" not in said, "told once"
    assert data.error is not None
    assert data.error.cause is None
    assert materialized(result) == {VIP}


def test_a_table_that_broke_its_contract_is_a_sentence_without_values(shop: People) -> None:
    write_other = pa.table({"order_id": ["not-a-number"], "profile_id": ["secret-person"]})
    shutil.rmtree(shop.root / "data" / "orders")
    write(shop.root, "orders", write_other)
    result = shop.count("buyers")
    assert not result.success
    (event,) = result.get_step_failure_events()
    data = event.step_failure_data
    assert data.user_failure_data is not None
    said = data.user_failure_data.description or ""
    assert "orders" in said
    assert "secret-person" not in said


def test_a_fault_of_our_own_tells_nothing_of_the_rows(shop: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_over(*_: object) -> None:
        raise RuntimeError("could not read ada@example.org")

    monkeypatch.setattr(segments, "count_members", fall_over)
    result = shop.count("vip")
    assert not result.success
    told = "".join(repr(entry) for entry in shop.instance.all_logs(result.run_id))
    assert "RuntimeError at test_segments.py" in told
    assert "ada@example.org" not in told
