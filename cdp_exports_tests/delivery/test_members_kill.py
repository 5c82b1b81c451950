"""kill -9 before every step of a delivery to a real receiver, then a retry: nobody is lost, nobody is told twice."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.resolving import resolve
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.delivery.segment_world import EXPORT, SEGMENT, SegmentWorld
from cdp_exports_tests.delivery.test_kill import killed
from cdp_exports_tests.delivery.world import TIMES, hurry
from cdp_exports_tests.servers.endpoint import Endpoint
from cdp_exports_tests.servers.linkedin import LinkedIn

WORDS = {"harmless": {}, "by_key": {}, "unknown": {"told": True}, "unknown and silent": {"told": False}}


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry()


def begun(world: SegmentWorld, people: int = 6) -> SegmentWorld:
    """One delivery committed, then people who enter, change and leave: six changes, in batches of two."""
    everybody = [{"id": n, "email": f"{n}@x", "country": "FR", "value": 5, "seen": None, "opt_in": True} for n in range(people)]
    world.put("people", everybody)
    first = world.deliver(TIMES[0])
    assert first.status == "committed", first.error
    world.put("people", [{**everybody[n], "id": n + 1000, "email": f"{n + 1000}@x"} for n in range(3)])
    world.put("people", [{**everybody[0], "country": "DE"}, {**everybody[1], "value": 0}])
    world.remove("people", "id = 2")
    return world


def settled(world: SegmentWorld, arrived: Callable[[str], bool], people: int = 6) -> Any:
    outcome = world.deliver_after_lease(TIMES[1])
    if outcome.error is not None and outcome.error.code == "in_doubt":
        (batch,) = [batch for batch in world.member.unsettled_batches() if batch.state.value == "sending"]
        resolve(world.member, ExportTime.parse(TIMES[1]), delivered=arrived(batch.id), run_id="person")
        outcome = world.deliver_after_lease(TIMES[1])
    assert outcome.status == "committed", outcome.error
    assert outcome.delivery is not None
    counts = outcome.delivery.counts
    assert counts is not None
    assert (counts.inserted, counts.updated, counts.deleted, counts.failed) == (3, 1, 2, 0)
    assert counts.movement is not None
    assert counts.movement.held == people + 1
    return outcome.delivery


JOURNAL = ("open", "close", "put", "begin_batch", "send", "end_batch", "commit_batches", "release")
"""The steps that only audiences have; the kill tests of segments have the others."""


def steps_of(world: SegmentWorld, names: tuple[str, ...]) -> list[int]:
    """The places of these steps in a delivery that nobody kills."""
    taken = killed(world, -1)
    assert taken is not None
    assert {"begin_batch", "send", "end_batch", "commit_batches"} <= set(taken)
    return [place for place, name in enumerate(taken) if name in names and place > taken.index("start_attempt")]


@pytest.mark.parametrize("kind", WORDS)
def test_kill_at_every_step_http(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name, value in endpoint.environ.items():
        monkeypatch.setenv(name, value)
    repeat = kind.partition(" ")[0]
    told = {"outcome_url": endpoint.outcome_url} if WORDS[kind].get("told") else {}
    connection = endpoint.declared(repeat=repeat, batch_rows=2, **told)

    def fresh(name: str) -> SegmentWorld:
        endpoint.reset()
        endpoint.set(identity=["id"], by_key=repeat != "harmless")
        return begun(world_of(tmp_path / name, connection))

    for step in steps_of(fresh("whole"), JOURNAL if kind == "by_key" else ("send", "end_batch")):
        world = fresh(str(step))
        before = len(endpoint.applied())
        assert killed(world, step) is None
        delivery = settled(world, lambda key: any(one.key == key for one in endpoint.applied()))
        assert by_email(endpoint.held(SEGMENT)) == truth(world, delivery)
        applied = Counter((one.status, one.identity) for one in endpoint.applied()[before:])
        assert len(applied) == 6
        if repeat != "harmless":
            assert set(applied.values()) == {1}, "a change was applied twice"


def test_kill_at_every_step_linkedin(linkedin: LinkedIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in linkedin.environ.items():
        monkeypatch.setenv(name, value)
    fields = [{"from": "email", "to": "email"}, {"from": "country"}]

    def fresh(name: str) -> SegmentWorld:
        linkedin.reset()
        return begun(world_of(tmp_path / name, linkedin.declared(), fields), people=310)

    for step in steps_of(fresh("whole"), ("begin_batch", "send", "end_batch", "commit_batches")):
        world = fresh(str(step))
        assert killed(world, step) is None
        delivery = settled(world, lambda key: False, people=310)
        emails = {hashlib.sha256(email.encode()).hexdigest() for email in truth(world, delivery)}
        assert linkedin.book.values(SEGMENT) == emails


def world_of(folder: Path, connection: dict[str, object], fields: list[dict[str, Any]] | None = None) -> SegmentWorld:
    world = SegmentWorld.begin(folder, connection={**connection})
    world.connection = connection
    world.declare("connections/out.yaml", connection)
    declared = {
        "kind": "segment",
        "connection": "out",
        "segments": [SEGMENT],
        "fields": fields or [{"from": "email", "to": "EMAIL"}, {"from": "country"}, {"from": "value * 2", "to": "double"}],
    }
    world.declare(f"exports/{EXPORT}.yaml", declared)
    return world


def by_email(held: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return {values["EMAIL"]: (values["id"], values["country"], values["double"]) for values in held.values()}


def truth(world: SegmentWorld, delivery: Any) -> dict[str, tuple[Any, ...]]:
    return {email: (key, country, double) for key, (email, country, double) in world.truth_of(delivery).items()}
