"""When segments are counted again."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports_tests.assets.declared import catalog_at
from cdp_exports_tests.assets.people import declare

SEGMENTS = VIP, BUYERS, BOTH = tuple(dg.AssetKey(["segments", name]) for name in ("vip", "buyers", "vip_buyers"))


def test_one_sensor_counts_segments_and_is_off_at_first(tmp_path: Path) -> None:
    declare(tmp_path)
    sensor = build_definitions(load(tmp_path / "catalog")).get_repository_def().get_sensor_def("acme__segments")
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert sensor.tags["cdp/family"] == "profile"
    without = build_definitions(catalog_at(tmp_path)).get_repository_def()
    assert not [one.name for one in without.sensor_defs if one.name.endswith("__segments")]


def test_a_refresh_or_a_new_definition_counts_the_segments_it_concerns(tmp_path: Path, stored_instance: dg.DagsterInstance) -> None:
    declare(tmp_path)
    cursor = None

    def tick() -> set[dg.AssetKey]:
        nonlocal cursor
        definitions = build_definitions(load(tmp_path / "catalog"))
        counted = dg.AssetSelection.assets(*SEGMENTS)
        result = dg.evaluate_automation_conditions(defs=definitions, instance=stored_instance, asset_selection=counted, cursor=cursor)
        cursor = result.cursor
        return {key for key in SEGMENTS if result.get_num_requested(key)}

    def refreshed(name: str) -> None:
        stored_instance.report_runless_asset_event(dg.AssetMaterialization(["datasets", name]))

    assert tick() == set(), "what was there before it was switched on"
    refreshed("orders")
    assert tick() == {BUYERS, BOTH}
    assert tick() == set()
    refreshed("unsubscribed")
    assert tick() == set(), "no segment reads it"
    refreshed("profiles")
    assert tick() == {VIP, BUYERS, BOTH}
    assert tick() == set()
    (tmp_path / "catalog" / "segments" / "vip.yaml").write_text("of: profiles\nwhere: spent > 200\n", encoding="utf-8")
    assert tick() == {VIP, BOTH}
