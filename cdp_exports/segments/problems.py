"""What is wrong with the SQL of a catalog, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class SqlProblem(ValueError):
    """SQL that cannot be used; the message is one plain sentence."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a declared object. `id` None: the export that is being compiled; `at`: the keys that lead to it."""

    kind: Literal["segment", "export", "connection", "dataset"]
    id: str | None
    at: tuple[str | int, ...]
    message: str


class CompileProblems(ValueError):
    """All that is wrong with a segment and how an export sends it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = tuple(dict.fromkeys(problems))
