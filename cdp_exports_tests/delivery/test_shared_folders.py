"""Deliveries in one folder: under names with the time, or each in the place of the one before."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, NotIntact
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World, hurry
from cdp_exports_tests.servers.seaweedfs import EXPORTER, Bucket
from cdp_exports_tests.test_reading import SNIPPETS

CSV = {"type": "csv", "compression": "none"}
TIMED = {"path": "drop", "file_name": "{export_id}_{export_time}", "format": CSV}
FIXED = {"path": "drop", "file_name": "latest", "overwrite": True, "mode": "full", "changes": "added", "format": CSV}
CONTROL = f"drop/_manifests/{EXPORT}.orders"

Begin = Callable[..., World]


@pytest.fixture(params=["local", "s3"])
def begin(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """A world at a real destination, with an export that is declared so."""
    if request.param == "local":
        return lambda export: World.create(tmp_path, export=export)
    bucket: Bucket = request.getfixturevalue("bucket")
    monkeypatch.setitem(os.environ, "TEST_KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setitem(os.environ, "TEST_SECRET", EXPORTER.secret_access_key)
    connection = {
        "type": "s3",
        "bucket": bucket.name,
        "folder": bucket.folder,
        "endpoint_url": bucket.url,
        "region": "us-east-1",
        "access_key_id": {"env": "TEST_KEY_ID"},
        "secret_access_key": {"env": "TEST_SECRET"},
    }
    return lambda export: World.create(tmp_path, connection=connection, export=export)


def rows(*ids: int) -> list[dict[str, Any]]:
    return [{"id": n, "v": "a"} for n in ids]


def paths(world: World) -> set[str]:
    return {stored.path for stored in world.destination.list("")}


def ids(world: World, path: str) -> list[int]:
    return [int(row["id"]) for row in csv.DictReader(io.StringIO((world.destination.read(path) or b"").decode()))]


def latest(world: World) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(world.destination.read(f"{CONTROL}/_latest") or b"")
    return document


def committed(world: World, export_time: str) -> None:
    outcome = world.deliver(export_time)
    assert outcome.status == "committed" and outcome.sent, outcome


def test_names_with_the_time(begin: Begin) -> None:
    world = begin(TIMED)
    world.write(rows(1, 2))
    committed(world, TIMES[0])
    world.write(rows(3))
    committed(world, TIMES[1])
    names = [f"drop/{EXPORT}_{time}.csv" for time in TIMES[:2]]
    assert paths(world) == {*names, f"{CONTROL}/_owner", *(f"{CONTROL}/{time}" for time in TIMES[:2])}
    assert sorted(ids(world, names[0])) == [1, 2] and ids(world, names[1]) == [3]
    document = json.loads(world.destination.read(f"{CONTROL}/{TIMES[1]}") or b"")
    assert (document["folder"], document["files"][0]["path"]) == ("../..", f"{EXPORT}_{TIMES[1]}.csv")
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]


def test_receivers_of_a_shared_folder(tmp_path: Path) -> None:
    """The snippet of docs/receivers.md, as it stands."""
    world = World.create(tmp_path, export=TIMED)
    for n, time in enumerate(TIMES[:3]):
        world.write(rows(n))
        committed(world, time)
    snippet: dict[str, Any] = {}
    exec(SNIPPETS["in-one-folder"], snippet)
    found = snippet["deliveries_in"](tmp_path / "out" / CONTROL, after=TIMES[0])
    assert [manifest["export_time"] for manifest, _ in found] == TIMES[1:3]
    assert [files for _, files in found] == [[str(tmp_path / "out" / "drop" / f"{EXPORT}_{time}.csv")] for time in TIMES[1:3]]
    assert all(Path(file).is_file() for _, files in found for file in files)


def test_the_ledger_is_rebuilt_from_a_shared_folder(begin: Begin) -> None:
    world = begin(TIMED)
    world.write(rows(1))
    committed(world, TIMES[0])
    world.write(rows(2))
    committed(world, TIMES[1])
    before = [delivery.pin.folder for delivery in world.ledger.committed("test", (EXPORT,), ("orders",))]
    world.ledger.close()
    world.__dict__["ledger"] = Ledger.open(f"sqlite:///{world.folder}/another.db")
    world.__dict__.pop("context")
    behind = world.deliver(TIMES[2])
    assert behind.error is not None and behind.error.code == "ledger_behind"
    assert adopt(world.member) == 2
    assert [delivery.pin.folder for delivery in world.ledger.committed("test", (EXPORT,), ("orders",))] == before
    world.write(rows(3))
    committed(world, TIMES[3])
    assert ids(world, f"drop/{EXPORT}_{TIMES[3]}.csv") == [3]
    assert [verdict.differences for verdict in verify(world.member)] == [(), (), ()]


def test_the_ledger_is_rebuilt_from_fixed_names(begin: Begin) -> None:
    world = begin(FIXED)
    for n in range(3):
        world.write(rows(n))
        committed(world, TIMES[n])
    world.ledger.close()
    world.__dict__["ledger"] = Ledger.open(f"sqlite:///{world.folder}/another.db")
    world.__dict__.pop("context")
    assert adopt(world.member) == 3
    assert sorted(ids(world, "drop/latest.csv")) == [0, 1, 2]
    verdicts = list(verify(world.member))
    assert [verdict.differences for verdict in verdicts] == [(), (), ()] and [verdict.over is None for verdict in verdicts] == [0, 0, 1]
    world.write(rows(3))
    committed(world, TIMES[3])
    assert sorted(ids(world, "drop/latest.csv")) == [0, 1, 2, 3]


def test_a_file_that_somebody_else_put_there_stays(begin: Begin) -> None:
    world = begin(FIXED)
    world.destination.put("drop/latest.csv", b"theirs")
    world.write(rows(1))
    refused = world.deliver(TIMES[0])
    assert refused.error is not None and refused.error.code == "occupied"
    assert world.destination.read("drop/latest.csv") == b"theirs"
    world.destination.delete(["drop/latest.csv"])
    committed(world, TIMES[0])
    assert ids(world, "drop/latest.csv") == [1]
    assert world.data_files() == {"drop/latest.csv"}


def test_deliveries_take_each_others_place(begin: Begin) -> None:
    world = begin({**FIXED, "format": {**CSV, "max_rows_per_file": 2}})
    world.write(rows(1, 2, 3, 4, 5))
    committed(world, TIMES[0])
    assert paths(world) >= {"drop/latest.csv", "drop/latest_2.csv", "drop/latest_3.csv"}
    world.delete("id > 3")
    committed(world, TIMES[1])
    files = {path for path in paths(world) if path.startswith("drop/l")}
    assert files == {"drop/latest.csv", "drop/latest_2.csv"}, "what has no place in the new delivery goes"
    assert sorted(ids(world, "drop/latest.csv") + ids(world, "drop/latest_2.csv")) == [1, 2, 3]
    assert latest(world)["export_time"] == TIMES[1]
    first, second = verify(world.member)
    assert (first.differences, first.over) == ((), f"its files were replaced by those of {TIMES[1]}")
    assert (second.differences, second.over, second.files) == ((), None, 2)
    world.write(rows(6, 7), mode="overwrite")
    world.delete("true")
    committed(world, TIMES[2])
    assert not {path for path in paths(world) if path.startswith("drop/l")}, "a delivery without rows has no files"
    assert latest(world)["files"] == []


def test_what_is_announced_is_put_right(begin: Begin) -> None:
    world = begin(FIXED)
    for time in TIMES[:2]:
        world.write(rows(int(time[-2:])))
        committed(world, time)
    older = world.destination.read(f"{CONTROL}/{TIMES[0]}") or b""
    world.destination.put(f"{CONTROL}/_latest", older)
    *_, newest = verify(world.member)
    assert newest.differences and TIMES[0] in newest.differences[0]
    replay(world.member, ExportTime.parse(TIMES[1]), run_id="person")
    assert latest(world)["export_time"] == TIMES[1]
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]


def test_replays_of_what_was_replaced(begin: Begin) -> None:
    world = begin(FIXED)
    world.write(rows(1))
    committed(world, TIMES[0])
    world.write(rows(2))
    committed(world, TIMES[1])
    with pytest.raises(DeclarationError, match=f"replaced by those of {TIMES[1]}"):
        replay(world.member, ExportTime.parse(TIMES[0]), run_id="person", replace=True)
    replay(world.member, ExportTime.parse(TIMES[0]), run_id="person", to="again")
    assert ids(world, next(path for path in paths(world) if path.startswith("again/l"))) == [1]
    with pytest.raises(DeclarationError, match="that exports deliver into"):
        replay(world.member, ExportTime.parse(TIMES[0]), run_id="person", to="drop")
    copied = json.loads(world.destination.read("again/_manifest") or b"")
    assert "folder" not in copied
    world.destination.put("drop/latest.csv", b"broken")
    replay(world.member, ExportTime.parse(TIMES[1]), run_id="person")
    assert sorted(ids(world, "drop/latest.csv")) == [1, 2]
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]
    world.write(rows(3))
    committed(world, TIMES[2])
    assert sorted(ids(world, "drop/latest.csv")) == [1, 2, 3]


def test_an_attempt_that_fails_leaves_whole_files(begin: Begin) -> None:
    world = begin({**FIXED, "format": {**CSV, "max_rows_per_file": 1}})
    world.write(rows(1, 2))
    committed(world, TIMES[0])
    world.write(rows(3, 4), mode="overwrite")
    real, opened = world.destination, 0

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def open(self, path: str) -> Any:
            nonlocal opened
            opened += 1
            if opened == 2:
                raise NotIntact("The disk is wrong.", next_step="Look.")
            return real.open(path)

    context = world.context
    world.context.__dict__["open_destination"] = lambda _: Failing()
    failed = world.deliver(TIMES[1])
    assert failed.error is not None and failed.error.code == "not_intact"
    found = ids(world, "drop/latest.csv"), ids(world, "drop/latest_2.csv")
    assert found[0] in ([3], [4]) and found[1] in ([1], [2]), "each file whole, old or new"
    assert latest(world)["export_time"] == TIMES[0]
    world.__dict__.pop("context")
    assert world.context is not context
    committed(world, TIMES[1])
    assert sorted(ids(world, "drop/latest.csv") + ids(world, "drop/latest_2.csv")) == [3, 4]
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]


def test_two_exports_in_one_folder(tmp_path: Path) -> None:
    hurry()
    world = World.create(tmp_path, export=TIMED)
    world.declare("exports/other.yaml", {"kind": "dataset", "connection": "out", "datasets": ["orders"], **FIXED})
    world.write(rows(1))
    from cdp_exports.delivery.deliver import deliver

    for export in (EXPORT, "other"):
        (outcome,) = deliver(world.context, export, ExportTime.parse(TIMES[0]), run_id=export)
        assert outcome.status == "committed", outcome
    assert {path for path in paths(world) if path.endswith(".csv")} == {f"drop/{EXPORT}_{TIMES[0]}.csv", "drop/latest.csv"}
    assert {path for path in paths(world) if path.endswith("_owner")} == {f"{CONTROL}/_owner", "drop/_manifests/other.orders/_owner"}
