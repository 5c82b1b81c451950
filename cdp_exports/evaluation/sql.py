"""Fragments of SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def text(value: str) -> str:
    """A text as SQL has it.

    >>> text("o'clock")
    "'o''clock'"
    """
    return "'" + value.replace("'", "''") + "'"


def numbered(prefix: str, how_many: int) -> list[str]:
    """Names of columns.

    >>> numbered("key_", 2)
    ['key_0', 'key_1']
    """
    return [f"{prefix}{number}" for number in range(how_many)]


def equal(left: Sequence[str], right: Sequence[str]) -> str:
    """Two keys are the same; keys are never null.

    >>> equal(["a", "b"], ["x", "y"])
    'a = x AND b = y'
    """
    return " AND ".join(f"{one} = {other}" for one, other in zip(left, right, strict=True))


def known(values: Iterable[str]) -> str:
    """None of the values is null.

    >>> known(["a", "b"])
    '(a) IS NOT NULL AND (b) IS NOT NULL'
    """
    return " AND ".join(f"({value}) IS NOT NULL" for value in values)


def among(columns: Sequence[str], table: str) -> str:
    """Whether the columns are a row of the table, which has nothing else; never null.

    DuckDB holds the table in memory for that, and lets the rows that ask pass by. Without `coalesce` it may choose to do it the
    other way round, for it cannot know how many rows a stream has.

    >>> among(["a"], "t"), among(["a", "b"], "t")
    ('coalesce((a) IN (FROM t), false)', 'coalesce((a, b) IN (FROM t), false)')
    """
    return f"coalesce(({', '.join(columns)}) IN (FROM {table}), false)"


_OF_JSON = frozenset(
    {"VARCHAR", "BOOLEAN", *(f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT"))}
)


def canonical(value: str, type_: str) -> str:
    """What a value is in JSON, from which it can be told from every other of its type, null too; the same in every version of DuckDB."""
    nested = type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION"))
    return value if nested or type_ in _OF_JSON else f"CAST({value} AS VARCHAR)"


def fingerprint(values: Iterable[tuple[str, str]]) -> str:
    """A hash of 64 bits over values (SQL, type)."""
    return f"md5_number_lower(CAST(json_array({', '.join(canonical(*value) for value in values)}) AS VARCHAR))"
