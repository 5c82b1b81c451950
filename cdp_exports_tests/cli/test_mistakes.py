"""A user's mistakes: a sentence, a next step, the right exit status, never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cdp_exports_tests.cli.conftest import Project


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], "No such command 'rum'"),
        (["run"], "Name an export, or say --all"),
        (["run", "bth"], "There is no export 'bth' (did you mean 'both'?)"),
        (["run", "both", "--member", "order"], "both has no member 'order' (did you mean 'orders'?)"),
        (["run", "both", "--at", "2026-12-01"], "is not an export time. Write the UTC minute as YYYYMMDDHHMM"),
        (["run", "both", "--at", "202613010000"], "is not an export time"),
        (["run", "both", "--at", "209912010000"], "is in the future"),
        (["run", "both", "--fast"], "No such option"),
        (["show", "bth"], "(did you mean 'both'?)"),
        (["plan", "bth"], "(did you mean 'both'?)"),
        (["history", "bth"], "(did you mean 'both'?)"),
        (["history", "--limit", "0"], "0 is not in the range"),
        (["verify", "bth"], "(did you mean 'both'?)"),
        (["verify", "both", "--at", "202601010000"], "no committed delivery at 202601010000"),
        (["verify", "both", "--member", "x"], "both has no member 'x'"),
        (["replay", "both"], "Missing option '--at'"),
        (["replay", "both", "--at", "202601010000"], "no committed delivery at 202601010000"),
        (["replay", "both", "--at", "202601010000", "--to", "again"], "choose one with --member"),
        (["resolve", "both", "--at", "202601010000"], "Say --delivered or --resend"),
        (["resolve", "both", "--at", "202601010000", "--delivered"], "is unknown, not in doubt"),
        (["adopt", "bth"], "(did you mean 'both'?)"),
        (["--catalog", "nowhere", "list"], "There is no folder"),
        (["list", "--catalog", "nowhere"], "There is no folder"),
        (["schema", "--write", "--catalog", "no/such/folder"], "There is no folder"),
        (["demo"], "This is not the demo's catalog"),
    ],
)
def test_a_wrong_command(project: Project, arguments: list[str], said: str) -> None:
    ended = project.call(*arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def _broken_catalog(project: Project) -> None:
    project.declare("exports/both.yaml", "kind: dataset\nconection: outbox\ndatasets: [order]\n")
    project.declare("exports/other.yaml", "kind: [\n")


def _no_catalog(project: Project) -> None:
    (project.root / "pyproject.toml").unlink()


def _no_home(project: Project) -> None:
    (project.root / "dagster.yaml").unlink()


def _broken_home(project: Project) -> None:
    (project.root / "dagster.yaml").write_text("storag: {}\n", encoding="utf-8")


def _unreadable_home(project: Project) -> None:
    (project.root / "dagster.yaml").write_text("a: [\n", encoding="utf-8")


def _ledger_without_url(project: Project) -> None:
    project.declare("environment.yaml", "name: acme\nledger: {env: NO_SUCH_VARIABLE}\n")


@pytest.mark.parametrize("command", ["list", "run"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_broken_catalog, "exports/both.yaml:2:"),
        (_broken_catalog, "exports/other.yaml"),
        (_no_catalog, "There is no catalog"),
        (_no_home, "Dagster's home is not known"),
        (_broken_home, "Dagster cannot use its home"),
        (_unreadable_home, "Dagster cannot use its home"),
        (_ledger_without_url, "The environment variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_a_wrong_project(project: Project, command: str, spoil: Callable[[Project], None], said: str) -> None:
    spoil(project)
    ended = project.call(command, *(["both"] if command == "run" else []))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr


def test_a_home_that_is_not_there(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(project.root / "gone"))
    ended = project.call("list")
    assert ended.exit_code == 2
    assert "gone is not there" in ended.stderr


def test_a_ledger_that_is_none(project: Project) -> None:
    (project.root / "ledger.db").write_bytes(b"this is no database, whatever its name says" * 100)
    ended = project.call("list")
    assert ended.exit_code == 1
    assert "ledger" in ended.stderr


def _no_table(project: Project) -> None:
    (project.root / "data" / "orders").rename(project.root / "data" / "gone")


def _destination_is_a_file(project: Project) -> None:
    (project.root / "outbox").write_text("not a folder", encoding="utf-8")


@pytest.mark.parametrize(("spoil", "code"), [(_no_table, "source_unreadable"), (_destination_is_a_file, "destination_refused")])
def test_a_failed_delivery_says_why_and_what_to_do(project: Project, spoil: Callable[[Project], None], code: str) -> None:
    spoil(project)
    ended = project.call("run", "both", "--member", "orders")
    assert ended.exit_code == 1
    assert f"[{code}]" in ended.stdout
    (member,) = project.json("run", "both", "--member", "orders", status=1)["members"]
    assert (member["status"], member["error"]["code"]) == ("failed", code)
    assert member["error"]["next_step"]
    assert project.files("orders/*/*") == []


def test_a_plan_that_cannot_be_made_says_why(project: Project) -> None:
    _no_table(project)
    orders, customers = project.json("plan", "both", status=1)["members"]
    assert (orders["increment"], orders["error"]["code"]) == (None, "source_unreadable")
    assert (customers["increment"], customers["error"]) == ("full", None)
    assert set(orders) == set(customers)


def test_with_json_an_error_is_a_document(project: Project) -> None:
    error = project.json("run", "bth", status=2)["error"]
    assert set(error) == {"code", "reason", "permanent", "message", "next_step", "export", "member", "export_time"}
    assert error["code"] == "declaration"
    assert "bth" in error["message"]


def test_an_unexpected_failure_is_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdp_exports.cli.listing.schedules_on", lambda *_: 1 / 0)
    ended = project.call("list")
    assert ended.exit_code == 1
    assert "CDP_EXPORTS_DEBUG=1" in ended.stderr
    assert "ZeroDivisionError" in ended.stderr
    monkeypatch.setenv("CDP_EXPORTS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        project.call("list")


def test_the_schema_is_printed_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = Project(tmp_path).call("schema")
    assert ended.exit_code == 0
    assert set(json.loads(ended.stdout)) == {"environment", "connection", "dataset", "segment", "export"}


def test_the_schema_is_written_into_the_catalog(project: Project) -> None:
    ended = project.call("schema", "--write")
    assert ended.exit_code == 0
    assert [Path(line).name for line in ended.stdout.splitlines()] == [
        "environment.json",
        "connection.json",
        "dataset.json",
        "segment.json",
        "export.json",
    ]
    assert (project.root / "catalog" / ".schema" / "export.json").is_file()
    assert project.call("list").exit_code == 0
