"""What every audience destination must do, as tests to inherit: derive a class named `Test...` from AudienceDestinationSuite, say what
members look like, and define the fixtures `destination` and `held`. Each further fixture brings tests that are skipped without it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

import pytest

from cdp_exports.destinations.audience import Answered, AudienceDestination, Change, Rejected
from cdp_exports.entities.capabilities import Capabilities, Repeat
from cdp_exports.errors import NotApplied
from cdp_exports.testing.audience_failures import AudienceFailures
from cdp_exports.testing.audience_receiver import Faults, Held, Untrusted, members_of, switch_of

__all__ = ["AudienceDestinationSuite", "Faults", "Held", "Untrusted"]


class AudienceDestinationSuite(AudienceFailures):
    """Inherit it; define `identity`, and the fixtures `destination` and `held`, over a receiver that holds nobody yet."""

    def test_it_says_what_it_can_do(self, destination: AudienceDestination) -> None:
        offered = destination.capabilities
        assert offered.members
        assert offered.members.batch_max >= 1
        if self.declared is None:
            pytest.skip("the type's capabilities are not given as `declared`")
        assert _within(offered, self.declared)

    def test_its_place_is_stable(self, destination: AudienceDestination) -> None:
        assert destination.place == destination.place
        assert destination.uri("one") == destination.uri("one") != destination.uri("other")

    def test_it_shows_no_secret(self, destination: AudienceDestination, secrets: Collection[str]) -> None:
        if not secrets:
            pytest.skip("there are no `secrets`")
        shown = f"{destination!r} {destination} {destination.place} {destination.uri(self.audience)}"
        assert not [secret for secret in secrets if secret in shown]

    # what it does

    def test_preparing_twice_is_preparing_once(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1))
        destination.prepare(self.audience)
        assert set(held(self.audience)) == self.are(1)

    def test_who_enters_is_in(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        assert not held(self.audience)
        assert self.send(destination, self.entered(1, 2, 3)) == Answered()
        found = held(self.audience)
        assert set(found) == self.are(1, 2, 3)
        if isinstance(found, Mapping):
            assert found[self.shown(2)] == self.values(2)

    def test_who_leaves_is_out(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1, 2, 3))
        assert self.send(destination, self.exited(2)) == Answered()
        assert set(held(self.audience)) == self.are(1, 3)

    def test_who_is_updated_stays_in(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1, 2))
        assert self.send(destination, [Change("updated", self.values(2))]) == Answered()
        assert set(held(self.audience)) == self.are(1, 2)

    def test_who_is_updated_and_was_not_in_is_in(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        assert self.send(destination, [Change("updated", self.values(2))]) == Answered()
        assert set(held(self.audience)) == self.are(2)

    def test_who_leaves_and_was_not_in_is_not_rejected(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1))
        assert self.send(destination, self.exited(2, 3)) == Answered()
        assert set(held(self.audience)) == self.are(1)

    def test_who_enters_twice_is_in_once(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1, 2))
        assert self.send(destination, self.entered(1)) == Answered()
        assert self.send(destination, self.exited(1)) == Answered()
        assert set(held(self.audience)) == self.are(2)

    def test_changes_are_applied_in_order(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1))
        assert self.send(destination, [*self.exited(1, 2), *self.entered(1, 2, 3)]) == Answered()
        assert set(held(self.audience)) == self.are(1, 2, 3)

    def test_the_largest_batch(self, destination: AudienceDestination, held: Held) -> None:
        most = members_of(destination).batch_max
        destination.prepare(self.audience)
        assert self.send(destination, self.entered(*range(most))) == Answered()
        assert len(held(self.audience)) == most
        assert self.send(destination, self.exited(*range(1, most))) == Answered()
        assert set(held(self.audience)) == self.are(0)

    def test_audiences_are_separate(self, destination: AudienceDestination, held: Held) -> None:
        other = f"{self.audience} 2"
        destination.prepare(self.audience)
        destination.prepare(other)
        self.send(destination, self.entered(1, 2))
        destination.send(other, self.batch(self.entered(2, 3)))
        destination.send(other, self.batch(self.exited(2)))
        assert set(held(self.audience)) == self.are(1, 2)
        assert set(held(other)) == self.are(3)

    def test_probing_changes_nothing(self, destination: AudienceDestination, held: Held) -> None:
        destination.prepare(self.audience)
        self.send(destination, self.entered(1))
        destination.probe()
        assert set(held(self.audience)) == self.are(1)

    # the same batch again

    def test_the_same_batch_again(self, destination: AudienceDestination, held: Held) -> None:
        if members_of(destination).repeat is Repeat.UNKNOWN:
            pytest.skip("nothing is promised about the same batch again")
        batch = self.batch([*self.exited(3), *self.entered(1, 2)])
        destination.prepare(self.audience)
        self.send(destination, self.entered(3))
        first = destination.send(self.audience, batch)
        assert destination.send(self.audience, batch) == first == Answered()
        assert set(held(self.audience)) == self.are(1, 2)

    def test_a_batch_known_by_its_key_is_not_applied_again(self, destination: AudienceDestination, held: Held) -> None:
        if members_of(destination).repeat is not Repeat.BY_KEY:
            pytest.skip("batches are not known by their keys")
        batch = self.batch(self.entered(1, 2))
        destination.prepare(self.audience)
        destination.send(self.audience, batch)
        self.send(destination, self.exited(1))
        assert destination.send(self.audience, batch) == Answered()
        assert set(held(self.audience)) == self.are(2)

    def test_the_outcome_is_what_was_answered(self, destination: AudienceDestination, faults: Faults) -> None:
        reject = switch_of(faults.reject)
        batch = self.batch(self.entered(1, 2, 3))
        destination.prepare(self.audience)
        reject(self.identity(2), "invalid")
        answered = destination.send(self.audience, batch)
        outcome = destination.outcome(self.audience, batch)
        if outcome is None:
            pytest.skip("it cannot tell what became of a batch")
        assert _places(outcome.rejected) == _places(answered.rejected) == [1]

    def test_the_outcome_of_what_was_never_sent(self, destination: AudienceDestination) -> None:
        destination.prepare(self.audience)
        try:
            outcome = destination.outcome(self.audience, self.batch(self.entered(1)))
        except NotApplied:
            return
        assert outcome is None

    # what is not taken

    def test_who_is_rejected_is_told_by_place(self, destination: AudienceDestination, held: Held, faults: Faults) -> None:
        reject = switch_of(faults.reject)
        destination.prepare(self.audience)
        reject(self.identity(2), "invalid")
        reject(self.identity(5), f"no such member: {self.shown(5)}")
        rejected = self.send(destination, self.entered(1, 2, 3, 4, 5)).rejected
        assert _places(rejected) == [1, 4]
        for one in rejected:
            assert re.fullmatch(r"[a-z0-9_.-]{1,64}", one.reason)
            assert not any(str(value) in one.reason for value in self.values(5).values())
        assert set(held(self.audience)) == self.are(1, 3, 4)

    def test_all_may_be_rejected(self, destination: AudienceDestination, held: Held, faults: Faults) -> None:
        reject = switch_of(faults.reject)
        destination.prepare(self.audience)
        for number in (1, 2):
            reject(self.identity(number), "invalid")
        assert _places(self.send(destination, self.entered(1, 2)).rejected) == [0, 1]
        assert not held(self.audience)


def _within(offered: Capabilities, declared: Capabilities) -> bool:
    """Whether everything that is offered was declared."""
    one, other = offered.members, declared.members
    assert one
    assert other
    return (
        one.batch_max <= other.batch_max
        and (one.fields, one.any_of, one.takes_key) == (other.fields, other.any_of, other.takes_key)
        and offered.accepts_people <= declared.accepts_people
        and offered.accepts_accounts <= declared.accepts_accounts
        and offered.hashes_identities is declared.hashes_identities
        and (offered.audience_min or 0) >= (declared.audience_min or 0)
        and _at_most(offered.audience_max, declared.audience_max)
        and _at_most(offered.delivery_max, declared.delivery_max)
    )


def _at_most(offered: int | None, declared: int | None) -> bool:
    return declared is None or (offered is not None and offered <= declared)


def _places(rejected: Sequence[Rejected]) -> list[int]:
    return [one.index for one in rejected]
