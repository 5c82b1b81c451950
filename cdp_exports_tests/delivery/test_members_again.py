"""A batch in doubt that is sent again, and is not taken this time either."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdp_exports.entities.capabilities import Repeat
from cdp_exports_tests.delivery.audiences import Audiences
from cdp_exports_tests.delivery.members_world import MembersWorld
from cdp_exports_tests.delivery.test_members import assert_holds, delivered, person
from cdp_exports_tests.delivery.world import TIMES, hurry


@pytest.mark.parametrize("second", ["busy", "refused"])
@pytest.mark.parametrize("repeat", [Repeat.BY_KEY, Repeat.HARMLESS])
def test_a_refused_repetition_says_nothing_of_the_first_time(tmp_path: Path, repeat: Repeat, second: str) -> None:
    """That nothing was applied now does not mean that nothing was applied then: the batch keeps its key."""
    hurry()
    world = MembersWorld.receiving(tmp_path, Audiences(repeat=repeat, batch_max=10))
    world.append("people", [person(1), person(2)])
    world.audiences.faults = ["lost_after", second]
    for _ in range(2):
        assert world.deliver(TIMES[0]).status == "failed"
    assert_holds(world, delivered(world, 0))
    assert len(world.audiences.calls) == 1  # one key, three times
    assert len(world.audiences.sent) == (1 if repeat is Repeat.BY_KEY else 2)
