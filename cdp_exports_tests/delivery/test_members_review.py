"""Ways in which somebody could be lost from an audience, or stay in it: each was found by reading, and is shown here."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from cdp_exports.destinations.audience import Answered, Batch, Rejected
from cdp_exports.entities.capabilities import Repeat
from cdp_exports_tests.delivery.audiences import Audiences
from cdp_exports_tests.delivery.members_world import MembersWorld
from cdp_exports_tests.delivery.segment_world import EXPORT, SEGMENT
from cdp_exports_tests.delivery.test_any_sequence import Killed
from cdp_exports_tests.delivery.test_members import assert_holds, delivered, person
from cdp_exports_tests.delivery.world import TIMES, hurry

CONSENTING = {"sends": "p.id IN (SELECT id FROM head WHERE opt_in)"}


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry()


def begun(folder: Path, audiences: Audiences | None = None, people: int = 8, **options: Any) -> MembersWorld:
    folder.mkdir(exist_ok=True)
    world = MembersWorld.receiving(folder, audiences or Audiences(), **options)
    world.append("people", [person(number) for number in range(people)])
    return world


def declare(world: MembersWorld, **changes: Any) -> None:
    path = world.folder / "catalog" / "exports" / f"{EXPORT}.yaml"
    world.declare(f"exports/{EXPORT}.yaml", {**yaml.safe_load(path.read_text()), **changes})


def files(world: MembersWorld, word: str) -> list[str]:
    return [stored.path for stored in world.context.open_state().list("") if word in stored.path]


# -- batches in doubt
@pytest.mark.parametrize("fault", ["lost_after", "lost_before"])
def test_who_may_have_left_and_is_back_is_in_the_audience(tmp_path: Path, fault: str) -> None:
    """A batch in doubt took somebody out; before the next run they are back, with the very values they had."""
    world = begun(tmp_path)
    delivered(world, 0)
    world.put("people", [person(1, value=0)])
    world.audiences.faults = [fault]
    assert world.deliver(TIMES[1]).status == "failed"
    world.put("people", [person(1)])
    delivered(world, 2)
    assert_holds(world, delivered(world, 3))


@pytest.mark.parametrize(("repeat", "tells"), [(Repeat.HARMLESS, False), (Repeat.UNKNOWN, True), (Repeat.BY_KEY, True)])
@pytest.mark.parametrize("before", [False, True], ids=["entering", "in it already"])
def test_who_withdrew_consent_leaves_in_the_delivery_that_settles_the_doubt(
    tmp_path: Path, repeat: Repeat, tells: bool, before: bool
) -> None:
    world = begun(tmp_path, Audiences(repeat=repeat, tells=tells), connection={"purpose": "marketing"})
    if before:
        delivered(world, 0)
        world.put("people", [person(number, value=9) for number in range(8)])
    world.audiences.faults = ["", "lost_after"]
    assert world.deliver(TIMES[1]).status == "failed"
    world.put("people", [person(4, value=9 if before else 5, opt_in=False)])
    assert_holds(world, delivered(world, 1), **CONSENTING)


@pytest.mark.parametrize(("repeat", "tells"), [(Repeat.HARMLESS, False), (Repeat.UNKNOWN, True), (Repeat.BY_KEY, True)])
def test_a_batch_in_doubt_and_a_later_export_time_with_other_values(tmp_path: Path, repeat: Repeat, tells: bool) -> None:
    world = begun(tmp_path, Audiences(repeat=repeat, tells=tells))
    world.audiences.faults = ["lost_after"]
    assert world.deliver(TIMES[0]).status == "failed"
    world.put("people", [person(0, value=9), person(1, value=0)])
    assert_holds(world, delivered(world, 1))


@pytest.mark.parametrize("repeat", [Repeat.HARMLESS, Repeat.BY_KEY])
def test_a_batch_in_doubt_that_is_larger_than_batches_may_be_now(tmp_path: Path, repeat: Repeat) -> None:
    world = begun(tmp_path, Audiences(repeat=repeat, tells=repeat is Repeat.BY_KEY))
    world.audiences.faults = ["lost_after"]
    assert world.deliver(TIMES[0]).status == "failed"
    world.audiences.batch_max = 2
    assert_holds(world, delivered(world, 0))


# -- without `updated`
def test_without_updates_everybody_is_still_sent_again_on_demand(tmp_path: Path) -> None:
    world = begun(tmp_path, export={"send": ["entered", "exited"]})
    delivered(world, 0)
    world.audiences.held[SEGMENT].pop("[3]")  # the receiver lost somebody
    outcome = delivered(world, 1, full=True)
    assert_holds(world, outcome)
    assert outcome.delivery.counts.updated == 8


def test_without_updates_who_may_not_have_arrived_is_sent_again(tmp_path: Path) -> None:
    world = begun(tmp_path, export={"send": ["entered", "exited"]})
    world.audiences.faults = ["lost_before"]
    assert world.deliver(TIMES[0]).status == "failed"
    world.put("people", [person(0, value=0)])
    delivered(world, 1)
    assert_holds(world, delivered(world, 2))


# -- everybody sent again
def test_a_later_run_goes_on_with_everybody_where_full_died(tmp_path: Path) -> None:
    """The audience was deleted at the receiver; `--full` made a new one, and died half way."""
    world = begun(tmp_path)
    delivered(world, 0)
    del world.audiences.held[SEGMENT]
    world.audiences.faults = ["", "refused"]
    assert world.deliver(TIMES[1], full=True).status == "failed"
    assert len(world.held) == 3
    assert_holds(world, delivered(world, 2))
    assert delivered(world, 3).delivery.counts.delivered == 0


def test_a_later_run_goes_on_with_everybody_where_full_died_before_its_first_batch(tmp_path: Path) -> None:
    world = begun(tmp_path)
    delivered(world, 0)
    del world.audiences.held[SEGMENT]
    world.audiences.faults = ["refused"]
    assert world.deliver(TIMES[1], full=True).status == "failed"
    assert world.held == {}
    assert_holds(world, delivered(world, 2))


def test_who_is_rejected_when_everybody_is_sent_again_is_sent_until_taken(tmp_path: Path) -> None:
    """The audience was deleted, so they are not in it, and have the values that they had."""
    world = begun(tmp_path)
    delivered(world, 0)
    world.audiences.held.clear()
    world.audiences.rejects = {"[3]"}
    counts = delivered(world, 1, full=True).delivery.counts
    assert (counts.updated, counts.failed, counts.received) == (7, 1, 8)
    world.audiences.rejects = set()
    assert_holds(world, delivered(world, 2))


def test_whoever_left_while_the_table_was_made_anew_leaves(tmp_path: Path) -> None:
    world = begun(tmp_path, export={"on_history_lost": "full"})
    delivered(world, 0)
    shutil.rmtree(world.folder / "data" / "people")
    world.append("people", [person(number) for number in range(6)])
    outcome = delivered(world, 1)
    assert_holds(world, outcome)
    assert outcome.delivery.counts.deleted == 2


# -- other audiences
def test_back_to_an_audience_that_was_filled_before(tmp_path: Path) -> None:
    """Who was put there and left in the meantime would stay: a person empties it first."""
    world = begun(tmp_path)
    delivered(world, 0)
    declare(world, audience_name="other {segment_id}")
    delivered(world, 1)
    world.remove("people", "id = 3")
    delivered(world, 2)
    declare(world, audience_name="{segment_id}")
    refused = world.deliver(TIMES[3])
    assert refused.error is not None
    assert refused.error.code == "chain_changed"
    assert "up to 202601010000" in refused.error.message
    world.audiences.held[SEGMENT].clear()
    assert_holds(world, delivered(world, 4, full=True))
    assert_holds(world, delivered(world, 5))


def test_another_audience_where_changes_are_refused_is_filled_on_demand(tmp_path: Path) -> None:
    world = begun(tmp_path, export={"on_change": "fail"})
    delivered(world, 0)
    declare(world, audience_name="other {segment_id}")
    refused = world.deliver(TIMES[1])
    assert refused.error is not None
    assert "--full" in refused.error.next_step
    assert delivered(world, 2, full=True).delivery.counts.inserted == 8


def test_what_was_sent_to_another_audience_meanwhile_is_not_forgotten(tmp_path: Path) -> None:
    """A delivery died half way; another audience was delivered; then back to the first."""
    world = begun(tmp_path)
    world.audiences.faults = ["", "refused"]
    assert world.deliver(TIMES[0]).status == "failed"
    declare(world, audience_name="other {segment_id}")
    delivered(world, 1)
    world.remove("people", "id = 1")
    declare(world, audience_name="{segment_id}")
    assert_holds(world, delivered(world, 2))
    assert world.member.unsettled_batches() == []
    assert files(world, "outbox") == []


def test_an_audience_that_another_export_filled_is_not_touched(tmp_path: Path) -> None:
    world = begun(tmp_path)
    delivered(world, 0)
    path = world.folder / "catalog" / "exports" / f"{EXPORT}.yaml"
    world.declare("exports/another.yaml", yaml.safe_load(path.read_text()))
    path.unlink()
    refused = world.deliver(TIMES[1])
    assert refused.error is not None
    assert refused.error.code == "occupied"
    assert "test / chosen_out / chosen" in refused.error.message
    world.audiences.held[SEGMENT].clear()
    assert_holds(world, delivered(world, 2, full=True))
    assert_holds(world, delivered(world, 3))


# -- what tells members apart
def test_moments_and_fractions_leave_as_they_were_sent(tmp_path: Path) -> None:
    told_by = ("seen", "double")
    fields = [
        {"from": "seen", "identity": True, "required": True},
        {"from": "value / 2", "to": "double", "identity": True, "required": True},
    ]
    world = MembersWorld.receiving(tmp_path, Audiences(told_by=told_by), export={"fields": fields})
    seen = datetime(2026, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)
    world.append("people", [{**person(number), "seen": seen, "value": number + 5} for number in range(3)])
    delivered(world, 0)
    assert '["2026-01-01T12:30:00.250000Z", 2.5]' in world.held
    world.remove("people", "id = 0")
    delivered(world, 1)
    assert len(world.held) == 2


# -- ledger and state folder
@pytest.mark.parametrize("backup", [True, False], ids=["older", "none"])
def test_a_ledger_that_is_not_the_newest_is_noticed(tmp_path: Path, backup: bool) -> None:
    world = begun(tmp_path)
    delivered(world, 0)
    kept = (tmp_path / "ledger.db").read_bytes()
    world.append("people", [person(20)])
    delivered(world, 1)
    world.ledger.close()
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    if backup:
        (tmp_path / "ledger.db").write_bytes(kept)
    world.__dict__.pop("ledger")
    world.__dict__.pop("context")
    world.remove("people", "id = 20")
    outcome = world.deliver(TIMES[2])
    assert outcome.error is not None
    assert outcome.error.code == "ledger_behind"
    assert "[20]" in world.held
    world.audiences.held[SEGMENT].clear()
    assert_holds(world, delivered(world, 3, full=True))
    assert_holds(world, delivered(world, 4))


def test_an_outbox_of_which_nothing_was_sent_does_not_stay(tmp_path: Path) -> None:
    """It has identities as they are."""
    world = begun(tmp_path)
    for life in range(6, 16):
        with world.dying(life):
            try:
                world.deliver(TIMES[0])
            except Killed:
                world.release()
    delivered(world, 1)
    assert files(world, "outbox") == []


def test_rejections_of_failed_attempts_do_not_stay(tmp_path: Path) -> None:
    world = begun(tmp_path)
    declare(world, fail_above=0.1)
    world.audiences.rejects = {"[1]", "[2]"}
    for _ in range(3):
        assert world.deliver(TIMES[0]).status == "failed"
    world.audiences.rejects = set()
    delivered(world, 0)
    assert files(world, "reject") == []


# -- limits
def test_a_minimum_does_not_keep_anybody_who_is_to_leave(tmp_path: Path) -> None:
    world = begun(tmp_path, connection={"purpose": "marketing"}, export={"limits": {"audience": {"min": 6}}})
    delivered(world, 0)
    world.put("people", [*(person(number, opt_in=False) for number in range(4)), person(20), person(5, value=9)])
    outcome = delivered(world, 1)
    assert set(world.held) == {"[4]", "[5]", "[6]", "[7]"}
    counts = outcome.delivery.counts
    assert (counts.deleted, counts.inserted, counts.updated, counts.left_out["below_minimum"]) == (4, 0, 0, 2)
    assert counts.received == counts.delivered + sum(counts.left_out.values())
    assert "2 others wait" in outcome.warnings[0]
    waiting = world.deliver(TIMES[2])
    assert waiting.skip is not None
    assert waiting.skip.reason == "below_minimum"
    world.append("people", [person(number) for number in range(30, 34)])
    assert_holds(world, delivered(world, 3), **CONSENTING)


def test_a_minimum_holds_up_an_audience_that_was_never_that_large(tmp_path: Path) -> None:
    world = begun(tmp_path, people=4, export={"limits": {"audience": {"min": 6}}})
    outcome = world.deliver(TIMES[0])
    assert outcome.skip is not None
    assert outcome.skip.reason == "below_minimum"
    assert world.audiences.sent == []


# -- receivers
def test_a_reason_that_is_no_code_is_not_kept(tmp_path: Path) -> None:
    class Chatty(Audiences):
        def send(self, audience: str, batch: Batch) -> Answered:
            super().send(audience, batch)
            return Answered([Rejected(0, f"the address p{batch.changes[0].values['id']}@x is none")])

    world = begun(tmp_path, Chatty())
    outcome = delivered(world, 0)
    assert outcome.delivery.counts.rejections.reasons == {"rejected": 3}
    assert "@x" not in str(outcome)
    state = world.context.open_state()
    kept = pl.read_parquet(b"".join(state.stream(outcome.delivery.counts.rejections.file) or ()))
    assert set(kept["reason"]) == {"rejected"}


# -- two runs
def test_a_run_that_lost_its_lease_and_sends_late_is_put_right(tmp_path: Path) -> None:
    """It stood still between writing a batch down and sending it; meanwhile another run delivered, twice."""

    class Sleeper(Audiences):
        world: MembersWorld

        def send(self, audience: str, batch: Batch) -> Answered:
            if self.calls.total() == 3 and not self.asleep:
                self.asleep = True
                self.world.release()  # as if the lease had run out
                self.world.put("people", [person(1, value=0), person(3)])
                delivered(self.world, 2, run_id="second")
                delivered(self.world, 3, run_id="second")
            return super().send(audience, batch)

        asleep = False

    sleeper = Sleeper(batch_max=10)
    world = sleeper.world = begun(tmp_path, sleeper)
    delivered(world, 0)
    world.put("people", [person(2, value=9)])
    delivered(world, 1)
    world.put("people", [person(1, value=9), person(3, value=0)])
    sleeper.calls.update(["one more"])
    late = world.deliver(TIMES[2], run_id="first")
    assert late.skip is not None
    assert sleeper.asleep
    assert_holds(world, delivered(world, 4))
    assert world.member.unsettled_batches() == []
