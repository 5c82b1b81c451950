"""Orders in queries: where rows tie, another one comes first another time. That is harmless only where rows that tie are alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cdp_exports.segments.determinism import BY_ORDER, called
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.telling import Keys, Rows, Told

if TYPE_CHECKING:
    from sqlglot import exp

_PICKING = frozenset(f"arg_{which}{nulls}" for which in ("min", "max") for nulls in ("", "_null", "_nulls_last"))
_COUNTING = frozenset({"row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value", "fill"})
"""By the place of a row. The others (`rank`, `cume_dist`, ...) are the same for rows that tie."""


def refuse_ties(tree: exp.Expr, keys: Keys) -> None:
    """Whether a qualified query gives the same answer in whatever order its tables are read.

    Raises:
        SqlProblem: an order in it has ties that matter, and which columns end them.
    """
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    known: dict[int, Rows] = {}
    for scope in traverse_scope(tree):
        if isinstance(scope.expression, exp.Select):
            known[id(scope)] = rows = Rows(scope, keys, known)
            _check(rows)
    if isinstance(tree, exp.SetOperation) and _is_limited(tree):
        ordered = {one.name for one in _order(tree)}
        if lacking := [name for name in tree.named_selects if name not in ordered]:
            raise SqlProblem(_ties("LIMIT", lacking))


def _check(rows: Rows) -> None:
    from sqlglot import exp

    select = rows.select
    for node in rows.scope.walk():
        if isinstance(node, exp.Window):
            _check_window(rows, node)
        elif isinstance(node, exp.Func):
            _check_aggregate(rows, node)
    distinct = select.args.get("distinct")
    if distinct is not None and (on := distinct.args.get("on")):
        _need(rows.told([*on.expressions, *_order(select)]), "DISTINCT ON", select.expressions)
    if _is_limited(select):
        _need(rows.told(_order(select)), "LIMIT", select.expressions)


def _check_window(rows: Rows, window: exp.Window) -> None:
    name, clauses = called(_inner(window)), _clauses(rows, window)
    order = _first_order(*clauses, _inner(window))
    by_place = any(str(frame.args.get("kind")).upper() == "ROWS" for clause in clauses if (frame := clause.args.get("spec")))
    if name in _COUNTING or name in BY_ORDER or (order and by_place):
        told = rows.told([*_partition(clauses), *order])
        if not told.tells_rows():
            raise SqlProblem(_ties(f"`{name}`", _names(told, groups=True)))


def _check_aggregate(rows: Rows, call: exp.Func) -> None:
    from sqlglot import exp

    name = called(call)
    above = call.parent
    while isinstance(above, (exp.Filter, exp.IgnoreNulls, exp.RespectNulls)):
        above = above.parent
    arguments = [one.this if isinstance(one, exp.Order) else one for one in call.iter_expressions()]
    constant = _partition(_clauses(rows, above)) if isinstance(above, exp.Window) else rows.constant
    if name in _PICKING:
        told = rows.told([arguments[1], *constant])
        if not told.tells(arguments[0]):
            names = ", ".join(_names(told, groups=False))
            raise SqlProblem(
                f"`{name}` takes any of the rows that tie; name an order that ends with the key, "
                f"first(... ORDER BY ...{' DESC' * ('max' in name)}, {names})."
            )
    elif name in BY_ORDER and not isinstance(above, (exp.Window, exp.WithinGroup)):
        order = _first_order(call, *call.iter_expressions())
        _need(rows.told([*order, *constant]), f"`{name}`", arguments, groups=False)


def _need(told: Told, what: str, picked: Iterable[exp.Expr], *, groups: bool = True) -> None:
    if not all(map(told.tells, picked)):
        raise SqlProblem(_ties(what, _names(told, groups=groups)))


def _ties(what: str, names: Iterable[str]) -> str:
    return f"Where rows tie in the order of {what}, another comes first another time; end its ORDER BY with {', '.join(names)}."


def _names(told: Told, *, groups: bool) -> list[str]:
    several = len(told.rows.tables) > 1
    names = [f"{table}.{column}" if several else column for table, column in told.lacking(groups=groups)]
    return names or ["the columns that tell its rows apart"]


def _inner(window: exp.Window) -> Any:
    from sqlglot import exp

    return window.this.this if isinstance(window.this, (exp.IgnoreNulls, exp.RespectNulls, exp.Filter)) else window.this


def _clauses(rows: Rows, window: exp.Window) -> list[Any]:
    """The window, and the one in the WINDOW clause that it names."""
    named: Any = window.args.get("alias")
    listed = rows.select.args.get("windows") or ()
    return [window, *(one for one in listed if named is not None and one.this.name == named.name)]


def _partition(clauses: Iterable[Any]) -> list[Any]:
    return [one for clause in clauses for one in clause.args.get("partition_by") or ()]


def _order(node: Any) -> list[Any]:
    from sqlglot import exp

    order = node if isinstance(node, exp.Order) else node.args.get("order")
    order = order or next((child for child in node.iter_expressions() if isinstance(child, exp.Order)), None)
    return [one.this for one in order.expressions] if order is not None else []


def _first_order(*nodes: Any) -> list[Any]:
    orders: list[list[Any]] = [found for node in nodes if (found := _order(node))]
    return orders[0] if orders else []


def _is_limited(query: exp.Expr) -> bool:
    return bool(query.args.get("limit") or query.args.get("offset"))
