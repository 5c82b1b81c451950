"""A receiver of an audience destination as tests see it, and how they speak of its members."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, ParamSpec

import pytest

from cdp_exports.destinations.audience import Answered, AudienceDestination, Batch, Change, Value
from cdp_exports.entities.capabilities import Capabilities, Members
from cdp_exports.errors import CdpExportsError

P = ParamSpec("P")

Held = Callable[[str], Collection[str]]
"""Who is in an audience now, by its name: identities as text, or values by identity where the receiver keeps values."""


@dataclass(frozen=True)
class Faults:
    """Switches of the receiving server, each for the next batch unless it says otherwise; None: it has none."""

    reject: Callable[[Mapping[str, Value], str], None] | None = None
    """From now on this member (values of an identity) is not taken; the text is the reason, as the receiver words it."""

    refuse: Callable[[], None] | None = None
    """The batch is refused whole, as not understood."""

    busy: Callable[[int, float], None] | None = None
    """So many requests are answered with 429 and `Retry-After`, in seconds."""

    fail: Callable[[int], None] | None = None
    """The batch is not applied, and answered with this status, 5xx."""

    slow: Callable[[float], None] | None = None
    """The answer comes after so many seconds."""

    cut: Callable[[bool], None] | None = None
    """The connection breaks instead of an answer; True: after the batch was applied."""

    stall: Callable[[bool], None] | None = None
    """The answer comes later than the destination waits; True: the batch is applied at once, False: not at all."""

    forget: Callable[[str], None] | None = None
    """The audience with this name is gone, as if somebody had deleted it there."""

    expire: Callable[[], None] | None = None
    """From now on the credentials are not accepted, and cannot be renewed."""


@dataclass(frozen=True)
class Untrusted:
    """A destination whose server has another's certificate; `received`: how many requests arrived there."""

    destination: AudienceDestination
    received: Callable[[], int]


class AudienceTests:
    """What AudienceDestinationSuite asks of whoever inherits it."""

    audience: ClassVar[str] = "Loyal customers, été"
    """The name of the audience that tests use."""

    declared: ClassVar[Capabilities | None] = None
    """The capabilities of the type; what opens a connection may offer less, not more."""

    def identity(self, number: int) -> dict[str, Value]:
        """What tells a member apart, as it is sent of who leaves."""
        raise NotImplementedError

    def values(self, number: int) -> dict[str, Value]:
        """All values of a member, as they are sent of who enters."""
        return self.identity(number)

    def shown(self, number: int) -> str:
        """A member's identity as `held` shows it."""
        return "|".join(map(str, self.identity(number).values()))

    @pytest.fixture
    def destination(self) -> AudienceDestination:
        """It waits for a few seconds at most, for an answer and for a busy receiver."""
        raise NotImplementedError

    @pytest.fixture
    def held(self) -> Held:
        raise NotImplementedError

    @pytest.fixture
    def faults(self) -> Faults:
        return Faults()

    @pytest.fixture
    def secrets(self) -> Collection[str]:
        """What no error and no representation may show."""
        return ()

    @pytest.fixture
    def wrong(self) -> AudienceDestination | None:
        """A destination with credentials that are not accepted."""
        return None

    @pytest.fixture
    def unreachable(self) -> AudienceDestination | None:
        """A destination at whose address nothing listens."""
        return None

    @pytest.fixture
    def untrusted(self) -> Untrusted | None:
        return None

    def entered(self, *numbers: int) -> list[Change]:
        return [Change("entered", self.values(number)) for number in numbers]

    def exited(self, *numbers: int) -> list[Change]:
        return [Change("exited", self.identity(number)) for number in numbers]

    def are(self, *numbers: int) -> set[str]:
        return {self.shown(number) for number in numbers}

    def send(self, destination: AudienceDestination, changes: Sequence[Change]) -> Answered:
        return destination.send(self.audience, self.batch(changes))

    def batch(self, changes: Sequence[Change]) -> Batch:
        """With a key of its own."""
        return Batch(str(uuid.uuid4()), changes)

    def failure(self, call: Callable[[], object], secrets: Collection[str], kind: type[CdpExportsError]) -> CdpExportsError:
        """The error, which holds neither a secret nor a member's value."""
        with pytest.raises(kind) as caught:
            call()
        shown = "".join(traceback.format_exception(caught.value))
        assert caught.value.next_step
        values = [value for number in (1, 2) for value in self.values(number).values()]
        private = [*secrets, *(value for value in values if isinstance(value, str) and len(value) > 3)]
        assert not [text for text in private if text in shown]
        return caught.value


def members_of(destination: AudienceDestination) -> Members:
    assert destination.capabilities.members
    return destination.capabilities.members


def switch_of(switch: Callable[P, None] | None) -> Callable[P, None]:
    if switch is None:
        pytest.skip("the server has no switch for it")
    return switch
