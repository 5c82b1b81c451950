"""Any segment, any history of its tables, any runs and crashes: the receiver always holds exactly whom DuckDB finds from scratch."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cdp_exports.delivery.chains import definition_of
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.resolving import resolve
from cdp_exports.delivery.verifying import verify
from cdp_exports_tests.delivery.crash import DESTINATION_STEPS, LEDGER_STEPS
from cdp_exports_tests.delivery.segment_world import CHOICES, COMBINED, EXPORT, SEGMENT, Chosen, SegmentWorld
from cdp_exports_tests.delivery.test_any_sequence import Dying, Killed
from cdp_exports_tests.delivery.world import TIMES, hurry

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = st.fixed_dictionaries(
    {
        "id": st.integers(0, 9),
        "email": st.sampled_from(["a@x", " A@x ", "b@x", "", None]),
        "country": st.sampled_from(["FR", "DE", "US", None]),
        "value": st.one_of(st.none(), st.integers(0, 8)),
        "seen": st.one_of(st.none(), st.integers(0, 30).map(lambda minutes: MIDNIGHT + timedelta(minutes=minutes))),
        "opt_in": st.one_of(st.none(), st.booleans()),
    }
)
ORDER = st.fixed_dictionaries({"order_id": st.integers(0, 9), "person": st.integers(0, 9), "open": st.booleans()})


class AnySegment(RuleBasedStateMachine):
    """One segment, one export."""

    @initialize(
        chosen=st.sampled_from(CHOICES),
        required=st.booleans(),
        deduped=st.booleans(),
        consent=st.booleans(),
        blocked=st.booleans(),
        feed=st.booleans(),
        on_change=st.sampled_from(["full", "difference"]),
    )
    def begin(self, chosen: Chosen, required: bool, deduped: bool, consent: bool, blocked: bool, feed: bool, on_change: str) -> None:
        hurry(60.0)
        self.clock, self.sends, self.one_of = 0, "true", None
        self.required = required
        export: dict[str, Any] = {"on_change": on_change}
        connection: dict[str, Any] = {}
        if required:
            self.sends += " AND coalesce(lower(trim(p.email)), '') <> ''"
        if deduped:
            export |= {"dedupe_by": ["lower(trim(email))"], "newest_by": "seen"}
            self.one_of = "lower(trim(p.email))"
        if consent:
            connection |= {"purpose": "marketing"}
            self.sends += " AND p.id IN (SELECT id FROM head WHERE opt_in)"
        if blocked:
            connection |= {"suppress": [{"dataset": "blocked", "column": "who", "matches": "id"}]}
            self.sends += " AND p.id NOT IN (SELECT who FROM blocked_now)"
        self.world = SegmentWorld.begin(
            Path(tempfile.mkdtemp()), chosen, export={**export, "fields": self.fields("lower")}, connection=connection, feed=feed
        )
        for name, segment in COMBINED.others.items():
            self.world.declare(f"segments/{name}.yaml", segment)
        self.by_hand: dict[str, tuple[str, str]] = {}
        self.declared(chosen, "lower")

    def fields(self, case: str) -> list[dict[str, Any]]:
        return [
            {"from": "email", "to": "EMAIL", "transforms": ["trim", case], "identity": True, "required": self.required},
            {"from": "country"},
            {"from": "value * 2", "to": "double"},
        ]

    def declared(self, chosen: Chosen, case: str) -> None:
        """Remember the truth of what is declared now: a delivery may be of what was declared when it was pinned."""
        self.now = (chosen, case)
        self.by_hand[json.dumps(definition_of(self.world.member))] = (chosen.true, f"{case}(trim(p.email))")

    # -- the declaration
    @rule(chosen=st.sampled_from(CHOICES))
    def the_segment_changes(self, chosen: Chosen) -> None:
        self.world.declare(f"segments/{SEGMENT}.yaml", chosen.segment)
        self.declared(chosen, self.now[1])

    @rule(case=st.sampled_from(["lower", "upper"]))
    def the_mapping_changes(self, case: str) -> None:
        name = f"exports/{EXPORT}.yaml"
        export = yaml.safe_load((self.world.folder / "catalog" / name).read_text())
        self.world.declare(name, {**export, "fields": self.fields(case)})
        self.declared(self.now[0], case)

    # -- the tables
    @rule(rows=st.lists(PERSON, min_size=1, max_size=5))
    def people_change(self, rows: list[dict[str, Any]]) -> None:
        self.world.put("people", rows)

    @rule(rows=st.lists(ORDER, min_size=1, max_size=5))
    def orders_change(self, rows: list[dict[str, Any]]) -> None:
        self.world.put("orders", rows)

    @rule(who=st.integers(0, 9))
    def somebody_is_blocked(self, who: int) -> None:
        self.world.put("blocked", [{"who": who}])

    @rule(who=st.integers(0, 9))
    def somebody_is_deleted(self, who: int) -> None:
        self.world.remove("people", f"id = {who}")

    @rule(who=st.integers(0, 9))
    def somebody_is_unblocked(self, who: int) -> None:
        self.world.remove("blocked", f"who = {who}")

    @rule()
    def optimize(self) -> None:
        self.world.delta("people").optimize.compact()

    # -- the runs
    @rule(skip=st.integers(1, 4))
    def run(self, skip: int) -> None:
        self.clock += skip
        self.check(self.deliver())

    @rule(life=st.integers(0, 20), skip=st.integers(0, 2))
    def crash(self, life: int, skip: int) -> None:
        self.clock += skip
        with self.dying(life):
            try:
                self.world.deliver(TIMES[self.clock], run_id="dying")
            except Killed:
                holder = self.world.ledger.holder("test", EXPORT)
                if holder is not None:
                    self.world.ledger.release(holder)

    @contextmanager
    def dying(self, life: int) -> Generator[None]:
        context, left = self.world.context, [life]
        destination, state = Dying(self.world.destination, DESTINATION_STEPS, left), Dying(context.open_state(), DESTINATION_STEPS, left)
        self.world.__dict__["context"] = replace(
            context,
            ledger=Dying(context.ledger, LEDGER_STEPS, left),  # type: ignore[arg-type]
            open_destination=lambda _: destination,  # type: ignore[arg-type, return-value]
            open_state=lambda: state,  # type: ignore[arg-type, return-value]
        )
        try:
            yield
        finally:
            self.world.__dict__["context"] = context

    def deliver(self) -> Outcome:
        outcome = self.world.deliver(TIMES[self.clock])
        if outcome.error is not None and outcome.error.code == "in_doubt":
            for delivery in self.world.member.open_deliveries():
                resolve(self.world.member, delivery.export_time, delivered=False, run_id="person")
            outcome = self.world.deliver(TIMES[self.clock])
        assert outcome.status == "committed" or (outcome.skip is not None and outcome.skip.reason == "covered_by"), outcome
        return outcome

    def check(self, outcome: Outcome) -> None:
        """After every delivery the receiver's view is the truth."""
        if outcome.delivery is not None and outcome.sent:
            true, email = self.by_hand[json.dumps(outcome.delivery.pin.definition)]
            truth = self.world.truth_of(outcome.delivery, sends=self.sends, one_of=self.one_of, true=true, email=email)
            assert self.world.audience() == truth

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.clock += 1
            self.check(self.deliver())
            assert all(not verdict.differences for verdict in verify(self.world.member))
            listed = {f"{document['folder']}/{file['path']}" for document in self.world.manifests() for file in document["files"]}
            assert self.world.data_files() == listed
            assert self.world.member.id == SEGMENT
        finally:
            self.world.ledger.close()
            shutil.rmtree(self.world.folder)


TestAnySegment = AnySegment.TestCase
TestAnySegment.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
