"""`verify`, `replay`, `resolve`, `adopt`: after something was lost."""

from __future__ import annotations

import pytest

from cdp_exports.assets import ledger
from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.delivery import manifest
from cdp_exports.destinations.local import LocalDestination
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys


def test_verify_finds_what_differs_and_replay_mends_it(project: Project) -> None:
    at = project.json("run", "both")["export_time"]
    document = project.json("verify", "both")
    assert same_keys(document, SHAPES["verify"]) == []
    assert (document["intact"], [verdict["member"] for verdict in document["deliveries"]]) == (True, ["orders", "customers"])
    (file,) = project.files("orders/*/*.parquet")
    file.write_bytes(file.read_bytes()[:-1])
    project.files("customers/*/*.parquet")[0].unlink()
    document = project.json("verify", "both", "--at", at, status=1)
    assert [verdict["intact"] for verdict in document["deliveries"]] == [False, False]
    ended = project.call("verify", "both")
    assert ended.exit_code == 1
    assert "is missing" in ended.stdout
    assert project.json("verify", "both", "--member", "orders", status=1)["deliveries"][0]["member"] == "orders"
    replayed = project.json("replay", "both", "--at", at)
    assert same_keys(replayed, SHAPES["replay"]) == []
    assert project.json("verify", "both")["intact"]


def test_verify_before_anything_was_delivered(project: Project) -> None:
    assert project.json("verify", "both") == {"export": "both", "intact": True, "deliveries": []}
    assert "delivered nothing yet" in project.call("verify", "both").stdout


def test_an_intact_delivery_is_replayed_on_request_only(project: Project) -> None:
    at = project.json("run", "both")["export_time"]
    error = project.json("replay", "both", "--at", at, "--member", "orders", status=2)["error"]
    assert "--replace" in error["next_step"]
    (replayed,) = project.json("replay", "both", "--at", at, "--member", "orders", "--replace")["deliveries"]
    assert replayed["files"] == 1
    project.json("replay", "both", "--at", at, "--member", "orders", "--to", "again/orders")
    assert len(project.files("again/orders/*.parquet")) == 1
    assert "committed" in project.call("replay", "both", "--at", at, "--member", "orders", "--replace").stdout


@pytest.fixture
def in_doubt(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    """An export time whose run was interrupted between its intent to publish and the manifest."""
    create = LocalDestination.create

    def interrupted(destination: LocalDestination, path: str, content: bytes) -> bool:
        if path.endswith(manifest.NAME):
            raise KeyboardInterrupt
        return create(destination, path, content)

    with monkeypatch.context() as patched:
        patched.setattr(LocalDestination, "create", interrupted)
        assert project.call("run", "both", "--member", "orders").exit_code == 130
    (entry,) = [entry for entry in project.json("history")["entries"] if entry["type"] == "delivery"]
    assert (entry["state"], entry["running"]) == ("publishing", False)
    return str(entry["export_time"])


def test_doubt_is_shown_and_ends_as_delivered(project: Project, in_doubt: str) -> None:
    assert "in doubt" in project.call("history").stdout
    assert any("in doubt" in warning for warning in project.json("plan", "both")["members"][0]["warnings"])
    (orders,) = project.json("run", "both", "--member", "orders", status=1)["members"]
    assert orders["error"]["code"] == "in_doubt"
    assert f"cdp-exports resolve both --member orders --at {in_doubt}" in orders["error"]["next_step"]
    document = project.json("resolve", "both", "--member", "orders", "--at", in_doubt, "--delivered")
    assert same_keys(document, SHAPES["resolve"]) == []
    assert document["deliveries"][0]["state"] == "committed"
    (orders,) = project.json("plan", "both")["members"][:1]
    assert orders["increment"] == "nothing"


def test_doubt_ends_as_resent(project: Project, in_doubt: str) -> None:
    ended = project.call("resolve", "both", "--at", in_doubt, "--resend")
    assert ended.exit_code == 0
    assert f"cdp-exports run both --at {in_doubt}" in ended.stdout
    (orders,) = project.json("run", "both", "--at", in_doubt, "--member", "orders")["members"]
    assert (orders["status"], orders["sent"]) == ("committed", True)
    assert project.json("verify", "both")["intact"]


def test_a_lost_ledger_is_adopted(project: Project) -> None:
    at = project.json("run", "both")["export_time"]
    for file in project.root.glob("ledger.db*"):
        file.rename(file.with_name(f"lost-{file.name}"))
    ledger._open.cache_clear()
    assert project.json("plan", "both", status=1)["members"][0]["error"]["code"] == "ledger_behind"
    (orders, _) = project.json("run", "both", status=1)["members"]
    assert orders["error"]["code"] == "ledger_behind"
    document = project.json("adopt", "both")
    assert document == {"export": "both", "adopted": {"orders": 1, "customers": 1}}
    assert "2" not in [line.split()[-1] for line in project.call("adopt", "both").stdout.splitlines() if line.strip()]
    assert project.json("show", "both")["chains"][0]["last_delivery"]["export_time"] == at
    assert [member["status"] for member in project.json("run", "both")["members"]] == ["committed", "committed"]
