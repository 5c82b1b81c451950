"""The narrow windows: something happens exactly between two steps of a delivery, a replay or a repair."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.resolving import resolve
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, DestinationRefused, TransientError
from cdp_exports.ledger.records import State
from cdp_exports_tests.delivery.test_any_sequence import Killed
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World, hurry

T = [ExportTime.parse(time) for time in TIMES]
DECLARATION = {"kind": "dataset", "connection": "out", "datasets": ["orders"], "changes": "all"}


@pytest.fixture(autouse=True)
def _long_leases() -> None:
    hurry(60.0)


class Hooked:
    """Passes calls on; a hook stands in for a call and is given the real one."""

    def __init__(self, hooked: Any, **hooks: Callable[..., Any]) -> None:
        self._hooked, self._hooks = hooked, hooks

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._hooked, name)
        hook = self._hooks.get(name)
        return value if hook is None else lambda *args, **kwargs: hook(value, *args, **kwargs)


@contextmanager
def hooked(world: World, *, ledger: dict[str, Any] | None = None, destination: dict[str, Any] | None = None) -> Generator[None]:
    context, place = world.context, Hooked(world.destination, **(destination or {}))
    hooked_ledger: Any = Hooked(context.ledger, **(ledger or {}))
    world.__dict__["context"] = replace(context, ledger=hooked_ledger, open_destination=lambda _: place)  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        world.__dict__["context"] = context


def away(*_: Any, **__: Any) -> None:
    raise TransientError("It is away.", next_step="Wait.")


def delivered(tmp_path: Path, times: int = 1, **declared: Any) -> World:
    world = World.create(tmp_path / "world", **declared)
    for n in range(times):
        world.write([{"id": n, "v": "a"}])
        assert world.deliver(TIMES[n]).status == "committed"
    world.write([{"id": 100, "v": "a"}])
    return world


def rival_of(world: World) -> World:
    """Another process, once the lease of this one ran out."""
    rival = World(world.folder)
    holder = rival.ledger.holder("test", EXPORT)
    if holder is not None:
        rival.ledger.release(holder)
    return rival


def intact(world: World) -> None:
    """What any standing manifest lists is there."""
    for document in world.manifests():
        for file in document["files"]:
            assert world.destination.read(f"{document['folder']}/{file['path']}") is not None, (document["export_time"], file["path"])


def restore(world: World, backup: Path) -> World:
    world.ledger.close()
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    shutil.copy(backup, world.folder / "ledger.db")
    return World(world.folder)


def backup_of(world: World, to: Path) -> Path:
    with sqlite3.connect(world.folder / "ledger.db") as source, sqlite3.connect(to) as target:
        source.backup(target)
    source.close()
    target.close()
    return to


def test_the_ledger_goes_away_after_publishing_and_a_rival_adopts(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    rivals: list[str] = []

    def commit(_: Any, *__: Any, **___: Any) -> None:
        rivals.append(rival_of(world).deliver(TIMES[1]).status)
        away()

    with hooked(world, ledger={"commit": commit}):
        world.deliver(TIMES[1])
    assert rivals == ["committed"]
    assert world.deliver(TIMES[2]).status == "committed"
    intact(world)
    assert all(not verdict.differences for verdict in verify(world.member))
    assert world.received() == world.rows()


@pytest.mark.parametrize(("to", "killed_at"), [(None, "put"), ("copies/x", "end_attempt")])
def test_a_replay_that_dies_before_its_last_step_loses_nothing(tmp_path: Path, to: str | None, killed_at: str) -> None:
    world = delivered(tmp_path, 2)

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    steps = {killed_at: die}
    with hooked(world, ledger=steps if to else {"end_attempt": die}, destination={} if to else steps), pytest.raises(Killed):
        replay(world.member, T[1], run_id="person", replace=True, to=to)
    intact(world)
    assert world.deliver(TIMES[2]).status == "committed"
    intact(world)
    if to is None:
        replay(world.member, T[1], run_id="person")
    assert all(not verdict.differences for verdict in verify(world.member))
    assert world.received() == world.rows() if to is None else world.destination.read(f"{to}/_manifest") is not None


def test_a_replay_that_wakes_after_another_replay(tmp_path: Path) -> None:
    world = delivered(tmp_path, 2)
    woken: list[bool] = []

    def put(real: Any, path: str, content: bytes) -> None:
        if path.endswith("_manifest") and not woken:
            woken.append(True)
            rival = rival_of(world)
            replay(rival.member, T[1], run_id="rival", replace=True)
            assert rival.deliver(TIMES[2]).status == "committed"
        real(path, content)

    with hooked(world, destination={"put": put}):
        replay(world.member, T[1], run_id="first", replace=True)
    intact(world)
    world.write([{"id": 101, "v": "a"}])
    assert world.deliver(TIMES[3]).status == "committed"
    intact(world)
    assert world.received() == world.rows()


def test_a_resent_delivery_was_taken_before_the_first_sender_woke(tmp_path: Path) -> None:
    world = delivered(tmp_path)

    def create(real: Any, path: str, content: bytes) -> bool:
        if path.endswith("_manifest") and not resent:
            rival = rival_of(world)
            resolve(rival.member, T[1], delivered=False, run_id="person")
            resent.append(rival.deliver(TIMES[1]).sent)
            rival.destination.delete([stored.path for stored in rival.destination.list(f"orders/exportTime={TIMES[1]}")])
        return bool(real(path, content))

    resent: list[bool] = []
    with hooked(world, destination={"create": create}):
        assert not world.deliver(TIMES[1]).sent
    assert resent == [True]
    assert [document["export_time"] for document in world.manifests()] == [TIMES[0]], "the receiver sees it once"


def test_a_backup_with_a_pinned_delivery_is_mended(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    with hooked(world, ledger={"start_attempt": away}):
        assert world.deliver(TIMES[1]).status == "failed"
    backup = backup_of(world, tmp_path / "backup.db")
    assert world.deliver(TIMES[1]).status == "committed"
    world = restore(world, backup)
    behind = world.deliver(TIMES[1])
    assert behind.error is not None
    assert behind.error.code == "ledger_behind"
    assert adopt(world.member) == 1
    assert world.deliver(TIMES[2]).status == "committed"
    assert world.received() == world.rows()


def test_a_closed_export_time_that_a_restored_ledger_forgot(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    backup = backup_of(world, tmp_path / "backup.db")
    for time in TIMES[1:3]:
        with hooked(world, ledger={"start_attempt": away}):
            assert world.deliver(time).status == "failed"
    world = restore(world, backup)
    closed = world.deliver(TIMES[1])
    assert closed.skip is not None
    assert closed.skip.reason == "covered_by"
    assert world.deliver(TIMES[3]).status == "committed"
    assert world.received() == world.rows()


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_replay_that_a_restored_ledger_forgot(tmp_path: Path, when: str) -> None:
    world = delivered(tmp_path, 2)
    backup = tmp_path / "backup.db"

    def replaced(real: Any, *args: Any, **kwargs: Any) -> None:
        if when == "during":
            backup_of(world, backup)
        real(*args, **kwargs)

    if when == "before":
        backup_of(world, backup)
    with hooked(world, ledger={"replace": replaced}):
        replay(world.member, T[1], run_id="person", replace=True)
    world = restore(world, backup)
    holder = world.ledger.holder("test", EXPORT)
    if holder is not None:
        world.ledger.release(holder)
    adopt(world.member)
    assert world.deliver(TIMES[2]).status == "committed"
    intact(world)
    assert all(not verdict.differences for verdict in verify(world.member))


def test_a_refused_manifest_is_no_doubt(tmp_path: Path) -> None:
    world = delivered(tmp_path)

    def create(real: Any, path: str, content: bytes) -> bool:
        if path.endswith("_manifest"):
            raise DestinationRefused("There is no space left.", next_step="Make room.")
        return bool(real(path, content))

    with hooked(world, destination={"create": create}):
        assert world.deliver(TIMES[1]).status == "failed"
    assert world.deliver(TIMES[1]).status == "committed"


def test_a_failing_sweep_fails_no_delivery(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    with hooked(world, ledger={"leftovers": away}):
        assert world.deliver(TIMES[1]).status == "committed"


def test_an_interrupt_right_after_the_commit_changes_nothing(tmp_path: Path) -> None:
    world = delivered(tmp_path)

    def commit(real: Any, *args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise KeyboardInterrupt

    with hooked(world, ledger={"commit": commit}), pytest.raises(KeyboardInterrupt):
        world.deliver(TIMES[1])
    delivery = world.member.delivery(T[1])
    assert delivery is not None
    assert [attempt.status for attempt in world.ledger.attempts(delivery.id)] == ["committed"]


def test_what_was_pinned_at_a_place_that_is_gone_goes_elsewhere(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    with hooked(world, ledger={"start_attempt": away}):
        world.deliver(TIMES[1])
    shutil.rmtree(world.folder / "out")
    (world.folder / "out").write_text("no folder any more")
    world.declare("connections/out.yaml", {"type": "local", "folder": "new"})
    outcome = world.deliver(TIMES[2])
    assert outcome.status == "committed", outcome.error
    assert world.received() == world.rows()


def test_somebody_elses_manifest_in_our_folder_stops_one_export_time_only(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    foreign = json.loads(world.destination.read(f"orders/exportTime={TIMES[0]}/_manifest") or b"")
    foreign |= {"export": "somebody", "export_time": TIMES[1], "delivery": "another"}
    world.destination.put(f"orders/exportTime={TIMES[1]}/_manifest", json.dumps(foreign).encode())
    outcome = world.deliver(TIMES[1])
    assert outcome.error is not None
    assert outcome.error.code == "occupied"
    again = world.deliver(TIMES[2])
    assert again.status == "committed", again.error
    delivery = world.member.delivery(T[1])
    assert delivery is not None
    assert delivery.state is State.COVERED


def test_what_cannot_be_looked_at_is_not_called_doubt(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    with hooked(world, ledger={"commit": away}):
        assert world.deliver(TIMES[1]).status == "failed"

    def refuse(_: Any, path: str) -> bytes:
        raise DestinationRefused("No right to read.", next_step="Give it.")

    with hooked(world, destination={"read": refuse}):
        refused = world.deliver(TIMES[1])
    assert refused.error is not None
    assert refused.error.code == "destination_refused"
    assert world.deliver(TIMES[1]).status == "committed"


def test_a_fault_in_one_member_leaves_the_others_alone(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={"datasets": ["orders", "second"]})
    world.declare("datasets/second.yaml", {"source": {"format": "delta", "uri": "data/orders"}, "key": ["id"]})
    world.write([{"id": 1, "v": "a"}])
    context = world.context

    def open_source(dataset: str) -> Any:
        if dataset == "orders":
            raise ValueError("jane@example.com is no number")
        return context.open_source(dataset)

    outcomes = {outcome.member: outcome for outcome in deliver(replace(context, open_source=open_source), EXPORT, T[0], run_id="run")}
    assert outcomes["second"].status == "committed"
    assert outcomes["orders"].error is not None
    assert outcomes["orders"].error.code == "unexpected"
    assert "jane" not in str(outcomes["orders"].error)
    assert "ValueError at test_windows.py" in str(outcomes["orders"].error)


def test_a_copy_never_stands_where_something_is_delivered(tmp_path: Path) -> None:
    world = delivered(tmp_path, 2)
    for folder in (f"orders/exportTime={TIMES[5]}", "orders", "orders/copies"):
        with pytest.raises(DeclarationError, match="belongs to an export"):
            replay(world.member, T[1], run_id="person", to=folder)
    assert world.deliver(TIMES[2]).status == "committed"


def test_an_export_renamed_again_and_again(tmp_path: Path) -> None:
    world = delivered(tmp_path)
    for n, (old, new, formerly) in enumerate([(EXPORT, "b", EXPORT), ("b", "c", "b"), ("c", "c", None)], start=1):
        (world.folder / f"catalog/exports/{old}.yaml").unlink()
        world.declare(f"exports/{new}.yaml", {**DECLARATION, **({"formerly": formerly} if formerly else {})})
        outcome = world.deliver(TIMES[n])
        assert outcome.delivery is not None, outcome.error
        assert outcome.delivery.sequence == n + 1
    assert world.received() == world.rows()


def test_a_lost_ledger_and_a_rename_that_moves_the_folder(tmp_path: Path) -> None:
    world = delivered(tmp_path, 2, export={"path": "{export_id}/{export_time}"})
    (world.folder / f"catalog/exports/{EXPORT}.yaml").unlink()
    world.declare("exports/b.yaml", {**DECLARATION, "formerly": EXPORT, "path": "{export_id}/{export_time}"})
    world.ledger.close()
    for path in world.folder.glob("ledger.db*"):
        path.unlink()
    world = World(world.folder)
    outcome = world.deliver(TIMES[1])
    assert outcome.error is not None
    assert outcome.error.code == "ledger_behind"
    assert adopt(world.member) == 2
    assert world.deliver(TIMES[2]).status == "committed"
