"""What must give the same answer whenever it is asked: no chance, no clock, no files, no order that nobody declared."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import TYPE_CHECKING

from cdp_exports.segments.binding import functions
from cdp_exports.segments.parsing import dialect
from cdp_exports.segments.problems import SqlProblem

if TYPE_CHECKING:
    from sqlglot import exp

_CALL = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"(?!\s*\()|"((?:[^"]|"")*)"\s*\(|\b([A-Za-z_][A-Za-z_0-9]*)\s*\(""")
_RELATIONS = frozenset({"unnest", "generate_series", "range"})  # table functions that read nothing
_APPROXIMATE = frozenset({"reservoir_quantile", "lttb", "approx_count_distinct", "approx_quantile", "approx_top_k"})
BY_ORDER = frozenset(
    {"first", "last", "any_value", "arbitrary", "list", "array_agg", "string_agg", "group_concat", "listagg", "mode"}
    | {"json_group_array", "json_group_object", "arg_min_null", "arg_max_null"}
)
_MACROS_THAT_AGGREGATE = frozenset(
    {"json_group_array", "json_group_object", "json_group_structure", "wavg", "weighted_avg", "geomean", "geometric_mean"}
)


def check_scalar(sql: str) -> None:
    """Whether a canonical scalar expression may stand in a catalog.

    Raises:
        SqlProblem: it may not, and why.
    """
    for name in calls(sql):
        if name in _aggregates():
            raise SqlProblem(f"`{name}` aggregates rows, and here is one row; write the segment as a query, with `sql:`.")
        if name in _windows():
            raise SqlProblem(f"`{name}` looks at other rows, and here is one row; write the segment as a query, with `sql:`.")
        if name == "unnest":
            raise SqlProblem("`unnest` makes several rows of one, and here is one row; write the segment as a query, with `sql:`.")
        _check_call(name)


def check_query(tree: exp.Expr, sql: str, key: Collection[str]) -> None:
    """Whether a query may stand in a catalog. `sql`: the same as text; `key`: the columns that make an outermost order total.

    Raises:
        SqlProblem: it may not, and why.
    """
    from sqlglot import exp

    for name in calls(sql):
        _check_call(name)
    for node in tree.walk():
        if isinstance(node, exp.Pivot):
            raise SqlProblem("PIVOT makes columns of values, so nobody knows them beforehand; write them out with FILTER or CASE.")
        if isinstance(node, exp.TableSample):
            raise SqlProblem(
                "A sample is another one each time; choose members by a hash of the key, such as `md5_number_lower(id::varchar) % 10 = 0`."
            )
        if isinstance(node, (exp.Placeholder, exp.Parameter)):
            raise SqlProblem("Parameters have no value here.")
        if isinstance(node, exp.Columns):
            raise SqlProblem("COLUMNS(...) hides which columns are read; name them.")
        if isinstance(node, exp.Query):
            _check_limit(node, key if node is tree else None)
        if isinstance(node, exp.Join) and "ASOF" in (node.method.upper(), node.kind.upper()):
            raise SqlProblem("An ASOF join takes any of the rows that tie; join them all and keep one with QUALIFY row_number() ... = 1.")
        if isinstance(node, exp.Join) and node.method.upper() == "POSITIONAL":
            raise SqlProblem("A positional join depends on the order of rows, which a table does not have.")
        _check_order(node)


def calls(sql: str) -> Iterator[str]:
    """Names of the functions that canonical SQL calls, in lower case.

    >>> list(calls("LOWER(\\"first\\") || 'now()' || \\"random\\"()"))
    ['lower', 'random']
    """
    for found in _CALL.finditer(sql):
        if name := found[1] or found[2]:
            yield name.lower()


def _check_call(name: str) -> None:
    if name in _APPROXIMATE:
        raise SqlProblem(f"`{name}` is approximate and gives other answers another time; use an exact function.")
    if name in _volatile():
        raise SqlProblem(f"`{name}` gives another answer each time; who is in a segment must be the same whenever it is asked.")
    if name in _outside():
        raise SqlProblem(f"`{name}` reads something outside the declared datasets; declare a dataset and read that.")


def _check_limit(node: exp.Query, key: Collection[str] | None) -> None:
    from sqlglot import exp

    if not (node.args.get("limit") or node.args.get("offset")):
        if (
            (distinct := node.args.get("distinct"))
            and isinstance(distinct, exp.Distinct)
            and distinct.args.get("on")
            and not node.args.get("order")
        ):
            raise SqlProblem("DISTINCT ON without ORDER BY keeps whichever row comes first; say which.")
        return
    order = node.args.get("order")
    names = {one.this.name.lower() for one in order.expressions if isinstance(one.this, exp.Column)} if order else set[str]()
    if key is None or not key or not {name.lower() for name in key} <= names:
        raise SqlProblem(
            "LIMIT keeps whichever rows come first. It may stand at the end of the whole query where ORDER BY ends with the key; "
            "elsewhere use QUALIFY row_number() OVER (... ORDER BY ...) <= n."
        )


def _check_order(node: exp.Expr) -> None:
    from sqlglot import exp

    if isinstance(node, exp.Window):
        inner = node.this.this if isinstance(node.this, (exp.IgnoreNulls, exp.RespectNulls)) else node.this
        name = called(inner)
        if name in _windows() and not _has_order(node) and not _has_order(inner):
            raise SqlProblem(f"`{name}` needs an order: OVER (... ORDER BY ...).")
    elif isinstance(node, exp.Func) and (name := called(node)) in BY_ORDER and not _is_ordered(node):
        raise SqlProblem(f"`{name}` depends on the order of rows, which a table does not have; write {name}(... ORDER BY ...).")


def _is_ordered(node: exp.Expr) -> bool:
    from sqlglot import exp

    above = node.parent
    while isinstance(above, (exp.IgnoreNulls, exp.RespectNulls, exp.Filter, exp.WithinGroup)):
        if isinstance(above, exp.WithinGroup):
            return True
        above = above.parent
    return _has_order(node) or (isinstance(above, exp.Window) and _has_order(above))


def _has_order(node: exp.Expr) -> bool:
    from sqlglot import exp

    if isinstance(node, exp.Window) and node.args.get("alias") is not None:  # its order stands in the WINDOW clause
        return True
    return any(isinstance(child, exp.Order) for child in node.iter_expressions())


def called(node: exp.Expr) -> str:
    """The name of the function that is called."""
    name = next(calls(node.sql(dialect())), "")
    return "string_agg" if name == "listagg" else name


@cache
def _aggregates() -> frozenset[str]:
    return functions("function_type = 'aggregate'") | _MACROS_THAT_AGGREGATE


@cache
def _windows() -> frozenset[str]:
    return functions("function_type = 'window'")


@cache
def _volatile() -> frozenset[str]:
    own = functions("function_name LIKE 'current\\_%' ESCAPE '\\' OR function_name LIKE 'pg\\_%' ESCAPE '\\'") - {
        "pg_typeof",
        "pg_size_pretty",
    }
    return own | functions("stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')") | {"ago", "session_user", "user", "version"}


@cache
def _outside() -> frozenset[str]:
    relations = functions("function_type IN ('table', 'table_macro', 'pragma')") - functions("function_type IN ('scalar', 'aggregate')")
    return (relations | {"getenv", "which_secret", "glob", "query", "query_table"}) - _RELATIONS
