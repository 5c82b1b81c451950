"""`expire`: files whose time is over."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.ledger import clock
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys


def test_files_are_removed_when_their_time_is_over(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.declare("connections/outbox.yaml", "type: local\nfolder: outbox\nkeep_for: 7d\n")
    at = project.json("run", "both")["export_time"]
    assert project.json("expire") == {"deliveries": []}
    assert "No file's time is over." in project.call("expire").stdout
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda connection: now(connection) + timedelta(days=7, minutes=1))
    removed = project.json("expire", "outbox")
    assert same_keys(removed, SHAPES["expire"]) == []
    assert [(one["export_time"], one["member"], one["files"]) for one in removed["deliveries"]] == [(at, "orders", 1), (at, "customers", 1)]
    assert project.files("*/*/*.parquet") == [] and len(project.files("*/*/_manifest")) == 2
    assert "their time was over" in project.call("verify", "both").stdout.replace("\n", " ")
    assert "no connection 'outbux'" in project.json("expire", "outbux", status=2)["error"]["message"]
