"""Queries over datasets: where each name leads, and what they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp_exports.entities.nearest import nearest
from cdp_exports.segments import parsing
from cdp_exports.segments.audience import Columns
from cdp_exports.segments.binding import Types, columns_of
from cdp_exports.segments.moments import refuse_export_time, uses_time, with_export_time
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.telling import Keys
from cdp_exports.segments.ties import refuse_ties

if TYPE_CHECKING:
    from sqlglot import exp

_FUNCTIONS = {"unnest", "generate_series", "range"}


@dataclass(frozen=True)
class Relation:
    """What a query returns: `columns` are its result's names and types."""

    sql: str
    columns: Mapping[str, str]
    reads: Columns
    uses_time: bool


def relation(text: str, tables: Types, keys: Keys, check: Callable[[exp.Expr, str], None]) -> Relation:
    """A query, qualified. `keys`: of the tables; `check` judges the tree and its SQL before names are looked up.

    Raises:
        SqlProblem: it cannot be used, and why.
    """
    from sqlglot import exp

    tree = with_export_time(parsing.query(text))
    _names_of_tables(tree, tables)
    sql = parsing.canonical(tree)
    check(tree, sql)
    used = {name: tables[name] for name in sorted({table.name.lower() for table in tree.find_all(exp.Table)}) if name in tables}
    refuse_export_time(used)
    hints, used = used, _named(tree, used)
    before = columns_of(sql, used, hints)
    tree = _qualified(tree, used)
    sql = parsing.canonical(tree)
    after = columns_of(sql, used, hints)
    if [type_ for _, type_ in before] != [type_ for _, type_ in after]:
        raise SqlProblem("This query means different things to different readers; write it more plainly, with all columns qualified.")
    assert isinstance(tree, exp.Query)
    names = [name.lower() for name in tree.named_selects]
    if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise SqlProblem(f"The query returns two columns {twice!r}; give one another name.")
    if unnamed := next((type_ for name, (_, type_) in zip(names, after, strict=True) if name.startswith("_col_")), None):
        raise SqlProblem(f"A column of the query (of type {unnamed}) has no name; give it one with AS.")
    refuse_ties(tree, keys)
    return Relation(sql, dict(after), _reads(tree, used), uses_time(tree))


def _names_of_tables(tree: exp.Expr, tables: Types) -> None:
    from sqlglot import exp

    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            name = table.this.sql(parsing.dialect()).partition("(")[0].lower()
            if name not in _FUNCTIONS:
                raise SqlProblem(f"`{name}` reads something outside the declared datasets; declare a dataset and read that.")
        elif table.db:
            raise SqlProblem(f"Datasets are named by their id alone, and {parsing.canonical(table)} is no id.")
        elif table.name.lower() not in tables and table.name.lower() not in own:
            raise SqlProblem(f"There is no dataset {table.name!r}{nearest(table.name, tables)}.")
        elif table.name.lower() not in own and not tables[table.name.lower()]:
            raise SqlProblem(f"The dataset {table.name!r} declares no `columns`; `cdp-exports columns {table.name.lower()}` prints them.")


def _named(tree: exp.Expr, used: Types) -> Types:
    """The columns that may be meant, so that a wide table costs no more than a narrow one."""
    from sqlglot import exp

    if any(join.method for join in tree.find_all(exp.Join)) or any(
        not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star)
    ):
        return used  # all of them, or (NATURAL) whichever two tables have
    names = {identifier.name.lower() for identifier in tree.find_all(exp.Identifier)}
    named = {table: {column: type_ for column, type_ in columns.items() if column.lower() in names} for table, columns in used.items()}
    return {table: named[table] or dict([*columns.items()][:1]) for table, columns in used.items()}  # such as count(*)


def _qualified(tree: exp.Expr, used: Types) -> exp.Expr:
    from sqlglot import MappingSchema
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify

    schema = MappingSchema({table: dict.fromkeys(columns, "unknown") for table, columns in used.items()}, dialect=parsing.dialect())
    try:
        return qualify(tree, dialect=parsing.dialect(), schema=schema)
    except SqlglotError as error:
        first = str(error).split("\n", 1)[0].replace('"', "").rstrip(".")
        raise SqlProblem(f"It cannot be told which columns this reads ({first}); qualify them with the dataset's id.") from None


def _reads(tree: exp.Expr, used: Types) -> Columns:
    from sqlglot import exp
    from sqlglot.optimizer.scope import traverse_scope

    declared = {(table, column.lower()): (table, column) for table, columns in used.items() for column in columns}
    read: set[tuple[str, str]] = set()
    for scope in traverse_scope(tree):
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table) and (found := declared.get((source.name, column.name.lower()))):
                read.add(found)
    named = {table for table, _ in read}
    read |= {(table, next(iter(columns))) for table, columns in used.items() if table not in named and columns}  # such as count(*)
    return frozenset(read)
