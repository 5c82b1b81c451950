"""Tables of datasets, lists and queries within one evaluation: each dataset is read once, with the columns that somebody needs."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from cdp_exports.errors import KeyNotUnique
from cdp_exports.evaluation.inputs import Tables
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import among, known
from cdp_exports.segments.audience import Expression, Listed, Part, at
from cdp_exports.segments.binding import quoted

if TYPE_CHECKING:
    import polars as pl


def together(tables: Iterable[Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    """The columns of every dataset that any of several reads."""
    columns: dict[str, dict[str, str]] = {}
    for one in tables:
        for dataset, types in one.items():
            columns.setdefault(dataset, {}).update(types)
    return columns


class Reading:
    """`columns`: of every dataset those that any question needs, with their declared types."""

    def __init__(self, session: Session, tables: Tables, columns: Mapping[str, Mapping[str, str]]) -> None:
        self._session = session
        self._tables = tables
        self._columns = columns
        self._loaded: set[str] = set()
        self._guards: dict[tuple[str, ...], str] = {}
        self._frames: dict[tuple[int | str, ...], tuple[pl.LazyFrame, str]] = {}  # with the frame, so that its id stays its own

    def load(self, datasets: Iterable[str]) -> None:
        """As tables of their names, in the order of their rows."""
        for dataset in sorted(set(datasets) - self._loaded):
            with self._session.in_order(), self.pinned(dataset, in_order=True) as rows:
                self._session.run(f"CREATE TABLE {quoted(dataset)} AS FROM {rows}")
            self._loaded.add(dataset)

    @contextmanager
    def pinned(self, dataset: str, *, only: Sequence[str] = (), where: pl.Expr | None = None, in_order: bool = False) -> Generator[str]:
        """The rows of a dataset as a relation that can be read once; `only` these columns, and `where` spares reading other rows."""
        if dataset in self._loaded:
            yield quoted(dataset)
            return
        frame = self._tables.pinned(dataset)
        columns = self._some(dataset, only or self._columns[dataset])
        with self.stream(frame if where is None else frame.filter(where), dataset, columns, in_order=in_order) as rows:
            yield rows

    @contextmanager
    def stream(self, frame: pl.LazyFrame, dataset: str, columns: Mapping[str, str | None], *, in_order: bool = False) -> Generator[str]:
        """Rows of a dataset, held against what the catalog declares."""
        declared_in = f"`columns` in datasets/{dataset}.yaml"
        with self._session.stream(frame, columns, f"The table of dataset {dataset}", declared_in, in_order=in_order) as rows:
            yield rows

    def schema(self, dataset: str) -> pl.Schema:
        return self._tables.pinned(dataset).collect_schema()

    def rows_of(self, frame: pl.LazyFrame, dataset: str, names: Sequence[str]) -> str:
        """A table with columns of a frame that came with a question; a frame that several came with is read once."""
        wanted = (id(frame), *names)
        if wanted not in self._frames:
            declared = self._columns[dataset]
            with self.stream(frame, dataset, {name: declared.get(name) for name in names}) as rows:
                self._frames[wanted] = frame, self._session.table("rows", f"FROM {rows}")
        return self._frames[wanted][1]

    def images(self, frame: pl.LazyFrame, dataset: str, names: Iterable[str]) -> str:
        """A table with at least these columns of images: of a frame that several came with, what any of them needs and it has."""
        there = self._columns[dataset].keys() & set(frame.collect_schema())
        return self.rows_of(frame, dataset, [*sorted(there.union(names)), "_change_type"])

    def part(self, part: Part, of: str, moment: datetime) -> None:
        """A table of the segment's name: its key, which is that of the dataset `of`, and columns beside it."""
        if part.segment in self._loaded:
            return
        names = [*part.key, *part.columns]
        listed = ", ".join(map(quoted, names))
        there = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in part.key)
        subject, table = f"segment {part.segment}", quoted(part.segment)
        if part.query is not None:
            self.load(table for table, _ in part.reads)
            query = f"SELECT DISTINCT {listed} FROM ({at(part.query, moment)}\n) WHERE {there}"
            with self._session.in_order():
                self._session.run(f"CREATE TABLE {table} AS {query}", subject)
        else:
            types = {name: self._columns[of][name] for name in part.key} | dict(part.columns)
            cast = ", ".join(f"CAST({quoted(name)} AS {type_}) AS {quoted(name)}" for name, type_ in types.items())
            where = f"`list` in segments/{part.segment}.yaml"
            frame = self._tables.pinned(part.segment)
            with self._session.stream(frame, dict.fromkeys(names), f"The list of {subject}", where) as rows:
                self._session.run(f"CREATE TABLE {table} AS SELECT DISTINCT {cast} FROM {rows} WHERE {there}", subject)
        keys = ", ".join(map(quoted, part.key))
        if part.columns and self._session.run(f"SELECT 1 FROM {table} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"):
            raise KeyNotUnique(
                f"{subject.capitalize()} has one key ({', '.join(part.key)}) more than once, with other values.",
                next_step="Let it return each key once, for example with GROUP BY or DISTINCT ON.",
            )
        self._loaded.add(part.segment)

    def consents(self, consent: Expression, dataset: str, key: Sequence[str], keys: Sequence[str], only: str | None = None) -> str:
        """Whether the person with the key `keys` (SQL) consents, at the head of the dataset: in every row of that key.

        `only`: a table of the keys that will be asked for.
        """
        head = self._tables.head(dataset)
        if head is None:
            return f"coalesce({consent.sql}, false) AND NOT {among(keys, self._refused(consent, dataset, key, only))}"
        return among(keys, self._granted(head, consent, dataset, key, only))

    def is_listed(self, listed: Listed, moment: datetime) -> str:
        """Whether a suppression list has them, at its head."""
        cached = ("listed", listed.dataset, listed.column)
        if cached not in self._guards:
            column = quoted(listed.column)
            frame = self._tables.head(listed.dataset)
            frame = self._tables.pinned(listed.dataset) if frame is None else frame
            with self.stream(frame, listed.dataset, self._some(listed.dataset, [listed.column])) as rows:
                query = f"SELECT DISTINCT {column} FROM {rows} WHERE {column} IS NOT NULL"
                self._guards[cached] = self._session.table("listed", query)
        return among([at(listed.matches.sql, moment)], self._guards[cached])

    def _granted(self, head: pl.LazyFrame, consent: Expression, dataset: str, key: Sequence[str], only: str | None) -> str:
        cached = ("granted", dataset, consent.sql, only or "", *key)
        if cached not in self._guards:
            columns = self._some(dataset, [*key, *(name for _, name in consent.columns)])
            with self.stream(head, dataset, columns) as rows:
                own = list(map(quoted, key))
                query = f"{_keys(own, rows, dataset, only)} GROUP BY {', '.join(own)} HAVING bool_and(coalesce({consent.sql}, false))"
                self._guards[cached] = self._session.table("granted", query, f"the consent of dataset {dataset}")
        return self._guards[cached]

    def _refused(self, consent: Expression, dataset: str, key: Sequence[str], only: str | None) -> str:
        """Of the pinned rows; whoever has another that grants it has no consent all the same."""
        cached = ("refused", dataset, consent.sql, only or "", *key)
        if cached not in self._guards:
            with self.pinned(dataset, only=list(dict.fromkeys([*key, *(name for _, name in consent.columns)]))) as rows:
                query = f"{_keys(list(map(quoted, key)), rows, dataset, only)} AND NOT coalesce({consent.sql}, false)"
                self._guards[cached] = self._session.table("refused", query, f"the consent of dataset {dataset}")
        return self._guards[cached]

    def _some(self, dataset: str, names: Iterable[str]) -> dict[str, str | None]:
        return {name: self._columns[dataset][name] for name in dict.fromkeys(names)}


def _keys(key: Sequence[str], rows: str, dataset: str, only: str | None) -> str:
    confined = f" AND {among(key, only)}" if only else ""
    return f"SELECT {', '.join(key)} FROM {rows} AS {quoted(dataset)} WHERE {known(key)}{confined}"
