"""How much may be sent in the end: what the export declares, within what the destination takes."""

from __future__ import annotations

from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.mapping import Bounds, Limits


def effective_limits(limits: Limits, capabilities: Capabilities) -> Limits:
    """The export's limits and the destination's together: the smaller maximum, the larger minimum.

    Where the two leave nothing, the minimum is above the maximum; a checked catalog has no such export.

    >>> from cdp_exports.entities.capabilities import Proof
    >>> lists = Capabilities(proof=Proof.SIZE, formats=frozenset(), conditional_create=False, audience_max=300_000, audience_min=300)
    >>> effective_limits(Limits(audience=Bounds(max=500_000, min=1_000)), lists).audience
    Bounds(max=300000, min=1000)
    """
    audience = _within(limits.audience, capabilities.audience_max, capabilities.audience_min)
    delivery = _within(limits.delivery, capabilities.delivery_max, None)
    return limits.model_copy(update={"audience": audience, "delivery": delivery})


def _within(bounds: Bounds, highest: int | None, lowest: int | None) -> Bounds:
    return Bounds.model_construct(
        max=min((number for number in (bounds.max, highest) if number is not None), default=None),
        min=max((number for number in (bounds.min, lowest) if number is not None), default=None),
    )
