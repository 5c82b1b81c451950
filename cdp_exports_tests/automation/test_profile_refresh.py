"""Segment exports follow all that they read: what chooses members, what they are sent with, consent and lists."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from cdp_exports.definitions import build_definitions
from cdp_exports_tests.assets.people import PEOPLE, people, profiles, write
from cdp_exports_tests.automation.refreshed import Scene

EXPORT = """
    kind: segment
    connection: crm
    segments: [vip, vip_buyers]
    fields: [{from: email, to: EMAIL, required: true}]
    schedule: {after: refresh}
    """
LAKE = "kind: dataset\nconnection: lake\ndatasets: [orders]\nschedule: {after: refresh}\n"


@pytest.fixture
def scene(tmp_path: Path, stored_instance: dg.DagsterInstance) -> Scene:
    people(tmp_path, stored_instance)
    made = Scene(tmp_path, stored_instance, sensor="acme__profile_refresh")
    made.declare("exports/vip_to_crm.yaml", EXPORT)
    made.declare("exports/orders_to_lake.yaml", LAKE)
    return made


def members(scene: Scene) -> set[str]:
    """What one tick asks for, which is then delivered."""
    requests = scene.evaluate()
    for request in requests:
        scene.launch(request)
    return {key.path[-1] for request in requests for key in request.asset_selection or ()}


def test_whatever_a_segments_export_reads_makes_it_due(scene: Scene, tmp_path: Path) -> None:
    assert members(scene) == {"vip", "vip_buyers"}
    assert members(scene) == set()
    write(tmp_path, "orders", pa.table({"order_id": [10, 11, 12, 13], "profile_id": [1, 1, 3, 2]}))
    assert members(scene) == {"vip_buyers"}, "vip reads no orders"
    write(tmp_path, "unsubscribed", pa.table({"email": ["eve@example.org", "ada@example.org"]}))
    assert members(scene) == {"vip", "vip_buyers"}, "who is on the connection's list is not sent any more"
    write(tmp_path, "profiles", profiles(PEOPLE[:-1]))
    assert members(scene) == {"vip", "vip_buyers"}
    assert members(scene) == set()


def test_a_full_export_follows_lists_whose_versions_it_did_not_write_down(scene: Scene, tmp_path: Path) -> None:
    scene.declare("exports/vip_to_crm.yaml", EXPORT.replace("schedule:", "mode: full\n    schedule:"))
    assert members(scene) == {"vip", "vip_buyers"}
    assert members(scene) == set()
    write(tmp_path, "unsubscribed", pa.table({"email": ["eve@example.org", "ada@example.org"]}))
    assert members(scene) == {"vip", "vip_buyers"}
    assert members(scene) == set()


def test_each_family_has_a_sensor_of_its_own(scene: Scene) -> None:
    repository = build_definitions(scene.catalog).get_repository_def()
    tags = {name: repository.get_sensor_def(name).tags["cdp/family"] for name in ("acme__profile_refresh", "acme__dataset_refresh")}
    assert tags == {"acme__profile_refresh": "profile", "acme__dataset_refresh": "dataset"}
    statuses = {repository.get_sensor_def(name).default_status for name in tags}
    assert statuses == {dg.DefaultSensorStatus.RUNNING}
    assert {request.tags["cdp/family"] for request in scene.evaluate()} == {"profile"}
    scene.sensor = "acme__dataset_refresh"
    assert {request.tags["cdp/export"] for request in scene.evaluate()} == {"orders_to_lake"}


def test_both_sensors_look_at_a_table_and_dagster_is_told_once(scene: Scene, tmp_path: Path) -> None:
    for sensor in ("acme__profile_refresh", "acme__dataset_refresh"):
        scene.sensor, scene.cursor = sensor, None
        assert len(scene.tick()) == 1
    assert len(scene.instance.fetch_materializations(dg.AssetKey(["datasets", "orders"]), limit=9).records) == 1
