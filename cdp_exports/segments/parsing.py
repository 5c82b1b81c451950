"""From text to a syntax tree of one scalar expression, one order or one query."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from cdp_exports.segments.problems import SqlProblem

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import ParseError


@cache
def dialect() -> Dialect:
    """DuckDB's, but paths into JSON stay as written: sqlglot reads a key 'a.b' as two, DuckDB as one."""
    from sqlglot.dialects.duckdb import DuckDB

    class Own(DuckDB):
        def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
            return path

    return Own()


def scalar(text: str) -> exp.Expr:
    """The tree of a scalar expression.

    Raises:
        SqlProblem: it is none, or has a subquery.
    """
    from sqlglot import exp

    tree = _select("SELECT ", text, "expressions")
    expressions = tree.expressions
    if len(expressions) != 1:
        raise SqlProblem("There is no SQL here." if not expressions else "One SQL expression is needed here, not several.")
    [expression] = expressions
    if isinstance(expression, exp.Alias):
        raise SqlProblem(f"A name has no place here: leave out `AS {expression.alias}`, or an operator is missing before it.")
    return _without_subqueries(expression)


def ordering(text: str) -> list[exp.Expr]:
    """The trees of an SQL order, such as `lifetime_value DESC, id`.

    Raises:
        SqlProblem: it is none, or has a subquery.
    """
    from sqlglot import exp

    tree = _select("SELECT 1 ORDER BY ", text, "expressions", "order")
    ordered: list[exp.Expr] = tree.args["order"].expressions
    for one in ordered:
        if isinstance(one.this, exp.Literal) or one.this.sql(dialect()) == "ALL":
            raise SqlProblem("An order names columns, such as `lifetime_value DESC`; positions and ALL say nothing here.")
    return [_without_subqueries(one) for one in ordered]


def query(text: str) -> exp.Expr:
    """The tree of a query.

    Raises:
        SqlProblem: it is not exactly one SELECT.
    """
    from sqlglot import exp

    tree = _one(text, "")
    if not isinstance(tree, exp.Query) or tree.find(exp.Into):
        raise SqlProblem("Only one SELECT is allowed here; it cannot change anything.")
    return tree


def canonical(tree: exp.Expr) -> str:
    """The SQL of a tree, always written the same way."""
    return tree.sql(dialect(), identify=True, comments=False)


def _select(prefix: str, text: str, *parts: str) -> exp.Expr:
    from sqlglot import exp

    tree = _one(text, prefix)
    if not isinstance(tree, exp.Select) or any(value for name, value in tree.args.items() if name not in parts):
        raise SqlProblem("An SQL expression is needed here, not a statement; a query goes under `sql:` of a segment.")
    return tree


def _without_subqueries(tree: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    if tree.find(exp.Query):
        raise SqlProblem("A subquery cannot stand here; write the segment as a query, with `sql:` in place of `where`.")
    return tree


def _one(text: str, prefix: str) -> exp.Expr:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ParseError, SqlglotError

    try:
        trees = [tree for tree in sqlglot.parse(prefix + text, dialect=dialect()) if tree is not None]
    except ParseError as error:
        raise SqlProblem(_syntax(error, len(prefix))) from None
    except SqlglotError as error:
        raise SqlProblem(f"Syntax error: {str(error).split(chr(10), 1)[0].rstrip('.')}.") from None
    except (AttributeError, TypeError, ValueError, IndexError, KeyError):  # sqlglot stumbles over some texts that are no SQL
        raise SqlProblem("Syntax error: this cannot be read as SQL.") from None
    if len(trees) != 1 or type(trees[0]).__name__ == "Block":
        raise SqlProblem("One SQL statement is needed here, not several." if trees else "There is no SQL here.")
    [tree] = trees
    _refuse_misread(tree, text)
    for interval in tree.find_all(exp.Interval):  # 30 DAYS and 30 DAY are the same
        if isinstance(interval.unit, exp.Var):
            interval.set("unit", exp.Var(this=interval.unit.name.upper().removesuffix("S")))
    return tree


def _refuse_misread(tree: exp.Expr, text: str) -> None:
    """Refuse what sqlglot reads in another way than DuckDB."""
    from sqlglot import exp

    if tree.find(exp.Decode) or ("<=>" in text and tree.find(exp.NullSafeEQ)):
        raise SqlProblem("`decode` and `<=>` cannot be used here; write it otherwise.")
    for node in tree.find_all(exp.JSONExtract, exp.JSONExtractScalar):
        if node.args.get("only_json_types") is None:  # as a function
            continue
        left = node.arg_key == "this" and isinstance(node.parent, (exp.Predicate, exp.JSONExtract, exp.JSONExtractScalar))
        if not left and isinstance(node.parent, (exp.Binary, exp.Not, exp.Neg, exp.In, exp.Between)):
            raise SqlProblem("`->` and `->>` bind weakly; put them in parentheses: (a ->> 'b').")


def _syntax(error: ParseError, shift: int) -> str:
    first: dict[str, Any] = error.errors[0] if error.errors else {}
    line, column, near = first.get("line"), first.get("col"), first.get("highlight")
    if line is None or column is None:
        return f"Syntax error: {str(error).split(chr(10), 1)[0].rstrip('.')}."
    start = int(column) - len(near or "") + 1 - (shift if line == 1 else 0)
    if start < 1 or not near:
        return f"Syntax error in line {line}: something is missing."
    return f"Syntax error near {near!r}, line {line}, column {start}."
