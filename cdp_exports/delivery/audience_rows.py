"""The rows of segment deliveries: all members of an export evaluated together, before a byte of any of them leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from cdp_exports.delivery import held
from cdp_exports.delivery.limits import LimitState, limits_of, states
from cdp_exports.delivery.pinning import source_pin
from cdp_exports.delivery.questions import Questions, Subject, together
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.scratch import scratch
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.evaluation.inputs import Answer
from cdp_exports.formats.check import check
from cdp_exports.ledger.records import Attempt, Counts, Delivery, Held, SourcePin
from cdp_exports.segments.audience import Audience
from cdp_exports.sources.reading import reading

MEMORY_LIMIT = 384 * 2**20
"""Bytes that DuckDB may use; beyond it it spills to the temporary folder."""

DISK_LIMIT = 50 * 2**30
"""Bytes that it may spill."""


@dataclass(frozen=True)
class Evaluated:
    """What a member would be sent, and how it counts."""

    reading: Reading
    answer: Answer
    limits: tuple[LimitState, ...]


@contextmanager
def evaluated(subjects: Sequence[Subject], upstream: Upstream) -> Generator[dict[str, Evaluated]]:
    """Evaluate members, by id; those of the same versions share their scans. Valid inside the block.

    Raises:
        HistoryLost: a pinned version, the state or a list is gone.
        KeyNotUnique, CannotHold, NotCounted, SourceUnreadable, TransientError: as evaluating finds.
    """
    from cdp_exports.evaluation.evaluate import evaluate

    found: dict[str, Evaluated] = {}
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        for number, group in enumerate(together(subjects)):
            stack.enter_context(reading(" and ".join(subject.member.id for subject in group)))
            place = folder / str(number)
            place.mkdir()
            asked = Questions(group, upstream, stack, place)
            for subject in group:
                subject.member.context.progress(subject.member.id, "evaluating", 0, None)
            answers = stack.enter_context(
                evaluate(asked.questions, asked.tables, memory_limit=MEMORY_LIMIT, disk_limit=DISK_LIMIT, folder=place)
            )
            for subject, question, answer in zip(group, asked.questions, answers, strict=True):
                check(answer.rows.collect_schema(), subject.member.export.format)
                guards = tuple(source_pin(dataset, upstream.head(dataset)) for dataset in question.audience.guards)
                limits = states(limits_of(subject.member), answer)
                found[subject.member.id] = Evaluated(_reading(subject, question.audience, answer, guards), answer, limits)
        yield found


def _reading(subject: Subject, audience: Audience, answer: Answer, guards: tuple[SourcePin, ...]) -> Reading:
    def keep(delivery: Delivery, attempt: Attempt) -> Held:
        assert answer.state is not None
        return held.write(
            subject.member.context.open_state(), delivery, attempt.id, answer.state, whole=answer.state_is_whole, guards=guards
        )

    return Reading(
        answer.rows,
        answer.expected,
        subject.pin.sources,
        _counts(subject, audience, answer),
        keep if answer.state is not None else None,
        guards,
    )


def _counts(subject: Subject, audience: Audience, answer: Answer) -> Counts:
    """Of a full all members are received, of an increment those who entered, changed or left."""
    full = subject.pin.mode == "full"
    not_sent = {f"not_sent:{status}": count - answer.sent[status] for status, count in answer.found.items() if status not in audience.send}
    left_out = Counter(answer.funnel.left_out if full else {}) + +Counter(not_sent) + Counter(answer.withheld)
    return Counts(
        received=answer.funnel.rows if full else sum(answer.found.values()),
        delivered=sum(answer.sent.values()),
        left_out=dict(left_out),
        inserted=answer.sent.get("entered", 0),
        updated=answer.sent.get("updated", 0),
        deleted=answer.sent.get("exited", 0),
        funnel=answer.funnel,
        movement=answer.movement,
    )
