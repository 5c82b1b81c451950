"""The suite for audience destinations finds what is wrong with one, and nothing where nothing is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest

from cdp_exports.destinations.audience import Answered, AudienceDestination, Batch, Change, Rejected, Value
from cdp_exports.entities.capabilities import Capabilities, Members, Repeat
from cdp_exports.errors import CdpExportsError, DestinationRefused, NotApplied, TransientError
from cdp_exports.testing.audiences import AudienceDestinationSuite, Faults, Held, Untrusted

OFFERED = Capabilities(proof=None, formats=frozenset(), conditional_create=False, members=Members(batch_max=5, repeat=Repeat.BY_KEY))


@dataclass
class InMemory:
    """An audience destination that is its own receiver. `flaw`: what is wrong with it."""

    flaw: str = ""
    offered: Capabilities = OFFERED
    audiences: dict[str, dict[str, Mapping[str, Value]]] = field(default_factory=dict)
    answers: dict[str, Answered] = field(default_factory=dict)
    rejects: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    received: int = 0

    def __repr__(self) -> str:
        return "InMemory(secret-word)" if self.flaw == "shows secrets" else "InMemory()"

    @property
    def capabilities(self) -> Capabilities:
        assert self.offered.members
        if self.flaw == "offers more":
            return replace(self.offered, members=replace(self.offered.members, batch_max=6))
        return self.offered

    @property
    def place(self) -> str:
        return "memory://account"

    def uri(self, audience: str) -> str:
        return f"{self.place}/{'' if self.flaw == 'one address' else audience}"

    def prepare(self, audience: str, *, create: bool = True) -> None:
        self._sign_in()
        if audience not in self.audiences and not create and self.flaw != "makes anew":
            raise self._error(DestinationRefused)
        if self.flaw == "prepares anew" or audience not in self.audiences:
            self.audiences[audience] = {}

    def send(self, audience: str, batch: Batch) -> Answered:
        self._sign_in()
        fault, self.fault = self.fault, ""
        if fault == "refuse":
            if self.flaw == "refused but applied":
                self._apply(audience, batch)
            raise self._error(DestinationRefused)
        if fault == "busy":
            raise self._error(TransientError if self.flaw == "busy is doubt" else NotApplied)
        if fault in ("before", "after"):
            if fault == "after":
                self._apply(audience, batch)
            raise self._error(NotApplied if self.flaw == "doubt denied" else TransientError)
        return self._apply(audience, batch)

    def outcome(self, audience: str, batch: Batch) -> Answered | None:
        if self.flaw == "invents outcomes":
            return Answered()
        if self.flaw == "forgets rejects":
            return replace(self.answers[batch.key], rejected=())
        if batch.key not in self.answers:
            raise self._error(NotApplied)
        return self.answers[batch.key]

    def probe(self) -> None:
        self._sign_in()
        if self.flaw == "probes by clearing":
            self.audiences.clear()

    def _sign_in(self) -> None:
        if self.flaw == "sends to anybody":
            self.received += 1
        if self.fault == "nobody":
            raise self._error(TransientError if self.flaw == "doubt of nothing" else NotApplied)
        if self.fault == "expired" and self.flaw != "asks for no credentials":
            raise self._error(DestinationRefused)

    def _error(self, kind: type[CdpExportsError]) -> CdpExportsError:
        told = "member-1 " if self.flaw == "tells members" else "secret-word " if self.flaw == "tells secrets" else ""
        return kind(f"It failed {told}.", next_step="" if self.flaw == "no next step" else "Run it again.")

    def _apply(self, audience: str, batch: Batch) -> Answered:
        if batch.key in self.answers and self.flaw != "forgets keys":
            return self.answers[batch.key]
        everybody = self.audiences["Loyal customers, été" if self.flaw == "mixes audiences" else audience]
        changes = list(batch.changes)
        if self.flaw == "adds first":
            changes.sort(key=lambda change: change.status == "exited")
        if self.flaw == "loses the last":
            changes = changes[:4]
        rejected: list[Rejected] = []
        for index, change in enumerate(changes):
            rejected += self._applied(everybody, index, change)
        if self.flaw == "all or nothing" and rejected:
            everybody.clear()
        self.answers[batch.key] = Answered(tuple(rejected))
        return self.answers[batch.key]

    def _applied(self, everybody: dict[str, Mapping[str, Value]], index: int, change: Change) -> list[Rejected]:
        identity = str(change.values["id"])
        if identity in self.rejects:
            reason = self.rejects[identity] if self.flaw == "quotes reasons" else "invalid"
            return [Rejected(index + (self.flaw == "counts from one"), reason)]
        known = identity in everybody
        if change.status == "exited":
            if not known and self.flaw == "rejects who is gone":
                return [Rejected(index, "absent")]
            if self.flaw != "never removes":
                everybody.pop(identity, None)
        elif change.status == "entered" or (known or self.flaw != "updates only"):
            if known and change.status == "entered" and self.flaw == "adds twice":
                everybody[f"{identity} again"] = change.values
            everybody[identity] = {"id": identity} if self.flaw == "loses values" else change.values
            if change.status == "updated" and self.flaw == "updates by removing":
                del everybody[identity]
        return []


class InMemorySuite(AudienceDestinationSuite):
    declared: ClassVar[Capabilities | None] = OFFERED
    flaw: ClassVar[str] = ""

    def identity(self, number: int) -> dict[str, Value]:
        return {"id": f"member-{number}"}

    def values(self, number: int) -> dict[str, Value]:
        return {"id": f"member-{number}", "city": f"Town {number}"}

    def made(self, fault: str = "") -> InMemory:
        return InMemory(self.flaw, fault=fault)

    @pytest.fixture
    def destination(self) -> AudienceDestination:
        return self.made()

    @pytest.fixture
    def held(self, destination: InMemory) -> Held:
        return lambda audience: destination.audiences.get(audience, {})

    @pytest.fixture
    def secrets(self) -> tuple[str, ...]:
        return ("secret-word",)

    @pytest.fixture
    def faults(self, destination: InMemory) -> Faults:
        def meet(fault: str) -> None:
            destination.fault = fault

        return Faults(
            reject=lambda identity, reason: destination.rejects.update({str(identity["id"]): reason}),
            refuse=lambda: meet("refuse"),
            busy=lambda times, seconds: meet("busy" if seconds > 5 else ""),
            fail=lambda status: meet("before"),
            slow=lambda seconds: None,
            cut=lambda applied: meet("after" if applied else "before"),
            stall=lambda applied: meet("after" if applied else "before"),
            forget=destination.audiences.__delitem__,
            expire=lambda: meet("expired"),
        )

    @pytest.fixture
    def wrong(self) -> AudienceDestination:
        return self.made("expired")

    @pytest.fixture
    def unreachable(self) -> AudienceDestination:
        return self.made("nobody")

    @pytest.fixture
    def untrusted(self) -> Untrusted:
        destination = self.made("expired")
        return Untrusted(destination, lambda: destination.received)


class TestInMemory(InMemorySuite):
    """Nothing is wrong with it."""


FLAWS = {
    "offers more": "test_it_says_what_it_can_do",
    "one address": "test_its_place_is_stable",
    "shows secrets": "test_it_shows_no_secret",
    "prepares anew": "test_preparing_twice_is_preparing_once",
    "loses values": "test_who_enters_is_in",
    "never removes": "test_who_leaves_is_out",
    "updates by removing": "test_who_is_updated_stays_in",
    "updates only": "test_who_is_updated_and_was_not_in_is_in",
    "rejects who is gone": "test_who_leaves_and_was_not_in_is_not_rejected",
    "adds twice": "test_who_enters_twice_is_in_once",
    "adds first": "test_changes_are_applied_in_order",
    "loses the last": "test_the_largest_batch",
    "mixes audiences": "test_audiences_are_separate",
    "probes by clearing": "test_probing_changes_nothing",
    "forgets keys": "test_a_batch_known_by_its_key_is_not_applied_again",
    "forgets rejects": "test_the_outcome_is_what_was_answered",
    "invents outcomes": "test_the_outcome_of_what_was_never_sent",
    "counts from one": "test_who_is_rejected_is_told_by_place",
    "quotes reasons": "test_who_is_rejected_is_told_by_place",
    "all or nothing": "test_who_is_rejected_is_told_by_place",
    "refused but applied": "test_of_a_batch_that_is_refused_nothing_is_applied",
    "makes anew": "test_an_audience_that_is_gone_is_not_made_anew_unless_asked_to",
    "busy is doubt": "test_a_receiver_that_stays_busy",
    "doubt denied": "test_a_connection_that_breaks",
    "tells members": "test_a_receiver_that_fails",
    "tells secrets": "test_wrong_credentials",
    "no next step": "test_a_receiver_that_fails",
    "asks for no credentials": "test_credentials_that_expire_in_the_middle",
    "doubt of nothing": "test_nothing_listens",
    "sends to anybody": "test_a_certificate_of_another",
}


def test_every_flaw_is_found(tmp_path: Path) -> None:
    made = "\n".join(f"class TestFlaw{number}(InMemorySuite):\n    flaw = {flaw!r}" for number, flaw in enumerate(FLAWS))
    (tmp_path / "test_flaws.py").write_text(f"from {__name__} import InMemorySuite\n{made}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "--tb=no", "-p", "no:cacheprovider", "-c", "/dev/null", "test_flaws.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    )
    failed = set(re.findall(r"^FAILED test_flaws.py::TestFlaw(\d+)::(\w+)", done.stdout, re.MULTILINE))
    assert failed, done.stdout + done.stderr
    assert [flaw for number, (flaw, test) in enumerate(FLAWS.items()) if (str(number), test) not in failed] == []
