"""How many members and rows a delivery has, beside what its receiver takes. Counted before the first byte leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cdp_exports.delivery.member import Member
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.limits import effective_limits
from cdp_exports.entities.mapping import Bounds, Limits
from cdp_exports.errors import OverLimit, Skip
from cdp_exports.evaluation.inputs import Answer

BELOW_MINIMUM = "below_minimum"
"""Why somebody waits until the audience is large enough."""


@dataclass(frozen=True)
class LimitState:
    """One limit beside the count it is about. `part` is count / limit."""

    kind: str  # audience: members the receiver holds afterwards | delivery: rows of this delivery
    bound: str  # max | min
    count: int
    limit: int
    warn_at: float

    @property
    def part(self) -> float:
        return self.count / self.limit

    @property
    def broken(self) -> bool:
        return self.count > self.limit if self.bound == "max" else self.count < self.limit

    @property
    def near(self) -> bool:
        return self.bound == "max" and not self.broken and self.part >= self.warn_at

    def __str__(self) -> str:
        of = "members the receiver would hold" if self.kind == "audience" else "rows of this delivery"
        return f"{self.count:,} {of}, of {'at most' if self.bound == 'max' else 'at least'} {self.limit:,} ({self.part:.0%})"


def limits_of(member: Member) -> Limits:
    """What holds for a member: the export's own limits and its destination's."""
    export = member.export
    declared = export.limits if isinstance(export, SegmentExport) else Limits()
    return effective_limits(declared, capabilities_of(member.context.catalog.connections[export.connection].type))


def states(limits: Limits, answer: Answer) -> tuple[LimitState, ...]:
    """Each limit beside its count."""
    return (
        *_states("audience", limits.audience, answer.movement.held, limits.warn_at),
        *_states("delivery", limits.delivery, answer.expected, limits.warn_at),
    )


def refuse_over(limits: Limits, found: Mapping[str, Sequence[LimitState]]) -> None:
    """One segment that is too large holds up the whole export: nothing of it is sent.

    Raises:
        Skip: `over_limit`.
        OverLimit: the same, where the export says `over: fail`.
    """
    over = [(member, state) for member, all_states in found.items() for state in all_states if state.bound == "max" and state.broken]
    if not over:
        return
    message = "; ".join(f"{member} has {state}" for member, state in over) + ". Nothing of the export was sent."
    next_step = "Make the segment smaller, split it over several exports, or raise the limit if the receiver takes more."
    if limits.over == "fail":
        raise OverLimit(message, next_step=next_step)
    raise Skip(message, next_step=next_step, reason="over_limit")


def is_below(found: Sequence[LimitState]) -> bool:
    """Whether the receiver takes no audience as small as this."""
    return any(state.bound == "min" and state.broken for state in found)


def refuse_below(found: Sequence[LimitState]) -> None:
    """Raises Skip (`below_minimum`): it `is_below`."""
    for state in found:
        if state.bound == "min" and state.broken:
            raise Skip(
                f"{state}: too few to be sent.",
                next_step="It is sent once the segment has grown; nothing is lost until then.",
                reason=BELOW_MINIMUM,
            )


def warnings(found: Sequence[LimitState]) -> tuple[str, ...]:
    """A sentence for each limit that comes near."""
    return tuple(f"Near its limit: {state}." for state in found if state.near)


def _states(kind: str, bounds: Bounds, count: int, warn_at: float) -> Iterator[LimitState]:
    if bounds.max is not None:
        yield LimitState(kind, "max", count, bounds.max, warn_at)
    if bounds.min is not None:
        yield LimitState(kind, "min", count, bounds.min, warn_at)
