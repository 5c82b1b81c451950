"""DuckDB's own judgement of SQL: what types it has, over tables without rows. No data is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from cdp_exports.entities.nearest import nearest
from cdp_exports.segments.audience import at
from cdp_exports.segments.problems import SqlProblem

if TYPE_CHECKING:
    import duckdb
    from duckdb.sqltypes import DuckDBPyType

Types = Mapping[str, Mapping[str, str]]
"""By table its columns, by column its type as DuckDB writes it."""

_SOME_TIME = datetime(2001, 1, 1, tzinfo=UTC)
_NO_COLUMN = re.compile(r'Referenced column "(?P<name>[^"]*)" not found|does not have a column named "(?P<other>[^"]*)"')
_AMBIGUOUS = re.compile(r'Ambiguous reference to column name "(?P<name>[^"]*)" \(use: (?P<use>.*)\)')
_NO_FUNCTION = re.compile(r"Function with name (?P<name>\S+) does not exist")
_NO_OVERLOAD = re.compile(r"No function matches the given name and argument types '(?P<call>.*?)'\.", re.DOTALL)
_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")


def types_of(expressions: Sequence[str], tables: Types) -> list[str]:
    """The types of scalar expressions over columns of tables.

    They are evaluated over a row of nulls: only then DuckDB looks at constants, such as a text that is compared with a number.

    Raises:
        SqlProblem: DuckDB refuses one of them.
    """
    import duckdb

    relations = ", ".join(f"(SELECT {_nulls(columns)}) AS {quoted(table)}" for table, columns in tables.items())
    listed = ", ".join(f"({expression})" for expression in expressions)
    cursor = _connection().cursor()
    try:
        sql = f"SELECT {listed}{' FROM ' * bool(relations)}{relations}"  # noqa: S608 - over no data at all
        described = cursor.execute(at(sql, _SOME_TIME)).description
        cursor.fetchall()
        return [str(column[1]) for column in described]
    except duckdb.Error as error:
        raise SqlProblem(_sentence(str(error), tables)) from None
    finally:
        cursor.close()


def columns_of(query: str, tables: Types, hints: Types) -> list[tuple[str, str]]:
    """Names and types of the columns that a query returns. `hints`: tables with all their columns, for names that are near.

    Raises:
        SqlProblem: DuckDB refuses it.
    """
    import duckdb

    relations = ", ".join(f"{quoted(table)} AS (SELECT {_typed(columns)})" for table, columns in tables.items())
    cursor = _connection().cursor()
    try:
        sql = f"{'WITH ' * bool(relations)}{relations} SELECT * FROM ({query}\n)"  # noqa: S608 - over no data at all
        relation = cursor.sql(at(sql, _SOME_TIME))
        return [(name, str(type_)) for name, type_ in zip(relation.columns, relation.types, strict=True)]
    except duckdb.Error as error:
        raise SqlProblem(_sentence(str(error), hints)) from None
    finally:
        cursor.close()


@lru_cache(maxsize=10_000)
def type_named(text: str) -> str:
    """A declared type as DuckDB writes it.

    >>> type_named("timestamptz")
    'TIMESTAMP WITH TIME ZONE'

    Raises:
        SqlProblem: there is no such type.
    """
    import duckdb

    try:
        return str(_connection().type(text))
    except duckdb.Error:
        names = ("bigint", "integer", "varchar", "boolean", "double", "decimal", "date", "timestamp", "timestamptz", "uuid", "blob", "time")
        raise SqlProblem(f"There is no SQL type {text!r}{nearest(text, names)}.") from None


def parsed_type(text: str) -> DuckDBPyType:
    """A type that there is, in its parts."""
    return _connection().type(text)


@cache
def functions(where: str) -> frozenset[str]:
    """The names of DuckDB's functions for which a condition on `duckdb_functions()` holds."""
    found = _connection().cursor().execute(f"SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE {where}").fetchall()  # noqa: S608
    return frozenset(name for (name,) in found)


def quoted(name: str) -> str:
    """A name as SQL has it.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(config={"enable_external_access": "false", "python_enable_replacements": "false", "threads": "1"})
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE MACRO e164(number, country) AS concat(number[:0], country[:0])")  # evaluation brings the function
    return connection


def _nulls(columns: Mapping[str, str]) -> str:
    return ", ".join(f"unnest(CAST([NULL] AS {type_}[])) AS {quoted(name)}" for name, type_ in columns.items()) or "NULL AS nothing"


def _typed(columns: Mapping[str, str]) -> str:
    return ", ".join(f"CAST(NULL AS {type_}) AS {quoted(name)}" for name, type_ in columns.items())


def _sentence(message: str, tables: Types) -> str:
    if found := _NO_COLUMN.search(message):
        name = found["name"] or found["other"]
        return f"There is no column {name!r}{nearest(name, {column for columns in tables.values() for column in columns})}."
    if found := _AMBIGUOUS.search(message):
        uses = [use.strip("\"' ").split(".")[0].strip('"') for use in re.split(r" or |, ", found["use"])]
        return f"Column {found['name']!r} is ambiguous: {' and '.join(uses)} have one; write {uses[0]}.{found['name']}."
    if found := _NO_FUNCTION.search(message):
        name = found["name"].strip('"')
        known = functions("function_name SIMILAR TO '[a-z0-9_]+'")
        return f"There is no function {name!r}{nearest(name, known)}."
    if found := _NO_OVERLOAD.search(message):
        return f"No function or operator takes these types: {found['call']}; a CAST may be missing."
    first = _KIND.sub("", message.split("\n", 1)[0]).strip().rstrip(".!")
    return f"DuckDB refuses it: {first}."
