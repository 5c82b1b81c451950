"""Deliveries to audience destinations, case by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from cdp_exports.delivery.resolving import resolve
from cdp_exports.entities.capabilities import Repeat
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import BatchState
from cdp_exports_tests.delivery.audiences import Audiences
from cdp_exports_tests.delivery.members_world import MembersWorld
from cdp_exports_tests.delivery.segment_world import EXPORT, SEGMENT
from cdp_exports_tests.delivery.test_any_sequence import Killed
from cdp_exports_tests.delivery.world import TIMES, hurry


def person(id: int, value: int = 5, email: str | None = None, country: str = "FR", opt_in: bool = True) -> dict[str, Any]:
    return {"id": id, "email": email or f"p{id}@x", "country": country, "value": value, "seen": None, "opt_in": opt_in}


@pytest.fixture(params=[("id",), ("EMAIL",)], ids=["by key", "by identity"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> MembersWorld:
    hurry()
    world = MembersWorld.receiving(tmp_path, Audiences(told_by=request.param))
    world.append("people", [person(number) for number in range(8)])
    return world


def delivered(world: MembersWorld, at: int, **options: Any) -> Any:
    outcome = world.deliver(TIMES[at], **options)
    assert outcome.status == "committed", outcome.error
    assert outcome.delivery is not None
    return outcome


def assert_holds(world: MembersWorld, outcome: Any, **rules: Any) -> None:
    assert world.held == world.should_hold(outcome.delivery, **rules)


def test_increments_tell_the_receiver_what_changed(world: MembersWorld) -> None:
    first = delivered(world, 0)
    assert_holds(world, first)
    assert (first.delivery.counts.inserted, first.delivery.counts.batches, first.delivery.pin.mode) == (8, 3, "full")
    world.put("people", [person(1, value=9), person(2, value=0), person(20)])
    second = delivered(world, 1)
    assert_holds(world, second)
    counts = second.delivery.counts
    assert (counts.inserted, counts.updated, counts.deleted, counts.failed, counts.batches) == (1, 1, 1, 0, 1)
    assert (counts.movement.before, counts.movement.held, counts.movement.exits) == (8, 8, {"left_segment": 1})
    assert second.uri == f"made-up://account/{SEGMENT}"
    third = delivered(world, 2)
    assert (third.delivery.counts.delivered, third.delivery.counts.batches, third.delivery.counts.movement.held) == (0, 0, 8)


def test_an_identity_that_changed_leaves_before_it_enters(tmp_path: Path) -> None:
    hurry()
    world = MembersWorld.receiving(tmp_path, Audiences(told_by=("EMAIL",), batch_max=10))
    world.append("people", [person(1), person(2)])
    delivered(world, 0)
    world.put("people", [person(1, email="p2@x"), person(2, email="other@x")])  # 1 takes over the address of 2
    outcome = delivered(world, 1)
    assert_holds(world, outcome)
    assert [change.status for change in world.audiences.sent[-1].changes] == ["exited", "entered"]


def test_rejected_members_are_sent_again_until_they_are_taken(world: MembersWorld) -> None:
    identity = next(iter(world.should_hold(delivered(world, 0).delivery)))
    world.audiences.rejects = {next(iter(world.held)), '["new"]', "[30]", '["p30@x"]'}
    (refused,) = [one for one in world.audiences.rejects if one in world.held]
    number = int("".join(filter(str.isdigit, refused)))
    world.put("people", [person(number, value=9), person(30), person(31)])
    second = delivered(world, 1)
    counts = second.delivery.counts
    assert (counts.failed, counts.rejections.reasons, counts.rejections.again) == (2, {"made_up": 2}, 0)
    assert (counts.inserted, counts.updated, counts.received) == (1, 0, 3)
    assert "did not take 2 members: made_up 2" in second.warnings[0]
    third = delivered(world, 2)
    assert (third.delivery.counts.failed, third.delivery.counts.rejections.again) == (2, 2)
    kept = pl.read_parquet(b"".join(world.context.open_state().stream(third.delivery.counts.rejections.file) or ()))
    assert kept["attempts"].to_list() == [2, 2]
    assert all(len(one) == 64 for one in kept["identity"])
    world.audiences.rejects = set()
    fourth = delivered(world, 3)
    assert (fourth.delivery.counts.inserted, fourth.delivery.counts.updated, fourth.delivery.counts.failed) == (1, 1, 0)
    assert_holds(world, fourth)
    assert identity in world.held
    left = [stored.path for stored in world.context.open_state().list("") if "rejec" in stored.path or "outbox" in stored.path]
    assert left == []


def test_a_rejected_exit_is_sent_again(world: MembersWorld) -> None:
    delivered(world, 0)
    refused = min(world.held)
    number = int("".join(filter(str.isdigit, refused)))
    world.audiences.rejects = {refused}
    world.remove("people", f"id = {number}")
    assert delivered(world, 1).delivery.counts.failed == 1
    assert refused in world.held
    world.audiences.rejects = set()
    outcome = delivered(world, 2)
    assert outcome.delivery.counts.deleted == 1
    assert_holds(world, outcome)


def test_too_many_rejected_is_a_failure_that_repeats_nothing(world: MembersWorld) -> None:
    path = world.folder / "catalog" / "exports" / f"{EXPORT}.yaml"
    world.declare(f"exports/{EXPORT}.yaml", {**yaml.safe_load(path.read_text()), "fail_above": 0.2})
    world.audiences.rejects = {"[0]", "[1]", '["p0@x"]', '["p1@x"]'}
    failed = world.deliver(TIMES[0])
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error.code == "too_many_rejected"
    assert "rejected 2 of 8 members (25%; at most 20% may be): made_up 2" in failed.error.message
    world.audiences.rejects = set()
    sent = sum(len(batch.changes) for batch in world.audiences.sent)
    again = delivered(world, 0)
    assert_holds(world, again)
    assert sum(len(batch.changes) for batch in world.audiences.sent) - sent == 2
    assert (again.delivery.counts.inserted, again.delivery.counts.failed) == (8, 0)


def test_a_later_export_time_goes_on_from_what_a_failed_one_sent(world: MembersWorld) -> None:
    world.audiences.faults = ["", "refused"]
    failed = world.deliver(TIMES[0])
    assert failed.status == "failed"
    assert len(world.held) == 3
    world.remove("people", "id < 4")
    outcome = delivered(world, 1)
    assert_holds(world, outcome)
    assert outcome.delivery.counts.movement.held == 4
    assert max(world.audiences.calls.values()) == 1
    covered = world.deliver(TIMES[0])
    assert covered.skip is not None
    assert covered.skip.reason == "covered_by"


def test_everybody_is_sent_again_on_demand_and_strangers_stay(world: MembersWorld) -> None:
    delivered(world, 0)
    stranger = '["stranger@x"]' if world.audiences.told_by == ("EMAIL",) else "[1000]"
    world.audiences.held[SEGMENT][stranger] = {}
    lost = min(identity for identity in world.held if identity != stranger)
    del world.audiences.held[SEGMENT][lost]  # the receiver lost somebody
    world.remove("people", "id = 7")
    outcome = delivered(world, 1, full=True)
    assert outcome.delivery.pin.way == "resent"
    assert world.held == {**world.should_hold(outcome.delivery), stranger: {}}
    assert outcome.delivery.counts.deleted == 1
    assert outcome.delivery.counts.movement.held == 7
    assert outcome.delivery.chain == world.context.ledger.history("test")[-1].chain  # type: ignore[union-attr]


def test_a_changed_mapping_sends_everybody_again(world: MembersWorld) -> None:
    delivered(world, 0)
    path = world.folder / "catalog" / "exports" / f"{EXPORT}.yaml"
    declared = yaml.safe_load(path.read_text())
    declared["fields"][0]["transforms"] = ["trim", "upper"]
    world.declare(f"exports/{EXPORT}.yaml", declared)
    outcome = delivered(world, 1)
    assert_holds(world, outcome, email="upper(trim(p.email))")
    assert outcome.delivery.pin.way == "resent"


def test_consent_withdrawn_between_two_attempts(tmp_path: Path) -> None:
    """Who was sent already leaves, who was not never enters; also where nobody knows whether a batch arrived."""
    for fault in ("refused", "lost_after", "lost_before", "killed_after"):
        hurry()
        folder = tmp_path / fault
        folder.mkdir()
        world = MembersWorld.receiving(folder, Audiences(), connection={"purpose": "marketing"})
        world.append("people", [person(number) for number in range(8)])
        world.audiences.faults = ["", fault]
        try:
            assert world.deliver(TIMES[0]).status == "failed"
        except Killed:
            world.release()
        world.put("people", [person(number, opt_in=False) for number in (0, 4, 7)])
        outcome = delivered(world, 0)
        if fault in ("lost_after", "lost_before", "killed_after"):
            outcome = delivered(world, 1)  # whoever was in the batch that nobody knows of
        assert_holds(world, outcome, sends="p.id IN (SELECT id FROM head WHERE opt_in)")
        assert outcome.delivery.counts.movement.held == 5


@pytest.mark.parametrize("fault", ["lost_before", "lost_after", "killed_before", "killed_after", "nonsense"])
@pytest.mark.parametrize(
    ("repeat", "tells"), [(Repeat.HARMLESS, False), (Repeat.BY_KEY, False), (Repeat.UNKNOWN, True), (Repeat.UNKNOWN, False)]
)
def test_a_batch_in_doubt(tmp_path: Path, fault: str, repeat: Repeat, tells: bool) -> None:
    """The very same batch again where that does no harm; else the receiver is asked; else a person is."""
    hurry()
    world = MembersWorld.receiving(tmp_path, Audiences(repeat=repeat, tells=tells))
    world.append("people", [person(number) for number in range(8)])
    world.audiences.faults = ["", fault]
    try:
        failed = world.deliver(TIMES[0])
        assert failed.error is not None
        assert failed.error.code == "transient"
    except Killed:
        world.release()
    assert [batch.state for batch in world.member.unsettled_batches()] == [BatchState.DONE, BatchState.SENDING]
    again = world.deliver(TIMES[0])
    if repeat is Repeat.UNKNOWN and not tells:
        assert again.error is not None
        assert again.error.code == "in_doubt"
        assert world.member.unsettled_batches()[1].id in again.error.next_step
        assert world.deliver(TIMES[1]).error.code == "in_doubt"  # type: ignore[union-attr]
        resolve(world.member, ExportTime.parse(TIMES[0]), delivered=fault in ("lost_after", "killed_after", "nonsense"), run_id="person")
        again = world.deliver(TIMES[1])
    assert again.status == "committed", again.error
    assert_holds(world, again)
    assert again.delivery is not None
    assert again.delivery.counts is not None
    assert again.delivery.counts.inserted == 8


def test_nothing_is_told_of_anybody_by_logs_or_errors(world: MembersWorld, caplog: pytest.LogCaptureFixture) -> None:
    world.audiences.rejects = {"[0]", '["p0@x"]'}
    outcome = delivered(world, 0)
    assert "p0@x" not in caplog.text + "".join(outcome.warnings) + str(outcome.delivery.counts)
