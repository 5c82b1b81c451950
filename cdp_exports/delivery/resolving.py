"""A person decides what no program can: was it delivered or not?"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from cdp_exports.delivery.holding import Holding, holding
from cdp_exports.delivery.member import Member, is_to_audience
from cdp_exports.delivery.publishing import settle
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, DestinationRefused, Occupied
from cdp_exports.ledger.records import BatchState, Delivery, State


def resolve(member: Member, export_time: ExportTime, *, delivered: bool, run_id: str) -> Delivery:
    """End the doubt about a delivery whose publishing was begun and whose manifest is not there.

    `delivered`: the receiver has the files, the delivery is committed as the ledger saw it written. Otherwise it goes
    back to pinned, and the next run of this export time sends the same rows. If the manifest has turned up since, it decides.

    Of an audience destination it is about the batch that was sent and not answered: taken as applied, or as never arrived. The
    next run sends what is missing.

    Raises:
        DeclarationError: there is no doubt about this export time.
        Skip: its run is still going on, or the export time was closed.
    """
    ledger = member.context.ledger
    with holding(ledger, member.environment, member.exports, run_id=run_id, export_time=export_time) as held:
        delivery = member.delivery(export_time)
        if delivery is not None and is_to_audience(delivery.pin):
            return _resolve_batch(member, held, delivery, delivered=delivered)
        if delivery is None or delivery.state is not State.PUBLISHING or delivery.attempt_id is None:
            said = "is unknown" if delivery is None else f"is {delivery.state.value}"
            raise DeclarationError(
                f"{member.export_id}/{member.id} at {export_time} {said}, not in doubt.",
                next_step="`cdp-exports history` shows what stands in doubt.",
            )
        with suppress(Occupied, DestinationRefused):  # nothing of ours can be seen there: what the person says holds
            settled = settle(member, member.destination_of(delivery.pin), delivery)
            if settled is not None:
                return settled
        if not delivered:
            held.write(lambda lease: ledger.reopen(lease, delivery.id))
        else:
            attempt = next(attempt for attempt in ledger.attempts(delivery.id) if attempt.id == delivery.attempt_id)
            assert delivery.counts is not None  # recorded with the intent to publish
            ledger.commit(delivery.id, attempt.id, counts=delivery.counts, files=attempt.files, run_id=attempt.run_id)
        decided = member.delivery(export_time)
        assert decided is not None
        return decided


def _resolve_batch(member: Member, held: Holding, delivery: Delivery, *, delivered: bool) -> Delivery:
    doubtful = [batch for batch in member.unsettled_batches() if batch.state is BatchState.SENDING]
    if not doubtful:
        raise DeclarationError(
            f"No batch of {member.export_id}/{member.id} is in doubt.", next_step="`cdp-exports history` shows what stands in doubt."
        )
    ledger, state = member.context.ledger, BatchState.DONE if delivered else BatchState.VOID
    for batch in doubtful:
        held.write(partial(ledger.end_batch, batch_id=batch.id, state=state))
    return delivery
