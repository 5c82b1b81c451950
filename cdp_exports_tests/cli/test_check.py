"""`check`, as typed."""

from __future__ import annotations

import pytest

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys


def test_all_connections_in_order(project: Project) -> None:
    ended = project.call("check")
    assert ended.exit_code == 0, ended.output
    assert "read back" in ended.output
    assert list((project.root / "outbox").iterdir()) == []


def test_one_that_is_not(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOBODYS_KEY", raising=False)
    project.declare(
        "connections/bucket.yaml",
        "type: s3\nbucket: exports\naccess_key_id: {env: NOBODYS_KEY}\nsecret_access_key: {env: NOBODYS_KEY}\n",
    )
    document = project.json("check", status=1)
    assert same_keys(document, SHAPES["check"]) == []
    assert {one["connection"]: one["status"] for one in document["connections"]} == {"bucket": "failed", "outbox": "ok"}
    assert project.json("check", "outbox")["status"] == "ok"
    said = project.call("check", "bucket")
    assert said.exit_code == 1
    assert "The environment variable NOBODYS_KEY is not set." in said.output
    assert "Set NOBODYS_KEY where the run executes" in said.output


def test_the_state_folder_too(project: Project) -> None:
    project.declare("environment.yaml", "name: acme\nstate: {type: local, folder: state}\n")
    assert [one["connection"] for one in project.json("check")["connections"]] == ["outbox", "environment.yaml: state"]
    assert [one["connection"] for one in project.json("check", "outbox", "outbox")["connections"]] == ["outbox"]


def test_a_folder_that_is_none(project: Project) -> None:
    (project.root / "outbox").write_text("a file")
    ended = project.call("check")
    assert ended.exit_code == 1
    assert f"{project.root / 'outbox'}" in ended.output
    assert (project.root / "outbox").read_text() == "a file"


def test_a_connection_that_is_not_there(project: Project) -> None:
    ended = project.call("check", "outbx")
    assert ended.exit_code == 2
    assert "There is no connection 'outbx' (did you mean 'outbox'?)." in ended.output
