"""The SQL of a catalog: parsed, qualified and judged once, so that what is wrong with it shows before anything runs.

It is DuckDB's dialect. What comes out is canonical: names qualified and quoted, `export_time` where the export time goes, the same
text however it was laid out.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from cdp_exports.segments import parsing
from cdp_exports.segments.audience import Columns, Expression
from cdp_exports.segments.binding import Types, types_of
from cdp_exports.segments.determinism import check_query, check_scalar
from cdp_exports.segments.moments import bounds_of, refuse_export_time, uses_time, with_export_time
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.query import Relation, relation
from cdp_exports.segments.scope import Scope
from cdp_exports.segments.telling import Keys

_AT_ONCE = 100
"""Expressions that DuckDB is asked about together."""


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


def query(text: str, tables: Types, *, key: Collection[str] = (), keys: Keys) -> Relation:
    """A query over tables. `key`: columns of its result that tell its rows apart; ordered by them it may have a LIMIT. `keys`: the
    tables' own.

    Raises:
        SqlProblem: it cannot be used, and why.
    """
    with _readable():
        return _query(text, _frozen(tables), tuple(key), tuple((table, tuple(names)) for table, names in keys.items()))


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
    untyped = _untyped(text, frozen)
    if not untyped.type:
        known = _TYPES.get((untyped.sql, frozen))
        untyped = replace(untyped, type=known or types_of([untyped.sql], _only(untyped.columns, _scope(frozen).tables))[0])
    if must_be == "boolean" and untyped.type != "BOOLEAN":
        raise SqlProblem(f"A condition is needed here, true or false, and this is {untyped.type}.")
    return untyped


@lru_cache(maxsize=10_000)
def _untyped(text: str, frozen: _Frozen) -> Expression:
    """All but the type, unless it is that of a column: by far the most frequent field of an export."""
    from sqlglot import exp

    scope = _scope(frozen)
    tree, columns = scope.qualify(with_export_time(parsing.scalar(text)))
    sql = parsing.canonical(tree)
    check_scalar(sql)
    found = ""
    if isinstance(tree, exp.Column):
        [(table, column)] = columns
        found = scope.tables[table][column]
    time = uses_time(tree)
    return Expression(sql, found, columns, time, bounds_of(tree) if time else ())


_TYPES: dict[tuple[str, _Frozen], str] = {}
"""What DuckDB said of canonical expressions that it was asked about together."""


def learn(texts: Iterable[str], tables: Types) -> None:
    """Ask DuckDB about many expressions at once, which takes a fraction of asking one by one. A wrong one is told by `expression`."""
    frozen = _frozen(tables)
    found: dict[str, Expression] = {}
    for text in dict.fromkeys(texts):
        with suppress(SqlProblem), _readable():
            untyped = _untyped(text, frozen)
            if not untyped.type:
                found[untyped.sql] = untyped
    _learn(list(found.values()), frozen)


def _learn(found: Sequence[Expression], frozen: _Frozen) -> None:
    """Those that DuckDB refuses are left out, by halving."""
    if not found:
        return
    columns = frozenset[tuple[str, str]]().union(*(one.columns for one in found))
    if len(found) <= _AT_ONCE:
        try:
            types = types_of([one.sql for one in found], _only(columns, _scope(frozen).tables))
        except SqlProblem:
            if len(found) == 1:
                return
        else:
            _TYPES.update(((one.sql, frozen), type) for one, type in zip(found, types, strict=True))
            return
    middle = len(found) // 2
    _learn(found[:middle], frozen)
    _learn(found[middle:], frozen)


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
        types_of([value], _only(read, scope.tables))
        parts.append(parsing.canonical(tree))
        columns |= read
        time = time or uses_time(tree)
    return Order(", ".join(parts), frozenset(columns), time)


@lru_cache(maxsize=10_000)
def _query(text: str, frozen: _Frozen, key: tuple[str, ...], keys: tuple[tuple[str, tuple[str, ...]], ...]) -> Relation:
    return relation(text, {table: dict(columns) for table, columns in frozen}, dict(keys), lambda tree, sql: check_query(tree, sql, key))


def _only(columns: Columns, tables: Types) -> Types:
    read: dict[str, dict[str, str]] = {}
    for table, column in sorted(columns):
        read.setdefault(table, {})[column] = tables[table][column]
    return read
