"""Fragments of SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def quoted(name: str) -> str:
    """A name as SQL has it.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


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


def among(columns: Sequence[str], table: str) -> str:
    """Whether the columns are a row of the table, which has nothing else; never null where they are not null.

    >>> among(["a"], "t"), among(["a", "b"], "t")
    ('(a) IN (FROM t)', '(a, b) IN (FROM t)')
    """
    return f"({', '.join(columns)}) IN (FROM {table})"


def canonical(value: str, type_: str) -> str:
    """A text of a value from which it can be told from every other of its type, null too; the same in every version of DuckDB."""
    nested = type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION"))
    written = f"CAST(to_json({value}) AS VARCHAR)" if nested else f"CAST({value} AS VARCHAR)"
    return f"coalesce(concat(length({written}), ':', {written}), '-')"


def fingerprint(values: Iterable[tuple[str, str]]) -> str:
    """A hash of 64 bits over values (SQL, type)."""
    texts = [canonical(value, type_) for value, type_ in values]
    return f"md5_number_lower(concat({', '.join(texts)}))" if texts else "CAST(0 AS UBIGINT)"
