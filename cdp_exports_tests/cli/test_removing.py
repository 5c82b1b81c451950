"""`remove`: what ends at once, what is written, and what is never touched."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from dagster import AssetKey, DagsterEvent, DagsterInstance, DagsterRunStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from cdp_exports.assets.keys import run_tags
from cdp_exports.automation.implicit_job import IMPLICIT_ASSET_JOB
from cdp_exports.catalog.load import load
from cdp_exports.catalog.removing import without_item
from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.cli.program import program
from cdp_exports.definitions import build_definitions
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys

WORKSPACE = "load_from:\n  - python_module: {module_name: cdp_exports.definitions, location_name: exports}\n"
T = "202601010005"


@pytest.fixture
def served(project: Project) -> Project:
    (project.root / "workspace.yaml").write_text(WORKSPACE)
    return project


def content(project: Project, export: str) -> str:
    return (project.root / "catalog" / "exports" / f"{export}.yaml").read_text()


def ledger_of(project: Project) -> Ledger:
    return Ledger.open(f"sqlite:///{project.root}/ledger.db")


def reasons(project: Project, export: str) -> dict[tuple[str, str], str]:
    entries = project.json("history", export)["entries"]
    return {(entry["member"], entry["export_time"]): entry["reason"] for entry in entries if entry["type"] == "skip"}


def queue(project: Project, export: str, members: list[str], partition: str = T, **tags: str) -> str:
    """A run as the queue holds it, with or without the tags that schedules give; its id."""
    catalog = load(project.root / "catalog")
    code = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="cdp_exports.definitions"), location_name="exports")
    with DagsterInstance.from_config(str(project.root)) as instance:
        instance.add_dynamic_partitions(f"acme/{export}", [partition])
        run = instance.create_run_for_job(
            build_definitions(catalog).resolve_implicit_global_asset_job_def(),
            tags={"dagster/partition": partition, **tags},
            asset_selection=frozenset(AssetKey(["dataset_exports", export, member]) for member in members),
            remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(code, "__repository__"), IMPLICIT_ASSET_JOB),
        )
        instance.report_dagster_event(DagsterEvent.job_enqueue(run), run_id=run.run_id)
    return run.run_id


def status(project: Project, run_id: str) -> DagsterRunStatus:
    with DagsterInstance.from_config(str(project.root)) as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_whole_export(served: Project) -> None:
    delivered = served.json("run", "weekly")
    before = sorted((path, path.read_bytes()) for path in (served.root / "outbox").rglob("*") if path.is_file())
    ledger = ledger_of(served)
    ledger.wait("acme", "weekly", ExportTime(ledger.now()), members=["orders"], upstream_runs=["run-7"])
    catalog = load(served.root / "catalog")
    ours = queue(served, "weekly", ["orders"], **run_tags(catalog, "weekly"))
    by_hand = queue(served, "weekly", ["orders"], "202601010006")
    other = queue(served, "both", ["orders"])
    elsewhere = queue(served, "weekly", ["orders"], **{"cdp/environment": "staging"})
    document = served.json("remove", "weekly", "--yes")
    assert same_keys(document, SHAPES["remove"]) == []
    assert (document["schedule_on"], document["deleted"], document["kept"]) == (False, True, [])
    assert {run["run_id"] for run in document["queued"]} == {ours, by_hand}
    assert [(one["member"], one["last_export_time"], one["sequence"]) for one in document["removed"]] == [
        ("orders", delivered["export_time"], 1)
    ]
    assert not (served.root / "catalog" / "exports" / "weekly.yaml").exists()
    assert [status(served, run) for run in (ours, by_hand)] == [DagsterRunStatus.CANCELED] * 2
    assert [status(served, run) for run in (other, elsewhere)] == [DagsterRunStatus.QUEUED] * 2
    found = reasons(served, "weekly")
    assert {found["orders", T], found["orders", "202601010006"], *found.values()} == {"removed"}
    assert ledger.due("acme", "weekly") == []
    with DagsterInstance.from_config(str(served.root)) as instance:
        assert {state.instigator_name: state.status.value for state in instance.all_instigator_state()} == {"acme_weekly": "STOPPED"}
    assert sorted((path, path.read_bytes()) for path in (served.root / "outbox").rglob("*") if path.is_file()) == before
    assert [export["export"] for export in served.json("list")["exports"]] == ["both"]


def test_a_member_that_comes_back_goes_on_where_it_stopped(served: Project) -> None:
    text = content(served, "both").replace(
        "datasets: [orders, customers]", "datasets:\n  - orders  # all of them\n  # people\n  - customers"
    )
    served.declare("exports/both.yaml", text)
    first = served.json("run", "both")
    queued = queue(served, "both", ["orders", "customers"])
    ledger = ledger_of(served)
    ledger.wait("acme", "both", ExportTime(ledger.now()), members=["orders", "customers"], upstream_runs=["run-7"])
    document = served.json("remove", "both", "orders", "--yes")
    assert same_keys(document, SHAPES["remove"]) == []
    assert (document["kept"], document["deleted"], document["waiting"]) == (["customers"], False, [])
    assert content(served, "both") == text.replace("  - orders  # all of them\n", "")
    assert status(served, queued) == DagsterRunStatus.CANCELED
    found = [entry for entry in served.json("history", "both")["entries"] if entry["reason"] == "removed" and entry["export_time"] == T]
    assert {entry["member"]: "takes its rows along" in entry["next_step"] for entry in found} == {"orders": False, "customers": True}
    assert len(ledger.due("acme", "both")) == 1, "the other member still waits"
    served.write("orders", [6])
    served.write("customers", [6, 7])
    alone = served.json("run", "both")
    assert [(one["member"], one["delivery"]["sequence"]) for one in alone["members"]] == [("customers", 2)]
    served.declare("exports/both.yaml", text)
    back = served.json("run", "both", "--member", "orders")["members"][0]["delivery"]
    assert (back["mode"], back["sequence"], back["rows"]["inserted"]) == ("incremental", 2, 1)
    assert back["previous_export_time"] == first["export_time"]


def test_the_last_member_is_the_export(served: Project) -> None:
    assert served.json("remove", "weekly", "orders", "--yes")["deleted"]
    assert not (served.root / "catalog" / "exports" / "weekly.yaml").exists()


def test_it_asks_and_lists_what_stops(served: Project) -> None:
    served.call("run", "weekly")
    run_id = queue(served, "weekly", ["orders"])
    refused = CliRunner(catch_exceptions=False).invoke(program, ["remove", "weekly"], input="n\n")
    assert refused.exit_code == 1
    for said in ("to be removed", "0 3 * * 1 UTC, on; next", run_id, "ends skipped", "weekly.yaml is deleted", "its files stay"):
        assert said in refused.stdout
    assert status(served, run_id) == DagsterRunStatus.QUEUED
    assert (served.root / "catalog" / "exports" / "weekly.yaml").exists()
    agreed = CliRunner(catch_exceptions=False).invoke(program, ["remove", "weekly"], input="y\n")
    assert agreed.exit_code == 0
    assert "loaded again" in agreed.stdout
    assert status(served, run_id) == DagsterRunStatus.CANCELED


def test_a_delivery_at_work_goes_on(served: Project) -> None:
    ledger = ledger_of(served)
    lease = ledger.acquire("acme", "weekly", run_id="run-7", export_time=ExportTime(ledger.now()), seconds=60)
    assert lease
    assert "run run-7 goes on to its end" in served.call("remove", "weekly", "--yes").stdout
    assert ledger.renew(lease, seconds=60)


def test_without_a_workspace_nothing_ticks(project: Project) -> None:
    assert project.json("remove", "weekly", "--yes")["deleted"]


@pytest.mark.parametrize(
    ("what", "users"),
    [
        ("datasets/orders", ["catalog/exports/both.yaml:3", "catalog/exports/weekly.yaml:3"]),
        ("connections/outbox", ["catalog/exports/both.yaml:2", "catalog/exports/weekly.yaml:2"]),
        ("datasets/profiles", ["catalog/segments/vip.yaml:1", "catalog/segments/lyon.yaml"]),
        ("segments/vip", ["catalog/exports/crm.yaml:3", "catalog/segments/either.yaml:1"]),
        ("datasets/unsubscribed", ["catalog/connections/crm.yaml"]),
    ],
)
def test_what_is_still_used(project: Project, what: str, users: list[str]) -> None:
    """By the command, and when the file is deleted by hand: all users are named."""
    project.declare(
        "datasets/profiles.yaml",
        "role: profile\nsource: {format: delta, uri: data/profiles}\nkey: [id]\ncolumns: {id: bigint, city: varchar, email: varchar}\n",
    )
    project.declare("datasets/unsubscribed.yaml", "source: {format: delta, uri: data/unsubscribed}\ncolumns: {email: varchar}\n")
    project.declare(
        "connections/crm.yaml", "type: local\nfolder: crm\nsuppress: [{dataset: unsubscribed, column: email, matches: email}]\n"
    )
    project.declare("segments/vip.yaml", "of: profiles\nwhere: city = 'Lyon'\n")
    project.declare("segments/lyon.yaml", "of: profiles\nsql: SELECT id FROM profiles WHERE city = 'Lyon'\n")
    project.declare("segments/either.yaml", "any_of: [vip, lyon]\n")
    project.declare("exports/crm.yaml", "kind: segment\nconnection: crm\nsegments: [vip]\nfields: [{from: email}]\n")
    assert project.call("list").exit_code == 0
    ended = project.call("remove", what, "--yes")
    assert ended.exit_code == 2
    assert "is still used there; nothing was removed" in ended.stderr
    for user in users:
        assert user in ended.stderr
    file = project.root / "catalog" / f"{what}.yaml"
    assert file.exists()
    file.unlink()
    by_hand = project.call("list")
    assert by_hand.exit_code == 2
    for user in users:
        assert user in by_hand.stderr


def test_what_nothing_uses(project: Project) -> None:
    assert project.call("remove", "exports/both", "--yes").exit_code == 0
    document = project.json("remove", "datasets/customers", "--yes")
    assert same_keys(document, SHAPES["remove, of another object"]) == []
    assert not (project.root / "catalog" / "datasets" / "customers.yaml").exists()
    assert (project.root / "data" / "customers").exists()
    asked = CliRunner(catch_exceptions=False).invoke(program, ["remove", "datasets/orders"], input="y\n")
    assert asked.exit_code == 2, "weekly uses it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bth", "--yes"], "There is no export 'bth' (did you mean 'both'?)"),
        (["both", "ordrs", "--yes"], "both has no member 'ordrs' (did you mean 'orders'?)"),
        (["dataset/orders", "--yes"], "There is no folder 'dataset' in a catalog (did you mean 'datasets'?)"),
        (["datasets/ordrs", "--yes"], "There is no dataset 'ordrs' (did you mean 'orders'?)"),
        (["datasets/orders", "x", "--yes"], "Only exports have members"),
        (["both", "--json"], "give --yes"),
    ],
)
def test_what_is_wrong_is_said(project: Project, arguments: list[str], said: str) -> None:
    ended = project.call("remove", *arguments)
    assert ended.exit_code == 2, ended.output
    assert said in ended.stderr
    assert (project.root / "catalog" / "exports" / "both.yaml").exists()


def test_a_file_that_cannot_be_changed_as_text(project: Project) -> None:
    project.declare("exports/both.yaml", content(project, "both").replace("[orders, customers]", "[orders,  # all\n  customers]"))
    ended = project.call("remove", "both", "orders", "--yes")
    assert ended.exit_code == 2
    assert "a comment would be lost" in ended.stderr
    assert "Take it out of `datasets` by hand" in ended.stderr


@pytest.mark.parametrize(
    ("before", "item", "after"),
    [
        ("datasets: [a, b, c]\n", "a", "datasets: [b, c]\n"),
        ("datasets: [a, b, c]\n", "b", "datasets: [a, c]\n"),
        ("datasets: [a, b, c]   # three\n", "c", "datasets: [a, b]   # three\n"),
        ('datasets: ["a", b]\nmode: full\n', "a", "datasets: [b]\nmode: full\n"),
        ("datasets: [\n  a,\n  b,\n]\n", "b", "datasets: [\n  a,\n]\n"),
        ("datasets:\n- a\n- b  # bees\n# end\nmode: full\n", "b", "datasets:\n- a\n# end\nmode: full\n"),
        ("datasets:\r\n  - a\r\n  - b\r\nmode: full\r\n", "a", "datasets:\r\n  - b\r\nmode: full\r\n"),
        ("\ufeffdatasets: [a, b]", "b", "\ufeffdatasets: [a]"),
    ],
)
def test_taking_out_keeps_everything_else(before: str, item: str, after: str) -> None:
    made = without_item(before.encode(), "datasets", item)
    assert made is not None
    assert made.decode() == after


@pytest.mark.parametrize(
    "before", ["datasets: [a]\n", "datasets: [b, c]\n", "datasets: [a, # one\n b]\n", "kind: dataset\n", "datasets: a\n"]
)
def test_what_cannot_be_taken_out(before: str) -> None:
    assert without_item(before.encode(), "datasets", "a") is None
