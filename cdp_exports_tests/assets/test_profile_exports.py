"""Profile exports as assets, delivered through Dagster."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from cdp_exports.assets import ledger
from cdp_exports.assets.events import check_result, observation
from cdp_exports.assets.exports import assets_of
from cdp_exports.assets.keys import partitions_name
from cdp_exports.assets.run import run_in_process
from cdp_exports.definitions import build_definitions
from cdp_exports.delivery.limits import LimitState
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip
from cdp_exports_tests.assets.people import PEOPLE, VIP, VIP_BUYERS, People, Person, people, profiles, write

FIRST, SECOND = "202601010000", "202601020000"
ORDERS = dg.AssetKey(["dataset_exports", "orders_to_lake", "orders"])


@pytest.fixture
def shop(tmp_path: Path, instance: dg.DagsterInstance) -> People:
    return people(tmp_path, instance)


def test_an_export_is_one_step_with_an_asset_for_each_segment(shop: People) -> None:
    assets = assets_of(shop.catalog, "vip_to_crm")
    assert assets.keys == {VIP, VIP_BUYERS}
    assert assets.can_subset
    assert (assets.op.name, assets.op.pool) == ("acme_vip_to_crm", "acme/crm")
    assert assets.partitions_def == dg.DynamicPartitionsDefinition(name=partitions_name("acme", "vip_to_crm"))
    assert {check.name for check in assets.check_specs} == {"delivered"}


def test_members_say_what_they_are_and_depend_on_what_the_segment_does_not_read(shop: People) -> None:
    spec = assets_of(shop.catalog, "vip_to_crm").specs_by_key[VIP]
    assert spec.group_name == "profile_exports"
    assert spec.kinds == {"csv", "local"}
    assert {name: spec.tags[name] for name in ("cdp/family", "cdp/export", "cdp/connection")} == {
        "cdp/family": "profile",
        "cdp/export": "vip_to_crm",
        "cdp/connection": "crm",
    }
    assert list(spec.owners) == ["team:crm"]
    assert {dep.asset_key for dep in spec.deps} == {dg.AssetKey(["segments", "vip"]), dg.AssetKey(["datasets", "unsubscribed"])}


def test_the_code_version_follows_segment_and_mapping(shop: People) -> None:
    def version() -> str | None:
        return assets_of(shop.catalog, "vip_to_crm").specs_by_key[VIP_BUYERS].code_version

    versions = [version()]
    catalog = shop.root / "catalog"
    (catalog / "segments" / "vip.yaml").write_text("of: profiles\nwhere: spent > 200\n", encoding="utf-8")
    versions.append(version())
    export = catalog / "exports" / "vip_to_crm.yaml"
    export.write_text(export.read_text().replace("to: EMAIL", "to: MAIL"), encoding="utf-8")
    versions.append(version())
    assert len(set(versions)) == 3


def test_the_families_are_apart(shop: People) -> None:
    definitions = build_definitions(shop.catalog)
    graph = definitions.resolve_asset_graph()
    families = {key.to_user_string(): graph.get(key).tags.get("cdp/family") for key in graph.materializable_asset_keys}
    assert families == {
        "profile_exports/vip_to_crm/vip": "profile",
        "profile_exports/vip_to_crm/vip_buyers": "profile",
        "segments/vip": "profile",
        "segments/buyers": "profile",
        "segments/vip_buyers": "profile",
        "dataset_exports/orders_to_lake/orders": "dataset",
    }
    all_schedules = definitions.get_repository_def().schedule_defs  # those of connections and of files that expire are of neither
    schedules = {schedule.name: family for schedule in all_schedules if (family := schedule.tags.get("cdp/family"))}
    assert schedules == {"acme_vip_to_crm": "profile", "acme_orders_to_lake": "dataset"}


def test_a_full_then_an_increment_with_their_numbers(shop: People) -> None:
    result = shop.deliver(FIRST, VIP)
    assert result.success
    assert shop.delivered(FIRST)["EMAIL"].to_list() == ["ada@example.org", "bea@example.org"]
    said = shop.said(VIP)
    numbers = {
        "cdp/members": 5,
        "cdp/rows_of_members": 5,
        "cdp/left_out_no_consent": 1,
        "cdp/left_out_suppressed": 1,
        "cdp/left_out_missing:EMAIL": 1,
        "cdp/deliverable": 2,
        "cdp/entered": 2,
        "cdp/updated": 0,
        "cdp/exited": 0,
        "cdp/held": 2,
        "dagster/partition_row_count": 2,
        "cdp/mode": "full",
        "cdp/limit_audience_max": 4,
        "cdp/limit_audience_max_count": 2,
        "cdp/limit_audience_max_percent": 50.0,
    }
    assert {name: said.get(name) for name in numbers} == numbers
    assert not [name for name in said if name.startswith("cdp/rows_") and name != "cdp/rows_of_members"], "numbers of dataset exports"
    assert "| no_consent | 1 | 4 |" in str(said["cdp/funnel"])
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    assert check.metadata["cdp/limit_audience_max_percent"].value == 50.0

    changed: list[Person] = [row for row in PEOPLE if row[0] != 1] + [
        (1, "ada@example.org", "Lyon", 1.0, True),
        (7, "flo@example.org", "Nice", 200.0, True),
    ]
    write(shop.root, "profiles", profiles(changed))
    assert shop.deliver(SECOND, VIP).success
    said = shop.said(VIP)
    numbers = {"cdp/entered": 1, "cdp/exited": 1, "cdp/exited_left_segment": 1, "cdp/held": 2, "cdp/mode": "incremental"}
    assert {name: said.get(name) for name in numbers} == numbers
    assert said["cdp/way"] in ("changes", "touched", "compared")
    versions = said["cdp/versions"]
    assert isinstance(versions, dict)
    assert (versions["profiles"]["from"], versions["profiles"]["to"]) == (0, 1)
    assert "unsubscribed" in versions
    assert shop.delivered(SECOND)["segment_status"].to_list() == ["exited", "entered"]


def test_fields_have_their_lineage(shop: People) -> None:
    assert shop.deliver(FIRST, VIP).success
    lineage = shop.said(VIP)["dagster/column_lineage"]
    assert isinstance(lineage, dg.TableColumnLineage)
    profile = dg.AssetKey(["datasets", "profiles"])
    assert {name: [(dep.asset_key, dep.column_name) for dep in deps] for name, deps in lineage.deps_by_column.items()} == {
        "profile_id": [(profile, "profile_id")],
        "EMAIL": [(profile, "email")],
        "city": [(profile, "city")],
    }
    schema = shop.said(VIP)["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns][:3] == ["profile_id", "EMAIL", "city"]


def test_nothing_personal_is_in_what_dagster_keeps(shop: People) -> None:
    result = shop.deliver(FIRST, VIP, VIP_BUYERS)
    assert result.success
    told = "".join(repr(entry) for entry in shop.instance.all_logs(result.run_id))
    assert "cdp/deliverable" in told, "the search itself finds what Dagster keeps"
    assert "example.org" not in told


def test_over_a_limit_nothing_is_sent_and_the_check_says_how_far(shop: People) -> None:
    export = shop.root / "catalog" / "exports" / "vip_to_crm.yaml"
    export.write_text(export.read_text().replace("max: 4", "max: 1"), encoding="utf-8")
    result = shop.deliver(FIRST, VIP, VIP_BUYERS)
    assert result.success
    checks = {check.asset_key: check for check in result.get_asset_check_evaluations()}
    assert (checks[VIP].passed, checks[VIP].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert checks[VIP].metadata["cdp/reason"].value == "over_limit"
    assert "of at most 1 (200%)" in (checks[VIP].description or "")
    assert not checks[VIP_BUYERS].passed, "one segment over its limit skips the whole export"
    assert shop.instance.get_materialized_partitions(VIP) == set()


def test_near_a_limit_the_delivery_carries_the_warning(shop: People) -> None:
    export = shop.root / "catalog" / "exports" / "vip_to_crm.yaml"
    export.write_text(export.read_text().replace("max: 4", "max: 2"), encoding="utf-8")
    result = shop.deliver(FIRST, VIP)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    assert "100%" in (check.description or "")
    assert "100%" in str(shop.said(VIP)["cdp/warnings"])


def test_a_run_that_a_person_starts_carries_the_tags_of_its_export(shop: People) -> None:
    delivered = shop.deliver(FIRST, VIP)
    shop.instance.add_dynamic_partitions("acme/orders_to_lake", [FIRST])
    dataset = shop.job.execute_in_process(instance=shop.instance, partition_key=FIRST, asset_selection=[ORDERS], raise_on_error=False)
    for family, run_id in (("profile", delivered.run_id), ("dataset", dataset.run_id)):
        runs = shop.instance.get_runs(dg.RunsFilter(tags={"cdp/family": family}))
        assert [run.run_id for run in runs] == [run_id]


def test_it_runs_in_this_process_as_the_command_line_does(shop: People) -> None:
    ended = run_in_process(shop.catalog, shop.instance, "vip_to_crm", members=["vip"])
    assert [(outcome.member, outcome.status) for outcome in ended.outcomes] == [("vip", "committed")]
    assert ended.error is None
    run = shop.instance.get_run_by_id(ended.run_id)
    assert run is not None
    assert (run.tags["cdp/family"], run.tags["cdp/export"]) == ("profile", "vip_to_crm")
    assert (shop.root / "state").is_dir(), "what the receiver holds, beside the ledger"


def test_a_lost_ledger_is_noticed_by_what_dagster_remembers(shop: People) -> None:
    assert shop.deliver(FIRST, VIP).success
    (shop.root / "ledger.db").rename(shop.root / "lost.db")
    (shop.root / "crm").rename(shop.root / "emptied")
    ledger._open.cache_clear()
    result = shop.deliver(SECOND, VIP)
    assert not result.success
    (event,) = result.get_step_failure_events()
    assert event.step_failure_data.user_failure_data is not None
    assert "adopt" in (event.step_failure_data.user_failure_data.description or "")


def test_a_skip_for_its_size_says_how_near_it_came() -> None:
    state = LimitState("audience", "max", count=300, limit=200, warn_at=0.8)
    skip = Skip("vip has 300 members.", next_step="Raise the limit.", reason="over_limit")
    outcome = Outcome("vip_to_crm", "vip", ExportTime.parse(FIRST), "skipped", error=skip, limits=(state,))
    for said in (check_result(VIP, outcome).metadata, observation(VIP, outcome).metadata):
        shown = {name: value.value for name, value in (said or {}).items() if name.startswith("cdp/limit_")}
        assert shown == {"cdp/limit_audience_max": 200, "cdp/limit_audience_max_count": 300, "cdp/limit_audience_max_percent": 150.0}
