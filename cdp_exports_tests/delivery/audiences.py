"""An audience destination in this process that can be told to go wrong, and remembers everything that was applied."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cdp_exports.destinations.audience import Answered, Batch, Change, Rejected, Value
from cdp_exports.entities.capabilities import Capabilities, Members, Repeat
from cdp_exports.errors import DestinationRefused, NotApplied, TransientError
from cdp_exports_tests.delivery.test_any_sequence import Killed

Identity = str


def identity_of(values: Mapping[str, Value], told_by: tuple[str, ...]) -> Identity:
    return json.dumps([values[name] for name in told_by])


@dataclass
class Audiences:
    """`told_by`: what tells members apart. `faults`: what happens to the next calls, in order: `refused`, `busy`, `lost_before` and
    `lost_after` (no answer; applied or not), `killed_before` and `killed_after` (we die; applied or not), `nonsense`,
    `overtaken` (`meanwhile` happens before it is applied)."""

    meanwhile: Callable[[], None] = lambda: None
    told_by: tuple[str, ...] = ("id",)
    repeat: Repeat = Repeat.HARMLESS
    batch_max: int = 3
    tells: bool = False  # whether `outcome` can be asked
    held: dict[str, dict[Identity, Mapping[str, Value]]] = field(default_factory=dict[str, dict[Identity, Mapping[str, Value]]])
    rejects: set[Identity] = field(default_factory=set[Identity])
    faults: list[str] = field(default_factory=list[str])
    answers: dict[str, Answered] = field(default_factory=dict[str, Answered])
    content: dict[str, Batch] = field(default_factory=dict[str, Batch])
    calls: Counter[str] = field(default_factory=Counter[str])
    sent: list[Batch] = field(default_factory=list[Batch])

    @property
    def capabilities(self) -> Capabilities:
        members = Members(batch_max=self.batch_max, repeat=self.repeat)
        return Capabilities(proof=None, formats=frozenset(), conditional_create=False, members=members)

    place = "made-up://account"

    def uri(self, audience: str) -> str:
        return f"{self.place}/{audience}"

    def prepare(self, audience: str, *, create: bool = True) -> None:
        if audience not in self.held and not create:
            raise DestinationRefused("No such audience.", next_step="Send everybody: `--full`.")
        self.held.setdefault(audience, {})

    def send(self, audience: str, batch: Batch) -> Answered:
        assert 0 < len(batch.changes) <= self.batch_max
        fault = self.faults.pop(0) if self.faults else ""
        self.calls[batch.key] += 1
        if fault == "refused":
            raise DestinationRefused("No right.", next_step="Ask for it.")
        if fault == "busy":
            raise NotApplied("Busy.", next_step="Later.")
        if fault == "overtaken":
            self.meanwhile()
        if fault.endswith("_before"):
            self._end(fault)
        answered = self._apply(audience, batch)
        if fault.endswith("_after"):
            self._end(fault)
        return Answered([Rejected(len(batch.changes), "x")]) if fault == "nonsense" else answered

    def outcome(self, audience: str, batch: Batch) -> Answered | None:
        if not self.tells:
            return None
        if batch.key not in self.answers:
            raise NotApplied("Unknown.", next_step="Send it.")
        return self.answers[batch.key]

    def probe(self) -> None: ...

    def _end(self, fault: str) -> None:
        if fault.startswith("killed"):
            raise Killed
        raise TransientError("Cut.", next_step="Again.")

    def _apply(self, audience: str, batch: Batch) -> Answered:
        if batch.key in self.answers:
            assert self.content[batch.key] == batch, "a key stands for one content"
            if self.repeat is Repeat.BY_KEY:
                return self.answers[batch.key]
            assert self.repeat is Repeat.HARMLESS, "sent twice"
        rejected = [place for place, change in enumerate(batch.changes) if not self._take(audience, change)]
        answered = Answered([Rejected(place, "made_up") for place in rejected])
        self.answers[batch.key], self.content[batch.key] = answered, batch
        self.sent.append(batch)
        return answered

    def _take(self, audience: str, change: Change) -> bool:
        identity = identity_of(change.values, self.told_by)
        if identity in self.rejects:
            return False
        if change.status == "exited":
            assert set(change.values) == set(self.told_by)
            self.held[audience].pop(identity, None)
        else:
            self.held[audience][identity] = dict(change.values)
        return True


def replaced(context: Any, audiences: Audiences, **others: Any) -> Any:
    """The context with this destination behind every audience connection."""
    return replace(context, open_audience=lambda _: audiences, **others)
