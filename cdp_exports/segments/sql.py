"""The SQL of a catalog: parsed, qualified and judged once, so that what is wrong with it shows before anything runs.

It is DuckDB's dialect. What comes out is canonical: names qualified and quoted, `export_time` where the export time goes, the same
text however it was laid out.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from cdp_exports.segments import parsing
from cdp_exports.segments.audience import Columns, Expression
from cdp_exports.segments.binding import Types, type_of
from cdp_exports.segments.determinism import check_query, check_scalar
from cdp_exports.segments.moments import bounds_of, refuse_export_time, uses_time, with_export_time
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.query import Relation, relation
from cdp_exports.segments.scope import Scope

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Order:
    """An SQL order, and the columns it reads."""

    sql: str
    columns: Columns
    uses_time: bool


def expression(text: str, tables: Types, *, must_be: Literal["boolean"] | None = None) -> Expression:
    """A scalar expression over the columns of tables.

    Raises:
        SqlProblem: it cannot be used, and why.
    """
    with _readable():
        return _expression(text, _frozen(tables), must_be)


def order(text: str, tables: Types) -> Order:
    """An SQL order over the columns of tables, such as `lifetime_value DESC`.

    Raises:
        SqlProblem: it cannot be used, and why.
    """
    with _readable():
        return _order(text, _frozen(tables))


def query(text: str, tables: Types, *, key: Collection[str] = ()) -> Relation:
    """A query over tables. `key`: columns of its result that tell its rows apart; ordered by them it may have a LIMIT.

    Raises:
        SqlProblem: it cannot be used, and why.
    """
    with _readable():
        return relation(text, tables, lambda tree, sql: check_query(tree, sql, key))


@contextmanager
def _readable() -> Generator[None]:
    try:
        yield
    except RecursionError:
        raise SqlProblem("This SQL is nested too deeply.") from None


_Frozen = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def _frozen(tables: Types) -> _Frozen:
    return tuple((table, tuple(columns.items())) for table, columns in tables.items())


@lru_cache(maxsize=512)
def _scope(frozen: _Frozen) -> Scope:
    tables = {table: dict(columns) for table, columns in frozen}
    refuse_export_time(tables)
    return Scope(tables)


@lru_cache(maxsize=10_000)
def _expression(text: str, frozen: _Frozen, must_be: str | None) -> Expression:
    scope = _scope(frozen)
    tree, columns = scope.qualify(with_export_time(parsing.scalar(text)))
    sql = parsing.canonical(tree)
    check_scalar(sql)
    found = _type_of(tree, sql, columns, scope.tables)
    if must_be == "boolean" and found != "BOOLEAN":
        raise SqlProblem(f"A condition is needed here, true or false, and this is {found}.")
    time = uses_time(tree)
    return Expression(sql, found, columns, time, bounds_of(tree) if time else ())


@lru_cache(maxsize=10_000)
def _order(text: str, frozen: _Frozen) -> Order:
    scope = _scope(frozen)
    parts: list[str] = []
    columns: set[tuple[str, str]] = set()
    time = False
    for ordered in parsing.ordering(text):
        tree, read = scope.qualify(with_export_time(ordered))
        value = parsing.canonical(tree.this)
        check_scalar(value)
        type_of(value, _only(read, scope.tables))
        parts.append(parsing.canonical(tree))
        columns |= read
        time = time or uses_time(tree)
    return Order(", ".join(parts), frozenset(columns), time)


def _type_of(tree: exp.Expr, sql: str, columns: Columns, tables: Types) -> str:
    from sqlglot import exp

    if isinstance(tree, exp.Column):  # by far the most frequent field of an export
        [(table, column)] = columns
        return tables[table][column]
    return type_of(sql, _only(columns, tables))


def _only(columns: Columns, tables: Types) -> Types:
    read: dict[str, dict[str, str]] = {}
    for table, column in sorted(columns):
        read.setdefault(table, {})[column] = tables[table][column]
    return read
