"""The columns of a source as segments see them: their types are DuckDB's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cdp_exports.sources.reading import reading
from cdp_exports.sources.source import Source

if TYPE_CHECKING:
    import polars as pl


def duckdb_columns(source: Source, subject: str) -> dict[str, str]:
    """The columns at the source's head, by name, in the table's order; `subject` names it in errors.

    Raises:
        SourceUnreadable, TransientError: the table cannot be read.
    """
    with reading(subject):
        schema = source.rows(source.head().version).frame.collect_schema()
    return duckdb_types(schema)


def duckdb_types(schema: pl.Schema) -> dict[str, str]:
    """What DuckDB makes of rows of this schema when they come in as Arrow, asked over none."""
    import duckdb

    rows = cast("Any", schema.to_frame().to_arrow())  # pyarrow has no types
    with duckdb.connect() as connection:
        return dict(zip(schema.names(), map(str, connection.from_arrow(rows).types), strict=True))


def same_type(one: str, other: str) -> bool:
    """Whether two names of types mean the same to DuckDB; a name that it does not know means nothing.

    >>> same_type("timestamptz", "TIMESTAMP WITH TIME ZONE"), same_type("int", "BIGINT"), same_type("nonsense", "BIGINT")
    (True, False, False)
    """
    import duckdb

    with duckdb.connect() as connection:
        try:
            query = connection.query(f"SELECT CAST(NULL AS {one}), CAST(NULL AS {other})")
        except duckdb.Error:
            return False
        first, second = map(str, query.types if query else ("", None))
        return first == second
