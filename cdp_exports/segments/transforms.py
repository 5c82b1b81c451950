"""Named transforms as SQL over text. Null stays null."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from cdp_exports.entities.mapping import E164, Transform
from cdp_exports.segments.audience import Expression
from cdp_exports.segments.problems import SqlProblem

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
_SPACE = r"[\s\v\x{85}\p{Z}]+"  # tabs, line ends and Unicode's separators, the no-break space among them


def _gmail(text: str) -> str:
    local = f"split_part(split_part({text}, '@', 1), '+', 1)"
    ours = f"regexp_full_match({text}, '[^@]*@(gmail|googlemail)\\.com', 'i')"
    return f"CASE WHEN {ours} THEN concat(replace({local}, '.', ''), '@', split_part({text}, '@', 2)) ELSE {text} END"


_NAMED: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "trim": lambda text: f"regexp_replace({text}, '^{_SPACE}|{_SPACE}$', '', 'g')",
        "lower": lambda text: f"lower({text})",
        "upper": lambda text: f"upper({text})",
        "digits": lambda text: f"regexp_replace({text}, '[^0-9]', '', 'g')",
        "gmail": _gmail,
        "sha256": lambda text: f"sha256(nullif({text}, ''))",  # empty text is no value, so it has no hash
    }
)


def transformed(expression: Expression, transforms: Iterable[Transform]) -> Expression:
    """The expression with transforms applied, in their order; `e164` calls a function that evaluating provides.

    They take text, and integers as their decimal digits (telephone numbers and ids often are integers). Text is what they give.

    Raises:
        SqlProblem: the expression is neither.
    """
    sql = expression.sql
    for index, transform in enumerate(transforms):
        if index == 0:
            sql = _text(expression, transform)
        sql = f"e164({sql}, '{transform.e164}')" if isinstance(transform, E164) else _NAMED[transform](sql)
    return expression if sql == expression.sql else replace(expression, sql=sql, type="VARCHAR")


def _text(expression: Expression, transform: Transform) -> str:
    if expression.type == "VARCHAR":
        return expression.sql
    if expression.type in _INTEGERS or expression.type == "UUID":
        return f"CAST({expression.sql} AS VARCHAR)"
    name = "e164" if isinstance(transform, E164) else transform
    raise SqlProblem(f"`{name}` takes text, and this is {expression.type}; write how it becomes text, for example with CAST or strftime.")
