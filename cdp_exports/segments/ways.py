"""How the increment of a segment can be found, as design and cost have it."""

from __future__ import annotations

from collections.abc import Sequence

from cdp_exports.segments.audience import Contacts, Expression, Listed, OutputField, Part, Way


def way_of(
    *,
    full: bool,
    membership: Expression,
    parts: Sequence[Part],
    fields: Sequence[OutputField],
    contacts: Contacts | None,
    grouping: Sequence[Expression],
    distinct: bool,
    consents: Sequence[Expression],
    suppressions: Sequence[Listed],
    truncates: bool,
    sends_updates: bool,
) -> tuple[Way, str]:
    """The cheapest way that is right, and in a sentence why. `grouping`: what duplicates are told by, and which of them is newest;
    `distinct`: whether identities must differ besides."""
    if full:
        return Way.COMPARED, "Every delivery is full, so everybody is evaluated."
    if part := next(iter(parts), None):
        what = "a query" if part.query is not None else "a list"
        return Way.COMPARED, f"{part.segment} is {what}, so who came and who left shows only when everybody is compared."
    for given, why in (
        (contacts, f"Contacts are read from {contacts.dataset if contacts else ''} too"),
        (truncates, "Who is sent where not all fit depends on everybody"),
        (distinct, "Without the key no identity may be sent twice, and `dedupe_by` is something else"),
    ):
        if given:
            return Way.COMPARED, f"{why}, so everybody is compared."
    if membership.bounds is None:
        why = "The condition uses the export time in another way than by comparing a column with it, so everybody is compared."
        return Way.COMPARED, why
    if field := next((field for field in fields if field.expression.uses_time), None):
        return Way.COMPARED, f"The field {field.name!r} changes with the export time, so everybody is compared."
    if any(one.uses_time for one in (*grouping, *(listed.matches for listed in suppressions))):
        return Way.COMPARED, "Duplicates or suppression are told by the export time, so everybody is compared."
    touched = [name for name, given in (("consent", consents), ("suppression", suppressions), ("deduplication", grouping)) if given]
    due = f", and rows whose {' or '.join(sorted({bound.column for bound in membership.bounds}))} came due" if membership.bounds else ""
    if touched:
        return Way.TOUCHED, f"Rows that changed{due}, and the members they touch by {' and '.join(touched)}."
    if not sends_updates and any(field.identity for field in fields):
        return Way.TOUCHED, f"Rows that changed{due}, and what the receiver knows of them: a changed identity is not sent."
    return Way.CHANGES, f"One dataset alone decides, so rows that changed{due} are enough."
