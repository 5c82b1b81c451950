"""Any segment, any history of its tables, any faults of an audience destination and crashes: it always holds exactly whom DuckDB finds
from scratch, those apart whom it rejects; no batch is applied twice where that does harm; strangers are never touched."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.resolving import resolve
from cdp_exports.entities.capabilities import Repeat
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import BatchState
from cdp_exports_tests.delivery.audiences import Audiences, identity_of
from cdp_exports_tests.delivery.members_world import MembersWorld
from cdp_exports_tests.delivery.segment_world import CHOICES, SEGMENT, Chosen
from cdp_exports_tests.delivery.test_any_segment import ORDER, PERSON
from cdp_exports_tests.delivery.test_any_sequence import Killed
from cdp_exports_tests.delivery.world import TIMES, hurry

FAULTS = ["refused", "busy", "lost_before", "lost_after", "killed_before", "killed_after", "nonsense"]
STRANGERS = {"[1000]": {}, '["stranger@x"]': {}}


class AnyMembers(RuleBasedStateMachine):
    """One segment, one audience."""

    @initialize(
        chosen=st.sampled_from(CHOICES),
        told_by=st.sampled_from([("id",), ("EMAIL",)]),
        repeat=st.sampled_from(Repeat),
        tells=st.booleans(),
        consent=st.booleans(),
        batch_max=st.integers(1, 4),
    )
    def begin(self, chosen: Chosen, told_by: tuple[str, ...], repeat: Repeat, tells: bool, consent: bool, batch_max: int) -> None:
        hurry(60.0)
        self.clock, self.truths = 0, dict[str, Any]()
        sends = "true"
        if told_by == ("EMAIL",):
            sends += " AND coalesce(lower(trim(p.email)), '') <> ''"
            self.truths["one_of"] = "lower(trim(p.email))"
        if consent:
            sends += " AND p.id IN (SELECT id FROM head WHERE opt_in)"
        self.truths["sends"] = sends
        self.world = MembersWorld.receiving(
            Path(tempfile.mkdtemp()),
            Audiences(told_by=told_by, repeat=repeat, tells=tells, batch_max=batch_max),
            chosen,
            connection={"purpose": "marketing"} if consent else {},
            export={"newest_by": "seen"} if told_by == ("EMAIL",) else {},
        )
        self.world.audiences.held[SEGMENT] = dict(STRANGERS)

    # -- the tables
    @rule(rows=st.lists(PERSON, min_size=1, max_size=6))
    def people_change(self, rows: list[dict[str, Any]]) -> None:
        self.world.put("people", rows)

    @rule(rows=st.lists(ORDER, min_size=1, max_size=4))
    def orders_change(self, rows: list[dict[str, Any]]) -> None:
        self.world.put("orders", rows)

    @rule(who=st.integers(0, 9))
    def somebody_is_deleted(self, who: int) -> None:
        self.world.remove("people", f"id = {who}")

    # -- the receiver
    @rule(who=st.integers(0, 9), email=st.sampled_from(["a@x", "b@x"]))
    def somebody_is_rejected(self, who: int, email: str) -> None:
        values = {"id": who, "EMAIL": email}
        self.world.audiences.rejects = {identity_of(values, self.world.audiences.told_by)}

    @rule()
    def everybody_is_taken(self) -> None:
        self.world.audiences.rejects = set()

    # -- the runs
    @rule(skip=st.integers(0, 2), full=st.booleans())
    def run(self, skip: int, full: bool) -> None:
        self.clock += skip
        doubtful = any(batch.state is BatchState.SENDING for batch in self.world.member.unsettled_batches())
        outcome = self.deliver(full=full and skip > 0)
        if doubtful:  # whoever was in it and lost consent since leaves with the next one
            self.clock += 1
            outcome = self.deliver()
        self.check(outcome)

    @rule(skip=st.integers(0, 2), faults=st.lists(st.sampled_from(["", *FAULTS]), min_size=1, max_size=3))
    def run_badly(self, skip: int, faults: list[str]) -> None:
        self.clock += skip
        self.world.audiences.faults = faults
        try:
            outcome = self.world.deliver(TIMES[self.clock])
            assert outcome.error is None or outcome.error.code in ("destination_refused", "transient", "in_doubt", "skipped"), outcome.error
        except Killed:
            self.world.release()
        self.world.audiences.faults = []

    @rule(skip=st.integers(0, 2), life=st.integers(0, 25))
    def crash(self, skip: int, life: int) -> None:
        self.clock += skip
        with self.world.dying(life):
            try:
                self.world.deliver(TIMES[self.clock], run_id="dying")
            except Killed:
                self.world.release()

    @rule(ahead=st.integers(0, 2), before=st.lists(PERSON, min_size=3, max_size=6), then=st.lists(PERSON, min_size=3, max_size=6))
    def overtaken(self, ahead: int, before: list[dict[str, Any]], then: list[dict[str, Any]]) -> None:
        """A run stands still before a batch arrives; meanwhile another delivers, at the same export time or a later one."""

        def meanwhile() -> None:
            self.world.release()
            self.world.put("people", then)
            self.clock += ahead
            self.deliver()

        self.world.put("people", before)
        self.clock += 1
        self.world.audiences.meanwhile, self.world.audiences.faults = meanwhile, ["overtaken"]
        self.world.deliver(TIMES[self.clock], run_id="overtaken")
        self.world.audiences.faults = []
        self.clock += 1
        self.deliver()
        self.clock += 1
        self.check(self.deliver())

    @rule(size=st.integers(1, 4))
    def batches_have_another_size(self, size: int) -> None:
        self.world.audiences.batch_max = size

    @rule()
    def the_audience_is_deleted(self) -> None:
        """A person sends everybody again, and the first run dies."""
        self.clock += 1
        self.deliver()
        self.world.audiences.held.pop(SEGMENT)
        self.clock += 1
        self.world.audiences.faults = ["", "refused"]
        self.world.deliver(TIMES[self.clock], full=True)
        self.world.audiences.faults = []
        self.world.audiences.held[SEGMENT].update(STRANGERS)
        self.clock += 1
        self.check(self.deliver())

    def deliver(self, *, full: bool = False) -> Outcome:
        outcome = self.world.deliver(TIMES[self.clock], full=full)
        while outcome.error is not None and outcome.error.code == "in_doubt":
            (batch,) = [one for one in self.world.member.unsettled_batches() if one.state is BatchState.SENDING]
            arrived = batch.id in self.world.audiences.answers
            resolve(self.world.member, ExportTime.parse(TIMES[self.clock]), delivered=arrived, run_id="person")
            if arrived:  # a person does not say who was rejected
                self.world.audiences.held[SEGMENT].update(self._in(batch.id))
            outcome = self.world.deliver(TIMES[self.clock], full=full)
        assert outcome.status == "committed" or (outcome.skip is not None and outcome.skip.reason == "covered_by"), outcome
        return outcome

    def _in(self, key: str) -> dict[str, Any]:
        audiences, held = self.world.audiences, dict[str, Any]()
        for change in audiences.content[key].changes:
            identity = identity_of(change.values, audiences.told_by)
            if change.status == "exited":
                audiences.held[SEGMENT].pop(identity, None)
            else:
                held[identity] = dict(change.values)
        return held

    def check(self, outcome: Outcome) -> None:
        if outcome.delivery is None or not outcome.sent:
            return
        truth, audiences = self.world.should_hold(outcome.delivery, **self.truths), self.world.audiences
        held = {identity: values for identity, values in self.world.held.items() if identity not in audiences.rejects}
        assert held == {**STRANGERS, **{identity: values for identity, values in truth.items() if identity not in audiences.rejects}}
        counts = outcome.delivery.counts
        assert counts is not None
        assert counts.movement is not None
        assert counts.received == counts.delivered + counts.failed + sum(counts.left_out.values())
        assert counts.failed <= len(audiences.rejects)
        assert abs(counts.movement.held - len(truth)) <= len(audiences.rejects)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.audiences.rejects = set()
            self.clock += 1
            self.deliver()
            self.clock += 1
            last = self.deliver()
            self.check(last)
            assert last.delivery is not None
            assert last.delivery.counts is not None
            assert last.delivery.counts.movement is not None
            assert last.delivery.counts.movement.held == len(self.world.should_hold(last.delivery, **self.truths))
            assert self.world.member.unsettled_batches() == []
        finally:
            self.world.ledger.close()
            shutil.rmtree(self.world.folder)


TestAnyMembers = AnyMembers.TestCase
TestAnyMembers.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
