"""Who is in a segment, as one condition over its dataset and the queries and lists it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.audience import Columns, Expression, Part
from cdp_exports.segments.binding import quoted, type_named
from cdp_exports.segments.declared import Findings, Tables
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import expression, learn, query


@dataclass(frozen=True)
class CompiledSegment:
    """A segment as it stands for itself, before any export."""

    segment: str
    of: str
    key: tuple[str, ...]
    membership: Expression  # boolean, never null; over `of` and the parts
    parts: tuple[Part, ...]
    tables: Mapping[str, Mapping[str, str]]  # every dataset that is read: its columns that are, with their types

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that are read, `of` first."""
        return (self.of, *sorted(table for table in self.tables if table != self.of))


def compile_segment(segment_id: str, segments: Mapping[str, Segment], datasets: Mapping[str, Dataset]) -> CompiledSegment:
    """A segment, checked.

    Raises:
        CompileProblems: all that is wrong with it and the segments it is made of.
    """
    findings = Findings()
    tables = Tables(datasets, findings)
    found = members_of(segment_id, segments, datasets, tables, findings)
    findings.raise_any()
    assert found is not None
    return found


def learn_predicates(segments: Iterable[Segment], datasets: Mapping[str, Dataset]) -> None:
    """Look at the predicates of many segments together, before they are compiled one by one."""
    tables = Tables(datasets, Findings())
    predicates: dict[str, list[str]] = {}
    for segment in segments:
        if segment.where is not None and segment.of is not None and segment.of in datasets:
            predicates.setdefault(segment.of, []).append(segment.where)
    for dataset, texts in predicates.items():
        with suppress(SqlProblem):
            learn(texts, {dataset: tables[dataset]})


def members_of(
    segment_id: str, segments: Mapping[str, Segment], datasets: Mapping[str, Dataset], tables: Tables, findings: Findings
) -> CompiledSegment | None:
    """The segment, or None where `findings` say why not."""
    made = _Compiler(segments, datasets, tables, findings).members(segment_id, ())
    if made is None:
        return None
    of, membership, parts = made
    key = datasets[of].key
    read = [membership.columns, *(part.reads for part in parts), frozenset((of, name) for name in key)]
    return CompiledSegment(segment_id, of, key, membership, parts, read_tables(read, tables))


def read_tables(columns: Iterable[Columns], tables: Tables) -> dict[str, dict[str, str]]:
    """The datasets among what is read, with the types of their columns."""
    read = sorted({one for several in columns for one in several if one[0] in tables})
    return {
        table: {column: tables[table][column] for owner, column in read if owner == table and column in tables[table]}
        for table in dict(read)
    }


_COMBINED = ("all_of", "any_of", "none_of")

_Members = tuple[str, Expression, tuple[Part, ...]]


@dataclass(frozen=True)
class _Compiler:
    segments: Mapping[str, Segment]
    datasets: Mapping[str, Dataset]
    tables: Tables
    findings: Findings

    def members(self, name: str, above: tuple[str, ...]) -> _Members | None:
        segment = self.segments[name]
        if segment.parts:
            return self._combined(name, segment, (*above, name))
        of = segment.of
        assert of is not None
        if of not in self.datasets:
            self.findings.add("segment", name, ("of",), f"There is no dataset {of!r}{nearest(of, self.datasets)}.")
            return None
        key = self.datasets[of].key
        if not key:
            self.findings.add("dataset", of, ("key",), f"The segment {name!r} needs a `key`: the columns that tell members apart.")
            return None
        if not self.datasets[of].columns:
            why = f"The segment {name!r} needs `columns`; `cdp-exports columns {of}` prints them."
            self.findings.add("dataset", of, ("columns",), why)
            return None
        if not self.tables.need(of, *key, at="key"):
            return None
        if segment.where is not None:
            with self.findings.within("segment", name, "where"):
                found = expression(segment.where, {of: self.tables[of]}, must_be="boolean")
                return of, _with(found, f"COALESCE({found.sql}, FALSE)"), ()
            return None
        if name in self.datasets:
            why = f"A dataset is called {name!r} too, and SQL could not tell them apart; rename one of them (`formerly` keeps its chains)."
            self.findings.add("segment", name, (), why)
            return None
        part = self._list(name, segment, of) if segment.list else self._query(name, segment, of)
        if part is None:
            return None
        return of, Expression(f"{quoted(name)}.{quoted(key[0])} IS NOT NULL", "BOOLEAN", frozenset({(name, key[0])})), (part,)

    def _combined(self, name: str, segment: Segment, above: tuple[str, ...]) -> _Members | None:
        all_of, any_of, none_of = found = [
            [self._part(name, (key, index), part, above) for index, part in enumerate(getattr(segment, key))] for key in _COMBINED
        ]
        known = [members for several in found for members in several if members]
        of = segment.of or (known[0][0] if known else "")
        for key, several in zip(_COMBINED, found, strict=True):
            for index, members in enumerate(several):
                if members and members[0] != of:
                    part = getattr(segment, key)[index]
                    why = f"{part!r} has members of {members[0]!r}, and this segment of {of!r}; only segments of one dataset combine."
                    self.findings.add("segment", name, (key, index), why)
        if len(known) < len(segment.parts) or any(other != of for other, _, _ in known):
            return None
        terms = [f"({members[1].sql})" for members in all_of if members]
        terms += ["(" + " OR ".join(f"({members[1].sql})" for members in any_of if members) + ")"] if any_of else []
        terms += [f"NOT ({members[1].sql})" for members in none_of if members]
        parts = {part.segment: part for _, _, several in known for part in several}
        return of, _merged(" AND ".join(terms), [membership for _, membership, _ in known]), tuple(parts.values())

    def _part(self, name: str, at: tuple[str, int], part: str, above: tuple[str, ...]) -> _Members | None:
        if part in above:
            circle = " -> ".join((*above[above.index(part) :], part))
            self.findings.add("segment", name, at, f"Segments are made of each other in a circle: {circle}.")
            return None
        if part not in self.segments:
            self.findings.add("segment", name, at, f"There is no segment {part!r}{nearest(part, self.segments)}.")
            return None
        return self.members(part, above)

    def _query(self, name: str, segment: Segment, of: str) -> Part | None:
        key = self.datasets[of].key
        assert segment.sql is not None
        with self.findings.within("segment", name, "sql"):
            keys = {name: dataset.key for name, dataset in self.datasets.items()}
            found = query(segment.sql, self.tables, key=key, keys=keys)
            others = dict(found.columns)
            for column in key:
                returned = next((other for other in others if other.lower() == column.lower()), None)
                if returned is None:
                    raise SqlProblem(f"The query does not return {column!r}, of the key of {of}; it returns {', '.join(found.columns)}.")
                wanted, type_ = self.tables[of].get(column), others.pop(returned)
                if wanted is not None and type_ != wanted:
                    raise SqlProblem(f"The query returns {column!r} as {type_}, and in {of} it is {wanted}; CAST it.")
            names = [f"{quoted(column.lower())} AS {quoted(column)}" for column in key] + [quoted(column) for column in others]
            distinct = "" if others else "DISTINCT "
            sql = f"SELECT {distinct}{', '.join(names)} FROM ({found.sql}) AS found"  # noqa: S608 - checked SQL
            return Part(name, key, others, sql, found.uses_time, found.reads)
        return None

    def _list(self, name: str, segment: Segment, of: str) -> Part | None:
        key = self.datasets[of].key
        assert segment.list is not None
        columns: dict[str, str] = {}
        for column, text in segment.list.columns.items():
            with self.findings.within("segment", name, "list", "columns", column):
                if column.lower() in {one.lower() for one in key}:
                    raise SqlProblem(f"{column!r} is of the key of {of}, which a list has anyway; leave it out.")
                columns[column] = type_named(text)
        return Part(name, key, columns, None, uses_time=False, reads=frozenset())


def _with(found: Expression, sql: str) -> Expression:
    return Expression(sql, "BOOLEAN", found.columns, found.uses_time, found.bounds)


def _merged(sql: str, found: list[Expression]) -> Expression:
    bounds = None
    if all(one.bounds is not None for one in found):
        bounds = tuple(dict.fromkeys(bound for one in found for bound in one.bounds or ()))
    columns = frozenset(column for one in found for column in one.columns)
    return Expression(sql, "BOOLEAN", columns, any(one.uses_time for one in found), bounds)
