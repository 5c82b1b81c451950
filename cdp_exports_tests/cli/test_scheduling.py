"""`schedule`: what it switches and writes, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from dagster import DagsterInstance

from cdp_exports.catalog.load import load
from cdp_exports.catalog.rescheduling import with_schedule
from cdp_exports.catalog.writing import replace_files
from cdp_exports.catalog.yaml import read
from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.cli.program import program
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys

WORKSPACE = "load_from:\n  - python_module: {module_name: cdp_exports.definitions, location_name: exports}\n"
EVERY = {"every": "6h", "start": "2026-12-01T02:00Z"}
SAID = "{every: 6h, start: 2026-12-01T02:00Z}"


def content(project: Project, export: str) -> str:
    return (project.root / "catalog" / "exports" / f"{export}.yaml").read_bytes().decode()


def states(project: Project) -> dict[str, str]:
    with DagsterInstance.from_config(str(project.root)) as instance:
        return {state.instigator_name: state.status.value for state in instance.all_instigator_state()}


@pytest.fixture
def served(project: Project) -> Project:
    """A project whose workspace.yaml says what the daemon loads."""
    (project.root / "workspace.yaml").write_text(WORKSPACE)
    return project


def on(project: Project) -> dict[str, bool | None]:
    return {export["export"]: export["schedule_on"] for export in project.json("list")["exports"]}


def test_on_and_off_switch_the_instance_only(served: Project) -> None:
    before = {export: content(served, export) for export in ("both", "weekly")}
    assert on(served) == {"both": False, "weekly": True}
    document = served.json("schedule", "both", "weekly", "--keep", "on")
    assert same_keys(document, SHAPES["schedule"]) == []
    assert [(export["export"], export["switched"], export["schedule_on"]) for export in document["exports"]] == [
        ("both", True, True),
        ("weekly", False, True),
    ]
    assert document["files"] == []
    assert on(served) == {"both": True, "weekly": True}
    assert states(served) == {"acme_both": "RUNNING"}, "what nobody touched stays as it is declared"
    assert served.call("schedule", "weekly", "--keep", "off").exit_code == 0
    assert on(served) == {"both": True, "weekly": False}
    assert {export: content(served, export) for export in before} == before


def test_the_state_is_the_toggle_of_the_ui(served: Project) -> None:
    """Written under the ids by which Dagster's own daemon and webserver find the schedule."""
    from dagster._core.definitions.selector import InstigatorSelector
    from dagster._core.scheduler.instigation import ScheduleInstigatorData

    before = datetime.now(UTC).timestamp() - 1
    served.json("schedule", "both", "--keep", "on")
    with DagsterInstance.from_config(str(served.root)) as instance:
        (state,) = instance.all_instigator_state()
        selector = InstigatorSelector(location_name="exports", repository_name="__repository__", name="acme_both")
        assert state.selector_id == selector.get_id()
        data = state.instigator_data
        assert isinstance(data, ScheduleInstigatorData)
        assert data.start_timestamp
        assert data.start_timestamp > before, "what it missed while it was off is not made up for"


def test_the_next_export_time_is_that_of_schedules_that_are_on(served: Project) -> None:
    listed = {export["export"]: export["next_export_time"] for export in served.json("list")["exports"]}
    assert listed["both"] is None
    weekly = datetime.strptime(listed["weekly"], "%Y%m%d%H%M").replace(tzinfo=UTC)
    assert weekly > datetime.now(UTC)
    assert (weekly.weekday(), weekly.hour, weekly.minute) == (0, 3, 0)
    assert served.json("show", "weekly")["next_export_times"][0] == listed["weekly"]
    assert served.json("show", "both")["next_export_times"] == []
    assert listed["weekly"] in served.call("list").stdout
    assert listed["weekly"] in served.call("show", "weekly").stdout


def test_nobody_knows_where_the_schedules_are(project: Project) -> None:
    ended = project.call("schedule", "both", "--keep", "on")
    assert ended.exit_code == 2
    assert "Which code location has these exports is not known" in ended.stderr
    assert states(project) == {}
    (project.root / "workspace.yaml").write_text(WORKSPACE + WORKSPACE.partition("\n")[2].replace("name: exports", "name: others"))
    ended = project.call("schedule", "both", "--keep", "on")
    assert ended.exit_code == 2
    assert "names 2 code locations" in ended.stderr


def test_a_new_schedule_for_all_keeps_everything_else(served: Project) -> None:
    served.declare("exports/both.yaml", content(served, "both").replace("active: false", "# Not yet.\nactive: false  # until May"))
    before = content(served, "both")
    weekly = content(served, "weekly")
    document = served.json("schedule", "--search", "outbox", "--every", "6h", "--start", "2026-12-01T02:00Z", "--yes")
    assert same_keys(document, SHAPES["schedule"]) == []
    assert [(export["before"], export["schedule"]) for export in document["exports"]] == [
        ("every 3h", "every 6h"),
        ("0 3 * * 1 UTC", "every 6h"),
    ]
    assert content(served, "both") == before.replace("{every: 3h}", SAID)
    assert content(served, "weekly") == weekly.replace('{cron: "0 3 * * 1"}', SAID)
    assert on(served) == {"both": False, "weekly": True}
    assert states(served) == {}
    again = served.json("schedule", "both", "--every", "6h", "--start", "2026-12-01T02:00Z", "--yes")
    assert again["files"] == []


def test_it_asks(served: Project) -> None:
    before = content(served, "both")
    refused = CliRunner(catch_exceptions=False).invoke(program, ["schedule", "both", "--daily-at", "02:00"], input="n\n")
    assert refused.exit_code == 1
    assert "every 3h" in refused.stdout
    assert "daily at 02:00 UTC" in refused.stdout
    assert content(served, "both") == before
    agreed = CliRunner(catch_exceptions=False).invoke(program, ["schedule", "both", "--daily-at", "02:00", "--keep", "on"], input="y\n")
    assert agreed.exit_code == 0, agreed.output
    assert content(served, "both") == before.replace("{every: 3h}", '{daily_at: "02:00"}')
    assert "loaded again" in agreed.stdout
    assert on(served)["both"]


@pytest.mark.parametrize(
    ("options", "declared"),
    [
        (["--daily-at", "02:00", "--daily-at", "14:00"], '{daily_at: ["02:00", "14:00"]}'),
        (["--weekly-on", "monday", "--weekly-on", "friday", "--at", "02:00"], '{weekly_on: [monday, friday], at: "02:00"}'),
        (
            ["--monthly-on", "1", "--monthly-on", "last", "--at", "06:00", "--at", "18:00", "--time-zone", "Europe/Paris"],
            '{monthly_on: [1, last], at: ["06:00", "18:00"], time_zone: Europe/Paris}',
        ),
        (["--cron", "30 6 * * 1-5", "--end", "2027-06-30T00:00+02:00"], '{cron: "30 6 * * 1-5", end: 2027-06-30T00:00+02:00}'),
    ],
)
def test_every_cadence(served: Project, options: list[str], declared: str) -> None:
    before = content(served, "both")
    assert served.call("schedule", "both", *options, "--yes").exit_code == 0
    assert content(served, "both") == before.replace("{every: 3h}", declared)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["both"], "Say what to do"),
        (["--keep", "on"], "Name exports"),
        (["bth", "--keep", "on"], "did you mean 'both'"),
        (["--search", "nowhere", "--keep", "off"], "No export has 'nowhere'"),
        (["both", "--every", "4h", "--yes"], "'4h' is not one of"),
        (["both", "--every", "3h", "--daily-at", "02:00", "--yes"], "exactly one of"),
        (["both", "--weekly-on", "monday", "--yes"], "needs a time"),
        (["both", "--monthly-on", "32", "--at", "02:00", "--yes"], "1 to 31, or `last`"),
        (["both", "--every", "3h", "--json"], "give --yes"),
        (["both", "--start", "2026-12-01T02:00Z", "--yes"], "here: none"),
    ],
)
def test_what_is_wrong_is_said(served: Project, arguments: list[str], said: str) -> None:
    before = content(served, "both")
    ended = served.call("schedule", *arguments)
    assert ended.exit_code == 2, ended.output
    assert said in ended.stderr
    assert content(served, "both") == before


def test_exports_on_demand_have_no_switch(served: Project) -> None:
    served.declare("exports/manual.yaml", "kind: dataset\nconnection: outbox\ndatasets: [orders]\npath: m/{export_time}\n")
    ended = served.call("schedule", "both", "manual", "--keep", "on")
    assert ended.exit_code == 2
    assert "manual: on demand only" in ended.stderr
    assert states(served) == {}
    found = served.json("schedule", "--search", "outbox", "--keep", "on")
    assert [(export["export"], export["schedule_on"]) for export in found["exports"]] == [
        ("both", True),
        ("manual", None),
        ("weekly", True),
    ]
    assert served.call("schedule", "manual", "--every", "3h", "--keep", "on", "--yes").exit_code == 0
    assert on(served)["manual"]


def test_all_files_or_none(served: Project) -> None:
    """One of them holds a comment within its schedule, which cannot be kept."""
    served.declare("exports/weekly.yaml", content(served, "weekly").replace("{cron:", "{  # on Mondays\n  cron:"))
    before = content(served, "both")
    ended = served.call("schedule", "both", "weekly", "--every", "6h", "--yes", "--keep", "on")
    assert ended.exit_code == 2
    assert "weekly.yaml cannot be changed as text" in ended.stderr
    assert "schedule: {every: 6h}" in ended.stderr
    assert content(served, "both") == before
    assert on(served)["both"] is False


def test_a_file_that_cannot_be_written(served: Project) -> None:
    """The first of two could be; it is as it was."""
    before = content(served, "both")
    folder = served.root / "catalog" / "exports"
    (folder / ".weekly.yaml.partial").mkdir()
    ended = served.call("schedule", "both", "weekly", "--every", "6h", "--yes")
    assert ended.exit_code == 2
    assert "weekly.yaml cannot be written" in ended.stderr
    assert content(served, "both") == before
    assert sorted(file.name for file in folder.iterdir()) == [".weekly.yaml.partial", "both.yaml", "weekly.yaml"]


def test_files_that_were_replaced_are_put_back(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"1")
    second.mkdir()  # a file never takes its place
    with pytest.raises(DeclarationError, match="second cannot be written"):
        replace_files({first: b"2", second: b"2"})
    assert first.read_bytes() == b"1"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["first", "second"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kind: dataset\nschedule: {every: 3h}  # often\nactive: false\n", "kind: dataset\nschedule: NEW  # often\nactive: false\n"),
        (
            "schedule:\n  every: 3h\n  end: 2027-01-01T00:00Z   # then no more\n\n# Next\nactive: false\n",
            "schedule: NEW   # then no more\n\n# Next\nactive: false\n",
        ),
        ("schedule:\n  weekly_on:\n  - monday\n  - friday\n  at: '02:00'\nactive: false\n", "schedule: NEW\nactive: false\n"),
        ("schedule:\n  at: '02:00'\n  weekly_on:\n    - monday\n    - friday\n# end\n", "schedule: NEW\n# end\n"),
        ("schedule: {\n  every: 3h,\n  end: 2027-01-01T00:00Z }\nactive: false", "schedule: NEW\nactive: false"),
        ("schedule:\nactive: false\n", "schedule: NEW\nactive: false\n"),
        ('schedule: {daily_at: "#1"} # one\n', "schedule: NEW # one\n"),
        ('"schedule" : {every: 3h}\r\nactive: false\r\n', '"schedule" : NEW\r\nactive: false\r\n'),
        ("kind: dataset\nactive: false", "kind: dataset\nactive: false\nschedule: NEW\n"),
        ("kind: dataset\r\n# no schedule yet\r\n", "kind: dataset\r\n# no schedule yet\r\nschedule: NEW\r\n"),
        ("  kind: dataset\n  active: false\n", "  kind: dataset\n  active: false\n  schedule: NEW\n"),
        ("\ufeffschedule: {every: 3h}\n", "\ufeffschedule: NEW\n"),
        (
            "description: |\n  schedule: {every: 3h}\n\nschedule: {every: 3h}\n",
            "description: |\n  schedule: {every: 3h}\n\nschedule: NEW\n",
        ),
    ],
)
def test_writing_keeps_everything_else(before: str, after: str) -> None:
    made = with_schedule(before.encode(), EVERY)
    assert made is not None
    assert made.decode() == after.replace("NEW", SAID)
    assert read(made)["schedule"] == EVERY


@pytest.mark.parametrize(
    "before",
    [
        "schedule:\n  # as the CRM wants\n  every: 3h\n",
        "schedule:  # as the CRM wants\n  every: 3h\n",
        "schedule:\n  every: 3h  # often\n  end: 2027-01-01T00:00Z\n",
        "schedule: {every: 3h, # often\n  end: 2027-01-01T00:00Z}\n",
        "{kind: dataset, schedule: {every: 3h}}\n",
        "kind: dataset\n...\n",
    ],
)
def test_what_cannot_be_kept_is_not_changed(before: str) -> None:
    assert with_schedule(before.encode(), EVERY) is None


def test_a_change_that_the_catalog_refuses_is_not_written(served: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole catalog is judged with the change before a file is written; here another file became wrong meanwhile."""
    before = content(served, "both")
    rescheduled: list[Path] = []

    def spoiled(content: bytes, schedule: dict[str, object]) -> bytes | None:
        served.declare("exports/weekly.yaml", "kind: dataset\n")
        rescheduled.append(served.root)
        return with_schedule(content, schedule)

    monkeypatch.setattr("cdp_exports.catalog.rescheduling.with_schedule", spoiled)
    ended = served.call("schedule", "both", "--every", "6h", "--yes")
    assert rescheduled
    assert ended.exit_code == 2
    assert "exports/weekly.yaml" in ended.stderr
    assert content(served, "both") == before


def test_instead_of_what_a_file_holds(project: Project) -> None:
    made = with_schedule(content(project, "both").encode(), EVERY)
    assert made is not None
    catalog = load(project.root / "catalog", {"exports/both.yaml": made})
    cadence = catalog.exports["both"].schedule
    assert cadence is not None
    assert cadence.every == "6h"
