"""`list`, `show`, `history`, `plan`: what they tell."""

from __future__ import annotations

from dagster import DagsterInstance
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorType, ScheduleInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from cdp_exports.cli.gaps import longest_gap_hours
from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.entities.cadence import Cadence
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys


def test_list(project: Project) -> None:
    before = project.json("list")
    assert [(export["export"], export["last"]) for export in before["exports"]] == [("both", []), ("weekly", [])]
    project.json("run", "both")
    (project.root / "data" / "customers").rename(project.root / "data" / "gone")
    project.json("run", "both", status=1)
    after = project.json("list", "--search", "CUSTOMERS")
    assert same_keys(after, SHAPES["list"]) == []
    (both,) = after["exports"]
    assert both["schedule"] == "every 3h"
    assert [(last["member"], last["state"], last["reason"]) for last in both["last"]] == [
        ("orders", "committed", None),
        ("customers", "failed", "source_unreadable"),
    ]
    shown = project.call("list")
    assert shown.exit_code == 0
    for word in ("both", "weekly", "outbox (local)", "orders, customers", "failed (permanent)", both["last"][1]["next_step"]):
        assert word in shown.stdout
    assert "failed (permanent)" in project.call("history", "both").stdout
    assert [(last["permanent"], last["failures_in_a_row"], last["failing"]) for last in both["last"]] == [
        (False, 0, False),
        (True, 1, False),
    ]
    assert "in a row" not in shown.stdout
    for _ in range(2):
        assert "failed (permanent)" in project.call("run", "both").stdout
    (failing,) = project.json("list", "--search", "CUSTOMERS")["exports"]
    assert (failing["last"][1]["failures_in_a_row"], failing["last"][1]["failing"], failing["schedule_on"]) == (
        3,
        True,
        both["schedule_on"],
    )
    assert "both/customers failed at 3 export times in a row." in project.call("list").stdout
    assert project.json("list", "--search", "nothing like it")["exports"] == []


def test_a_schedule_is_on_where_dagster_says_so(project: Project) -> None:
    def on() -> dict[str, bool | None]:
        return {export["export"]: export["schedule_on"] for export in project.json("list")["exports"]}

    assert on() == {"both": False, "weekly": True}
    _switch(project, "acme_both", InstigatorStatus.RUNNING)
    _switch(project, "acme_weekly", InstigatorStatus.STOPPED)
    _switch(project, "elsewhere_both", InstigatorStatus.STOPPED)
    assert on() == {"both": True, "weekly": False}
    project.declare("exports/weekly.yaml", "kind: dataset\nconnection: outbox\ndatasets: [orders]\npath: weekly/{export_time}\n")
    assert on() == {"both": True, "weekly": None}


def _switch(project: Project, schedule: str, status: InstigatorStatus) -> None:
    """As the UI's toggle does it."""
    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="cdp_exports.definitions"), location_name="cdp_exports")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), schedule)
    with DagsterInstance.from_config(str(project.root)) as instance:
        instance.add_instigator_state(
            InstigatorState(origin, InstigatorType.SCHEDULE, status, ScheduleInstigatorData("0 * * * *", start_timestamp=None))
        )


def test_show(project: Project) -> None:
    at = project.json("run", "both", "--member", "orders")["export_time"]
    document = project.json("show", "both")
    assert same_keys(document, SHAPES["show"]) == []
    orders, customers = document["chains"]
    assert (orders["last_delivery"]["export_time"], orders["last_delivery"]["sequence"]) == (at, 1)
    assert customers["last_delivery"] is None
    assert document["declaration"]["changes"] == "all"
    shown = project.call("show", "both")
    assert shown.exit_code == 0
    for word in ("both", "incremental, changes: all", "order_id", at, "none yet"):
        assert word in shown.stdout


def test_history(project: Project) -> None:
    assert project.json("history")["entries"] == []
    assert project.call("history").stdout.strip() == "Nothing was delivered yet."
    at = project.json("run", "both", "--member", "orders")["export_time"]
    project.json("run", "both", "--member", "orders", "--at", "202601010000", status=3)
    document = project.json("history", "both")
    assert same_keys(document, SHAPES["history"]) == []
    delivery, skip = document["entries"]
    assert (delivery["type"], delivery["export_time"], delivery["state"], delivery["running"]) == ("delivery", at, "committed", False)
    assert [attempt["status"] for attempt in delivery["attempts"]] == ["committed"]
    assert (skip["type"], skip["state"], skip["reason"]) == ("skip", "skipped", "covered_by")
    assert project.json("history", "--limit", "1")["entries"] == [delivery]
    shown = project.call("history")
    for word in (at, "committed", "skipped", "covered_by", skip["message"]):
        assert word in shown.stdout


def test_the_history_of_an_export_outlives_it(project: Project) -> None:
    project.json("run", "both", "--member", "orders", "--at", "202601010000")
    both = project.root / "catalog" / "exports" / "both.yaml"
    both.rename(both.with_name("renamed.yaml"))
    assert [entry["export"] for entry in project.json("history", "both")["entries"]] == ["both"]
    with both.with_name("renamed.yaml").open("a", encoding="utf-8") as declared:
        declared.write("formerly: both\n")
    project.json("run", "renamed", "--member", "orders")
    assert [entry["export"] for entry in project.json("history", "renamed")["entries"]] == ["renamed", "both"]


def test_plan_tells_and_changes_nothing(project: Project) -> None:
    document = project.json("plan", "both")
    assert same_keys(document, SHAPES["plan"]) == []
    assert [(member["increment"], member["reason"], member["rows_estimate"]) for member in document["members"]] == [
        ("full", "first delivery", 5)
    ] * 2
    assert project.files("*") == []
    assert project.json("history")["entries"] == []
    at = project.json("run", "both")["export_time"]
    project.write("orders", [6])
    orders, customers = project.json("plan", "both")["members"]
    assert (orders["increment"], orders["previous_export_time"], orders["sequence"]) == ("changes", at, 2)
    assert (orders["versions"][0]["after"], orders["versions"][0]["upto"]) == (0, 1)
    assert customers["increment"] == "nothing"
    assert project.json("plan", "both", "--full")["members"][1]["reason"] == "asked for with --full"
    shown = project.call("plan", "both")
    for word in ("changes", "nothing", f"since {at}", "Nothing was sent."):
        assert word in shown.stdout


def test_plan_warns_where_history_ends_before_the_next_delivery(project: Project) -> None:
    project.declare(
        "exports/weekly.yaml",
        'kind: dataset\nconnection: outbox\ndatasets: [orders]\npath: monthly/{dataset_id}/{export_time}\nschedule: {cron: "0 3 1 * *"}\n',
    )
    (weekly,) = project.json("plan", "weekly")["members"]
    assert weekly["warnings"]
    assert "744 hours" in weekly["warnings"][0]
    assert "168 hours" in weekly["warnings"][0]
    assert "168 hours" in project.call("plan", "weekly").stdout
    assert project.json("plan", "both")["members"][0]["warnings"] == []


def test_the_longest_gap() -> None:
    assert longest_gap_hours(Cadence(daily_at=("02:00",)), "UTC") == 24
    assert longest_gap_hours(Cadence(daily_at=("02:00",)), "Europe/Paris") == 25  # the day on which summer time ends
    assert longest_gap_hours(Cadence(every="6h", end="2020-01-01T00:00Z"), "UTC") == 6
    assert longest_gap_hours(Cadence(monthly_on=(1, 15), at=("02:00",)), "UTC") == 17 * 24
    assert longest_gap_hours(Cadence(cron="0 0 29 2 *"), "UTC") > 8000
