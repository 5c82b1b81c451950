"""The rows of one delivery once more, as it was pinned: to compare it, or to send it again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cdp_exports.delivery.audience_rows import evaluated
from cdp_exports.delivery.dataset_rows import dataset_reading
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.questions import subject_of
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.errors import HistoryLost
from cdp_exports.ledger.records import Delivery


@contextmanager
def reading_of(member: Member, delivery: Delivery, *, withhold: bool) -> Generator[Reading]:
    """The rows of a committed delivery; valid inside the block. `withhold`: without those who must not be sent any more.

    Raises:
        HistoryLost: what was pinned is gone, or another commit stands under it.
        KeyNotUnique, CannotHold, SourceUnreadable, TransientError: as reading finds.
    """
    upstream = Upstream(member.context)
    if delivery.pin.audience is None and member.audience is None:
        with dataset_reading(member, upstream, delivery.pin) as rows:
            yield rows
    elif delivery.pin.audience is None:
        raise HistoryLost(
            "The ledger was rebuilt from manifests, and no longer knows how this delivery was evaluated.",
            next_step="Later deliveries go on from it all the same.",
            reason="state_lost",
        )
    else:
        with evaluated([subject_of(member, delivery, again=True, withhold=withhold)], upstream) as found:
            yield found[member.id].reading
