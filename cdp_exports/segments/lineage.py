"""Which columns of datasets each output of a segment, or of its export, comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from cdp_exports.segments.audience import Audience, Columns, Part
from cdp_exports.segments.members import CompiledSegment
from cdp_exports.segments.parsing import dialect

if TYPE_CHECKING:
    from sqlglot.lineage import Node


def lineage(compiled: CompiledSegment | Audience) -> Mapping[str, Columns]:
    """By output its source columns, as (dataset, column); columns of a list are (segment, column).

    A segment's outputs are its key and the enrichment columns of what it is made of; an export's are the columns of its files,
    status and reason aside. Who is in the segment is not among them: see `membership` and the `reads` of the parts.
    """
    parts = {part.segment: part for part in compiled.parts}
    if isinstance(compiled, CompiledSegment):
        keys = {name: frozenset({(compiled.of, name)}) for name in compiled.key}
        return keys | {name: _sources((part.segment, name), parts) for part in compiled.parts for name in part.columns if name not in keys}
    contact = [(compiled.contacts.dataset, name) for name in compiled.contacts.key] if compiled.contacts else []
    taken = {field.key for field in compiled.fields}
    left = [one for one in [*((compiled.of, name) for name in compiled.key), *contact] if one[1] not in taken]
    found = {name: frozenset({one}) for name, one in zip(compiled.key_names, left, strict=False)}
    for field in compiled.fields:
        found[field.name] = frozenset(source for column in field.expression.columns for source in _sources(column, parts))
    return found


def _sources(column: tuple[str, str], parts: Mapping[str, Part]) -> Columns:
    part = parts.get(column[0])
    if part is None or part.query is None:
        return frozenset({column})
    return _through(part.query, column[1], part.reads)


@lru_cache(maxsize=10_000)
def _through(query: str, column: str, reads: Columns) -> Columns:
    from sqlglot import MappingSchema, exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage as trace  # pyright: ignore[reportUnknownVariableType]

    try:
        root = trace(exp.column(column, quoted=True), query, MappingSchema(dialect=dialect()), dialect=dialect())
    except (SqlglotError, ValueError):
        return reads  # no narrower answer than all that the query reads
    declared = {(table, name.lower()): (table, name) for table, name in reads}
    leaves = {
        (node.source.name, node.name.rpartition(".")[2].strip('"').lower()) for node in _leaves(root) if isinstance(node.source, exp.Table)
    }
    return frozenset(declared[leaf] for leaf in leaves if leaf in declared)


def _leaves(node: Node) -> Iterator[Node]:
    for one in node.walk():
        if not one.downstream:
            yield one
