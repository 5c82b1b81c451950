"""The tables that datasets declare, and where problems are kept until all are found."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.nearest import nearest
from cdp_exports.segments.binding import type_named
from cdp_exports.segments.problems import CompileProblems, Problem, SqlProblem


class Findings:
    """Problems, as they are found."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(
        self, kind: Literal["segment", "export", "connection", "dataset"], id: str | None, at: tuple[str | int, ...], message: str
    ) -> None:
        self._found.append(Problem(kind, id, at, message))

    @contextmanager
    def within(self, kind: Literal["segment", "export", "connection", "dataset"], id: str | None, *at: str | int) -> Generator[None]:
        """Whatever SQL problem comes up inside is this object's, at this key; what follows inside is left out then."""
        try:
            yield
        except SqlProblem as problem:
            self.add(kind, id, at, str(problem))

    def raise_any(self) -> None:
        """Raise what was found.

        Raises:
            CompileProblems: something was.
        """
        if self._found:
            raise CompileProblems(self._found)


class Tables(Mapping[str, Mapping[str, str]]):
    """By dataset its declared columns with their types as DuckDB writes them; a type that is none is found once."""

    def __init__(self, datasets: Mapping[str, Dataset], findings: Findings) -> None:
        self._datasets = datasets
        self._findings = findings
        self._known: dict[str, dict[str, str]] = {}

    def __getitem__(self, dataset: str) -> Mapping[str, str]:
        if dataset not in self._known:
            declared = self._datasets[dataset].columns
            try:
                self._known[dataset] = {name: type_named(text) for name, text in declared.items()}
            except SqlProblem:
                self._known[dataset] = self._those_that_are(dataset, declared)
        return self._known[dataset]

    def _those_that_are(self, dataset: str, declared: Mapping[str, str]) -> dict[str, str]:
        types: dict[str, str] = {}
        for name, text in declared.items():
            with self._findings.within("dataset", dataset, "columns", name):
                types[name] = type_named(text)
        return types

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def need(self, dataset: str, *names: str, at: str) -> bool:
        """Whether a dataset declares these columns; where not, that is found."""
        types = self[dataset]
        declared = {*types, *self._datasets[dataset].columns}
        missing = [name for name in names if name not in declared]
        for name in missing:
            hint = nearest(name, declared) or f"; `cdp-exports columns {dataset}` prints them"
            self._findings.add("dataset", dataset, (at,), f"`columns` lacks {name!r}, which `{at}` names{hint}.")
        return not missing
