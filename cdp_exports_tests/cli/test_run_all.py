"""`run --all`: what it starts, what it leaves out and why."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import DagsterInstance, RunsFilter

from cdp_exports.assets.run import Run
from cdp_exports.automation.run_all import Ended, LeftOut, run_all
from cdp_exports.catalog.load import load
from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import TransientError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Lease
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.people import FILES, with_people
from cdp_exports_tests.cli.shapes import same_keys

EXPORT = "kind: dataset\nconnection: outbox\ndatasets: [orders]\npath: {name}/{{dataset_id}}/{{export_time}}\n"
CLOUD = "type: s3\nbucket: acme\nregion: eu-west-3\naccess_key_id: {env: NO_SUCH_KEY}\nsecret_access_key: {env: NO_SUCH_SECRET}\n"
WORKSPACE = "load_from:\n  - python_module: {module_name: cdp_exports.definitions, location_name: exports}\n"


def declare(project: Project, name: str, more: str) -> None:
    project.declare(f"exports/{name}.yaml", EXPORT.format(name=name) + more)


def of(document: Any, family: str = "dataset") -> tuple[list[str], dict[str, str]]:
    """Exports that were started; by export, why the others were left out."""
    (found,) = [one for one in document["families"] if one["family"] == family]
    return [one["export"] for one in found["started"]], {one["export"]: one["reason"] for one in found["left_out"]}


def test_those_whose_schedule_is_on(project: Project) -> None:
    (project.root / "workspace.yaml").write_text(WORKSPACE)
    declare(project, "by_hand", "")
    declare(project, "ended", "schedule: {every: 3h, end: 2020-01-01T00:00Z}\n")
    declare(project, "later", "schedule: {every: 3h, start: 2099-01-01T00:00Z}\n")
    declare(project, "follows", "schedule: {after: refresh}\n")
    declare(project, "rests", "schedule: {after: refresh}\nactive: false\n")
    document = project.json("run", "--all")
    assert same_keys(document, SHAPES["run, all"]) == []
    assert of(document) == (
        ["follows", "weekly"],
        {"both": "off", "by_hand": "on_demand", "ended": "ended", "later": "not_started", "rests": "off"},
    )
    assert {path.parts[-4] for path in project.files("*/*/*/_manifest")} == {"follows", "weekly"}
    with DagsterInstance.from_config(str(project.root)) as instance:
        assert {run.tags["cdp/export"] for run in instance.get_runs()} == {"follows", "weekly"}
        assert instance.all_instigator_state() == []
    # the toggle is the truth, not `active`
    project.call("schedule", "weekly", "--keep", "off")
    project.call("schedule", "both", "--keep", "on")
    started, left_out = of(project.json("run", "--all", "--family", "dataset"))
    assert started == ["both", "follows"]
    assert left_out["weekly"] == "off"
    said = project.call("run", "--all").stdout
    assert "Dataset exports: 2 run, 5 left out" in said
    assert "Its schedule ended at 2020-01-01T00:00Z." in said


def test_families_stay_apart(project: Project) -> None:
    with_people(project)
    project.declare("datasets/orders.yaml", "source: {format: delta, uri: data/orders}\n")
    project.declare("exports/orders.yaml", "kind: dataset\nconnection: lake\ndatasets: [orders]\nschedule: {every: 3h}\n")
    project.declare("exports/vip_full.yaml", FILES["exports/vip_full.yaml"] + "schedule: {every: 3h}\n")
    everything = project.json("run", "--all")
    assert [one["family"] for one in everything["families"]] == ["dataset", "profile"]
    assert of(everything)[0] == ["orders"]
    profiles = project.json("run", "--all", "--family", "profile")
    assert [one["family"] for one in profiles["families"]] == ["profile"]
    started, left_out = of(profiles, "profile")
    assert started == ["vip_full"]
    assert left_out["vip_to_crm"] == "on_demand"
    assert of(everything, "profile") == (started, left_out)


def test_one_that_fails_keeps_no_other_from_running(project: Project) -> None:
    project.declare("connections/cloud.yaml", CLOUD)
    project.declare("exports/broken.yaml", EXPORT.format(name="broken").replace("outbox", "cloud") + "schedule: {every: 3h}\n")
    project.declare("datasets/customers.yaml", "source: {format: delta, uri: data/gone}\n")
    project.declare("exports/half.yaml", EXPORT.format(name="half").replace("[orders]", "[customers, orders]") + "schedule: {every: 3h}\n")
    document = project.json("run", "--all", status=1)
    assert same_keys(document, SHAPES["run, all"]) == []
    runs = {one["export"]: one for one in document["families"][0]["started"]}
    assert list(runs) == ["broken", "half", "weekly"]
    assert runs["broken"]["run_id"] is None
    assert "NO_SUCH_KEY" in runs["broken"]["error"]["message"]
    assert [(one["member"], one["status"]) for one in runs["half"]["members"]] == [("customers", "failed"), ("orders", "committed")]
    assert [one["status"] for one in runs["weekly"]["members"]] == ["committed"]
    said = project.call("run", "--all").stdout
    assert "NO_SUCH_KEY" in said
    assert "half/customers: " in said
    assert "source_unreadable" in said


def test_an_export_at_work_is_left_out(project: Project) -> None:
    ledger = Ledger.open(f"sqlite:///{project.root}/ledger.db")
    lease = ledger.acquire("acme", "weekly", run_id="run-7", export_time=ExportTime(ledger.now()), seconds=60)
    assert lease
    document = project.json("run", "--all")
    assert of(document) == ([], {"both": "off", "weekly": "already_running"})
    assert "run-7" in document["families"][0]["left_out"][1]["message"]
    assert "No schedule is on" not in project.call("run", "--all", "--family", "profile").stderr
    ledger.release(lease)
    assert of(project.json("run", "--all"))[0] == ["weekly"]


def test_a_sensor_that_is_off(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(project, "follows", "schedule: {after: refresh}\n")

    def is_off(_: DagsterInstance, name: str) -> bool:
        return name == "acme__dataset_refresh"

    monkeypatch.setattr("cdp_exports.automation.run_all.sensor_is_off", is_off)
    started, left_out = of(project.json("run", "--all"))
    assert (started, left_out["follows"]) == (["weekly"], "sensor_off")


def test_an_interrupt_ends_it(project: Project) -> None:
    for name in ("a", "b", "c"):
        declare(project, name, "schedule: {every: 3h}\n")
    catalog = load(project.root / "catalog")
    with DagsterInstance.from_config(str(project.root)) as instance:
        ledger = Ledger.open(f"sqlite:///{project.root}/ledger.db")
        asked: list[tuple[str, int, int]] = []

        def run(export_id: str, number: int, count: int) -> Run:
            asked.append((export_id, number, count))
            if export_id == "a":
                raise ZeroDivisionError("4711")
            return Run("r", ExportTime(ledger.now()), (), None, cancelled=export_id == "b")

        ended = list(run_all(catalog, instance, ledger, run))
        assert instance.get_runs(RunsFilter()) == []
    assert asked == [("a", 1, 4), ("b", 2, 4)]
    fault = next(one for one in ended if isinstance(one, Ended) and one.export == "a")
    assert fault.error is not None
    assert "4711" not in str(fault.error)
    reasons = {one.export: one.reason for one in ended if isinstance(one, LeftOut)}
    assert reasons == {"both": "off", "c": "interrupted", "weekly": "interrupted"}


def test_what_ended_is_told_whatever_comes_after_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        declare(project, name, "schedule: {every: 3h}\n")
    holder = Ledger.holder

    def away(ledger: Ledger, environment: str, export: str) -> Lease | None:
        if export == "b":
            raise TransientError("The ledger is away.", next_step="Wait.")
        if export == "c":
            raise KeyboardInterrupt
        return holder(ledger, environment, export)

    monkeypatch.setattr(Ledger, "holder", away)
    document = project.json("run", "--all", status=130)
    a, b = document["families"][0]["started"]
    assert ([member["status"] for member in a["members"]], b["error"]["message"]) == (["committed"], "The ledger is away.")
    assert of(document)[1] == {"both": "off", "c": "interrupted", "weekly": "interrupted"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name an export, or say --all"),
        (["weekly", "--all"], "Name one export, or say --all"),
        (["--all", "--full"], "do not go with --all"),
        (["weekly", "--family", "dataset"], "--family goes with --all"),
        (["--all", "--family", "segment"], "is not one of"),
    ],
)
def test_what_does_not_go_together(project: Project, arguments: list[str], said: str) -> None:
    ended = project.call("run", *arguments)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_nothing_to_run(project: Project) -> None:
    (project.root / "catalog" / "exports" / "weekly.yaml").unlink()
    ended = project.call("run", "--all")
    assert ended.exit_code == 0
    assert "No schedule is on: nothing was run." in ended.stdout
