"""The export time in SQL: every way to say "now" means it, and how an expression depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cdp_exports.segments.audience import TimeBound
from cdp_exports.segments.parsing import canonical
from cdp_exports.segments.problems import SqlProblem

if TYPE_CHECKING:
    from sqlglot import exp

NAME = "export_time"

_MOMENTS = {"now", "get_current_timestamp", "transaction_timestamp", "current_timestamp"}  # TIMESTAMP WITH TIME ZONE
_NAIVE = {"current_localtimestamp", "localtimestamp"}  # in UTC
_TIMES = {"current_localtime", "localtime"}


def with_export_time(tree: exp.Expr) -> exp.Expr:
    """The tree with the export time wherever something means the present moment. Days and times of day are those in UTC.

    Raises:
        SqlProblem: a function that reads the clock on its own.
    """
    from sqlglot import exp

    for node in list(tree.walk()):
        if replacement := _meant(node):
            if node is tree:
                tree = replacement
            else:
                node.replace(replacement)
        elif isinstance(node, exp.Anonymous) and node.name.lower() == "age" and len(node.expressions) == 1:
            raise SqlProblem("`age` of one date reads the clock; write `age(export_time, ...)`.")
        elif isinstance(node, exp.Anonymous) and node.name.lower() == "ago":
            raise SqlProblem("`ago` reads the clock; write `export_time - ...`.")
    if any(name.name.lower() == NAME for name in tree.find_all(exp.Identifier)):
        raise SqlProblem(f"`{NAME}` means the export time, so nothing else can have that name.")
    return tree


def refuse_export_time(tables: Mapping[str, Iterable[str]]) -> None:
    """Tables have no column of this name.

    Raises:
        SqlProblem: one has.
    """
    for table, columns in tables.items():
        if any(column.lower() == NAME for column in columns):
            raise SqlProblem(f"{table} has a column {NAME!r}, and that name means the export time; rename it where the table is made.")


def uses_time(tree: exp.Expr) -> bool:
    return any(_is_time(node) for node in tree.walk())


def bounds_of(tree: exp.Expr) -> tuple[TimeBound, ...] | None:
    """What the export time is compared with; empty where the tree is free of it, None where it is used in another way.

    Columns are qualified by now.
    """
    bounds: list[TimeBound] = []
    for node in tree.walk():
        if _is_time(node):
            found = _compared(node)
            if found is None:
                return None
            bounds += found
    return tuple(dict.fromkeys(bounds))


def _meant(node: exp.Expr) -> exp.Expr | None:
    from sqlglot import exp

    if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name.lower() == NAME:
        return exp.Var(this=NAME)
    name = node.name.lower() if isinstance(node, exp.Anonymous) and not node.expressions else ""
    if name in _MOMENTS or isinstance(node, exp.CurrentTimestamp):
        return exp.Var(this=NAME)
    naive = exp.AtTimeZone(this=exp.Var(this=NAME), zone=exp.Literal.string("UTC"))
    if name in _NAIVE or isinstance(node, exp.Localtimestamp):
        return exp.Paren(this=naive)
    if isinstance(node, exp.CurrentDate):
        return exp.Cast(this=naive, to=exp.DataType.build("date"))
    if name in _TIMES or isinstance(node, exp.Localtime):
        return exp.Cast(this=naive, to=exp.DataType.build("time"))
    if isinstance(node, exp.CurrentTime):
        return exp.Cast(this=exp.Cast(this=naive, to=exp.DataType.build("time")), to=exp.DataType.build("timetz"))
    return None


def _is_time(node: exp.Expr) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Var) and node.name == NAME


def _compared(time: exp.Expr) -> list[TimeBound] | None:
    from sqlglot import exp

    side, above = time, time.parent
    while above is not None and not isinstance(above, (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between)):
        side, above = above, above.parent
    if above is None or side.find(exp.Column, exp.Query, exp.Identifier):
        return None
    if isinstance(above, exp.Between):
        others = [above.this] if side is not above.this else [above.args["low"], above.args["high"]]
    else:
        others = [above.expression if side is above.this else above.this]
    columns = [other.unnest() for other in others]
    if not all(isinstance(column, exp.Column) for column in columns):
        return None
    return [TimeBound(column.table, column.name, canonical(side)) for column in columns]
