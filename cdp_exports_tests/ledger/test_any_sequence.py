"""Any sequence of steps by two runs, one of which may have lost its lease: the ledger does what a simple model says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Delivery, Lease, State
from cdp_exports_tests.ledger.building import COUNTS, OF_EXPORT, OF_MEMBER, delivery, file, lease, minute

OPEN = {State.PINNED, State.PUBLISHING}
RUNS = st.sampled_from(["one", "two"])
TIMES = st.integers(1, 4).map(minute)
CHOICE = st.integers(0, 99)


@dataclass(frozen=True)
class Expected:
    """What the model knows of one delivery."""

    id: str
    state: State = State.PINNED
    attempt: str | None = None
    covered_by: ExportTime | None = None
    attempts: dict[str, str] = field(default_factory=dict)  # id → the file it wrote

    def to(self, state: State, attempt: str | None = None, covered_by: ExportTime | None = None) -> Expected:
        return replace(self, state=state, attempt=attempt, covered_by=covered_by)


class Deliveries(RuleBasedStateMachine):
    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        self.environment = f"env_{uuid4().hex[:12]}"
        self.leases: dict[str, Lease] = {}
        self.holder: str | None = None
        self.expected: dict[ExportTime, Expected] = {}
        self.committed: dict[ExportTime, Delivery] = {}

    # -- the model
    def open(self) -> list[ExportTime]:
        return [time for time, made in self.expected.items() if made.state in OPEN]

    def attempt(self, choice: int) -> tuple[ExportTime, str] | None:
        """One of all attempts ever made."""
        known = [(time, attempt) for time, made in self.expected.items() for attempt in made.attempts]
        return known[choice % len(known)] if known else None

    def expect(self, allowed: bool, step: Callable[[], object]) -> bool:
        if allowed:
            step()
        else:
            with pytest.raises(Skip) as refused:
                step()
            assert refused.value.reason == "superseded"
        return allowed

    # -- the steps
    @initialize()
    def begin(self) -> None:
        self.take_over("one")
        self.pin("one", minute(1))

    @rule(run=RUNS)
    def take_over(self, run: str) -> None:
        self.leases[run] = lease(self.ledger, run_id=run, environment=self.environment)
        self.holder = run

    @rule(run=RUNS, time=TIMES)
    def pin(self, run: str, time: ExportTime) -> None:
        if run in self.leases:
            made = delivery(time, environment=self.environment)
            if self.expect(
                self.holder == run and not self.open() and time not in self.expected, lambda: self.ledger.pin(self.leases[run], made)
            ):
                self.expected[time] = Expected(made.id)

    @rule(run=RUNS, choice=CHOICE)
    def write(self, run: str, choice: int) -> None:
        if run not in self.leases or not self.expected:
            return
        time = list(self.expected)[choice % len(self.expected)]
        made = self.expected[time]
        path = f"{time}/{len(made.attempts)}"

        def step() -> None:
            attempt = self.ledger.start_attempt(self.leases[run], made.id, run)
            self.ledger.begin_file(self.leases[run], attempt.id, path)
            self.ledger.end_file(attempt.id, file(path))
            made.attempts[attempt.id] = path

        self.expect(self.holder == run, step)

    @rule(run=RUNS, choice=CHOICE)
    def publishing(self, run: str, choice: int) -> None:
        chosen = self.attempt(choice)
        if run not in self.leases or chosen is None:
            return
        time, attempt = chosen
        made = self.expected[time]
        allowed = made.state is State.PINNED or (made.state is State.PUBLISHING and made.attempt == attempt)
        if self.expect(self.holder == run and allowed, lambda: self.ledger.publishing(self.leases[run], attempt, COUNTS)):
            self.expected[time] = made.to(State.PUBLISHING, attempt)

    @rule(choice=CHOICE)
    def commit(self, choice: int) -> None:
        chosen = self.attempt(choice)
        if chosen is None:
            return
        time, attempt = chosen
        made = self.expected[time]
        allowed = made.state in OPEN or (made.state is State.COMMITTED and made.attempt == attempt)
        files = [file(made.attempts[attempt])]
        if self.expect(allowed, lambda: self.ledger.commit(made.id, attempt, counts=COUNTS, files=files, run_id="any")):
            self.expected[time] = made.to(State.COMMITTED, attempt)

    @rule(time=TIMES, by=TIMES)
    def cover(self, time: ExportTime, by: ExportTime) -> None:
        if time in self.expected:
            made = self.expected[time]
            if self.expect(made.state is not State.COMMITTED, lambda: self.ledger.cover(made.id, by)) and made.state in OPEN:
                self.expected[time] = made.to(State.COVERED, covered_by=by)

    @rule(run=RUNS, time=TIMES)
    def reopen(self, run: str, time: ExportTime) -> None:
        if run in self.leases and time in self.expected:
            made = self.expected[time]
            if self.expect(self.holder == run and made.state in OPEN, lambda: self.ledger.reopen(self.leases[run], made.id)):
                self.expected[time] = made.to(State.PINNED)

    @rule(run=RUNS)
    def release(self, run: str) -> None:
        if run in self.leases:
            self.ledger.release(self.leases[run])
            self.holder = None if self.holder == run else self.holder

    # -- what holds after every step
    @invariant()
    def the_ledger_is_as_expected(self) -> None:
        found = {event.export_time: event for event in self.ledger.history(self.environment) if isinstance(event, Delivery)}
        assert {time: (made.id, made.state, made.attempt_id, made.covered_by) for time, made in found.items()} == {
            time: (made.id, made.state, made.attempt, made.covered_by) for time, made in self.expected.items()
        }
        opened = self.ledger.open_deliveries(self.environment, OF_EXPORT, OF_MEMBER)
        assert [made.export_time for made in opened] == self.open()
        assert len(opened) <= 1
        last = self.ledger.last_committed(self.environment, OF_EXPORT, OF_MEMBER)
        committed = [time for time, made in self.expected.items() if made.state is State.COMMITTED]
        assert (last and last.export_time) == max(committed, default=None)

    @invariant()
    def committed_never_changes(self) -> None:
        now = {made.export_time: made for made in self.ledger.committed(self.environment, OF_EXPORT, OF_MEMBER)}
        assert self.committed.items() <= now.items()
        self.committed = now

    @invariant()
    def nothing_delivered_or_undecided_is_left_over(self) -> None:
        left = {
            file.path
            for _, attempts in self.ledger.leftovers(self.environment, OF_EXPORT, OF_MEMBER)
            for attempt in attempts
            for file in attempt.files
        }
        may_go = {
            path
            for made in self.expected.values()
            if made.state not in OPEN
            for attempt, path in made.attempts.items()
            if made.state is State.COVERED or attempt != made.attempt
        }
        assert left <= may_go


def test_any_sequence(ledger: Ledger) -> None:
    class Machine(Deliveries):
        pass

    Machine.ledger = ledger
    examples = 15 if ledger._database.is_sqlite else 5
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]),
    )
