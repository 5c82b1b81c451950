"""What every audience destination must do when something goes wrong."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from cdp_exports.destinations.audience import Answered, AudienceDestination
from cdp_exports.entities.capabilities import Repeat
from cdp_exports.errors import DestinationRefused, NotApplied, TransientError
from cdp_exports.testing.audience_receiver import AudienceTests, Faults, Held, Untrusted, members_of, switch_of


class AudienceFailures(AudienceTests):
    """The part of AudienceDestinationSuite that needs `faults`, or destinations that do not work."""

    def test_of_a_batch_that_is_refused_nothing_is_applied(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str]
    ) -> None:
        refuse = switch_of(faults.refuse)
        destination.prepare(self.audience)
        batch = self.batch(self.entered(1, 2))
        refuse()
        self.failure(lambda: destination.send(self.audience, batch), secrets, DestinationRefused)
        assert not held(self.audience)
        destination.send(self.audience, batch)
        assert set(held(self.audience)) == self.are(1, 2)

    def test_an_audience_that_is_gone_is_not_made_anew_unless_asked_to(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str]
    ) -> None:
        forget = switch_of(faults.forget)
        destination.prepare(self.audience)
        self.send(destination, self.entered(1))
        destination.prepare(self.audience, create=False)
        assert set(held(self.audience)) == self.are(1)
        forget(self.audience)
        self.failure(lambda: destination.prepare(self.audience, create=False), secrets, DestinationRefused)
        destination.prepare(self.audience)
        self.send(destination, self.entered(2))
        assert set(held(self.audience)) == self.are(2)

    def test_a_busy_receiver_is_waited_for(self, destination: AudienceDestination, held: Held, faults: Faults) -> None:
        busy = switch_of(faults.busy)
        destination.prepare(self.audience)
        busy(1, 1)
        assert self.send(destination, self.entered(1)) == Answered()
        assert set(held(self.audience)) == self.are(1)

    def test_a_slow_receiver_is_waited_for(self, destination: AudienceDestination, held: Held, faults: Faults) -> None:
        slow = switch_of(faults.slow)
        destination.prepare(self.audience)
        slow(0.5)
        assert self.send(destination, self.entered(1)) == Answered()
        assert set(held(self.audience)) == self.are(1)

    def test_a_receiver_that_stays_busy(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str]
    ) -> None:
        busy = switch_of(faults.busy)
        destination.prepare(self.audience)
        busy(1, 100_000)
        self.failure(lambda: self.send(destination, self.entered(1)), secrets, NotApplied)
        assert not held(self.audience)

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_receiver_that_fails(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str], status: int
    ) -> None:
        fail = switch_of(faults.fail)
        destination.prepare(self.audience)
        fail(status)
        self._comes_right(destination, held, secrets, applied=False)

    @pytest.mark.parametrize("applied", [False, True], ids=["before it is applied", "after it is applied"])
    def test_a_connection_that_breaks(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str], applied: bool
    ) -> None:
        cut = switch_of(faults.cut)
        destination.prepare(self.audience)
        cut(applied)
        self._comes_right(destination, held, secrets, applied=applied)

    @pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
    def test_an_answer_that_does_not_come(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str], applied: bool
    ) -> None:
        stall = switch_of(faults.stall)
        destination.prepare(self.audience)
        stall(applied)
        self._comes_right(destination, held, secrets, applied=applied)

    def test_wrong_credentials(self, wrong: AudienceDestination | None, held: Held, secrets: Collection[str]) -> None:
        if wrong is None:
            pytest.skip("no destination with `wrong` credentials is given")
        self.failure(wrong.probe, secrets, DestinationRefused)
        self.failure(lambda: wrong.prepare(self.audience), secrets, DestinationRefused)
        self.failure(lambda: self.send(wrong, self.entered(1)), secrets, DestinationRefused)
        assert not held(self.audience)

    def test_credentials_that_expire_in_the_middle(
        self, destination: AudienceDestination, held: Held, faults: Faults, secrets: Collection[str]
    ) -> None:
        expire = switch_of(faults.expire)
        destination.prepare(self.audience)
        self.send(destination, self.entered(1))
        expire()
        self.failure(lambda: self.send(destination, self.entered(2)), secrets, DestinationRefused)
        assert set(held(self.audience)) == self.are(1)

    def test_nothing_listens(self, unreachable: AudienceDestination | None, secrets: Collection[str]) -> None:
        if unreachable is None:
            pytest.skip("no `unreachable` destination is given")
        self.failure(unreachable.probe, secrets, TransientError)
        self.failure(lambda: self.send(unreachable, self.entered(1)), secrets, NotApplied)

    def test_a_certificate_of_another(self, untrusted: Untrusted | None, secrets: Collection[str]) -> None:
        if untrusted is None:
            pytest.skip("no `untrusted` server is given")
        destination = untrusted.destination
        self.failure(destination.probe, secrets, DestinationRefused)
        self.failure(lambda: destination.prepare(self.audience), secrets, DestinationRefused)
        self.failure(lambda: self.send(destination, self.entered(1)), secrets, DestinationRefused)
        assert untrusted.received() == 0

    def _comes_right(self, destination: AudienceDestination, held: Held, secrets: Collection[str], *, applied: bool) -> None:
        """A batch fails; the error says the truth about what was applied, and what a delivery then does brings the batch home."""
        batch = self.batch(self.entered(1, 2))
        error = self.failure(lambda: destination.send(self.audience, batch), secrets, TransientError)
        if isinstance(error, NotApplied):
            assert not held(self.audience)
            destination.send(self.audience, batch)
        elif members_of(destination).repeat is not Repeat.UNKNOWN:
            destination.send(self.audience, batch)
        else:
            try:
                outcome = destination.outcome(self.audience, batch)
            except NotApplied:
                assert not applied
                destination.send(self.audience, batch)
            else:
                if outcome is None:
                    pytest.skip("it cannot tell what became of a batch: a person decides")
                assert applied
                assert outcome == Answered()
        assert set(held(self.audience)) == self.are(1, 2)
