"""What receivers without the key tell members by, when these leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from cdp_exports.entities.export import SegmentExport
from cdp_exports.segments import parsing
from cdp_exports.segments.audience import Columns, Expression
from cdp_exports.segments.declared import Findings
from cdp_exports.segments.mapped import Mapped


def identity_of(export: SegmentExport, columns: Mapped, key: Columns, takes_key: bool, findings: Findings) -> tuple[Expression, ...]:
    """The values, as they are sent, in which no two members may be equal; empty where the files have the key.

    None of them is null: who lacks one that is required is not sent, and of the others no value is one too. `key`: of what is sent;
    `takes_key`: whether the destination would take it.
    """
    own = [(index, field) for index, field in enumerate(columns.fields) if field.identity]
    sent = {column for _, field in own if field.key for column in field.expression.columns}
    if not export.tells_by_identity or key <= sent:
        return ()
    for index, field in own:
        if field.array:
            why = (
                f"Without the key members who leave are told by one value, and {field.name!r} is an array of all contacts'. Take a column "
                "of the account, or `how: explode`."
            )
            findings.add("export", None, ("fields", index, "identity"), why)
    if own and not any(field.required and field.expression.columns for _, field in own):
        why = (
            f"Without the key members who leave are told by their identity alone, so nobody without one may be sent: `required: true` for "
            f"{own[0][1].name!r}{', or send the key, `include_key: true`' * takes_key}."
        )
        findings.add("export", None, ("fields", own[0][0], "required"), why)
    return tuple(field.expression if field.required else _never_null(field.expression) for _, field in own)


def same_values(some: Iterable[Expression], others: Iterable[Expression]) -> bool:
    """Whether both say the same, in whatever order and spelling."""
    return {_spelled(one.sql) for one in some} == {_spelled(one.sql) for one in others}


def _spelled(sql: str) -> str:
    return parsing.canonical(parsing.scalar(sql))


def _never_null(value: Expression) -> Expression:
    """Two who lack a value are alike to the receiver."""
    return replace(value, sql=f"COALESCE(CAST({value.sql} AS VARCHAR), '')", type="VARCHAR")
