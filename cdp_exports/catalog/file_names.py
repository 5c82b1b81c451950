"""Names of files in a folder that several members share: which could be equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.templates import folder_pattern

T = TypeVar("T")

_DIGIT, _NUMBER = "\0", "\1"  # any digit; one digit or more
_LEFT_OPEN = {"year": 4, "month": 2, "day": 2, "hour": 2, "minute": 2, "timestamp": 10}  # digits
_INDEX = 5


@dataclass(frozen=True)
class FileNames:
    """All names that a member's files can have: literal characters, digits left open, and whether a second file ends in `_2`."""

    stem: str
    extension: str
    numbered: bool

    @property
    def patterns(self) -> tuple[str, ...]:
        first = f"{self.stem}{self.extension}"
        return (first, f"{self.stem}_{_NUMBER}{self.extension}") if self.numbered else (first,)


def file_names(export: DatasetExport | SegmentExport, values: Mapping[str, str]) -> FileNames | None:
    """The names of a member's files, with the export time left open; None where each is unique in the world."""
    template = export.file_name
    if "{delivery}" in template or "{attempt}" in template:
        return None
    stem = folder_pattern(template, {**values, "index": _DIGIT * _INDEX, "number": _NUMBER})
    for name, digits in _LEFT_OPEN.items():
        stem = stem.replace(f"{{{name}}}", _DIGIT * digits)
    return FileNames(stem, f".{export.format.type}", numbered="{index}" not in template and "{number}" not in template)


def that_could_be_equal(named: Iterable[tuple[FileNames, T]]) -> Iterator[tuple[T, T]]:
    """Pairs that could give two files one name, each with one that came before it.

    >>> names = [FileNames("vip", ".csv", True), FileNames("vip_2", ".csv", True), FileNames("vips", ".csv", True)]
    >>> list(that_could_be_equal(zip(names, "abc")))
    [('b', 'a')]
    """
    alike: defaultdict[str, list[_Named[T]]] = defaultdict(list)
    for names, of in named:
        one = _Named(names.patterns, of)
        keys = {_outline(pattern) for pattern in one.patterns}
        other = next((other for key in sorted(keys) for other in alike[key] if one.could_equal(other)), None)
        if other is not None:
            yield of, other.of
        for key in keys:
            alike[key].append(one)


@dataclass(frozen=True)
class _Named(Generic[T]):
    patterns: tuple[str, ...]
    of: T

    def could_equal(self, other: _Named[T]) -> bool:
        return any(_meet(one, another) for one in self.patterns for another in other.patterns)


def _outline(pattern: str) -> str:
    """Equal for any two patterns that meet: each run of digits is one 0."""
    outline: list[str] = []
    for character in pattern:
        plain = "0" if character in (_DIGIT, _NUMBER) or character in "0123456789" else character
        if plain != "0" or outline[-1:] != ["0"]:
            outline.append(plain)
    return "".join(outline)


def _meet(one: str, other: str) -> bool:
    """Whether some text fits both patterns."""
    if _NUMBER not in one and _NUMBER not in other:
        return len(one) == len(other) and all(a == b or _fit(a, b) for a, b in zip(one, other, strict=True))
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        i, j = waiting.pop()
        if i == len(one) and j == len(other):
            return True
        if i == len(one) or j == len(other) or not (one[i] == other[j] or _fit(one[i], other[j])):
            continue
        for i_next in (i, i + 1) if one[i] == _NUMBER else (i + 1,):
            for j_next in (j, j + 1) if other[j] == _NUMBER else (j + 1,):
                if (i_next, j_next) not in seen:
                    seen.add((i_next, j_next))
                    waiting.append((i_next, j_next))
    return False


def _fit(a: str, b: str) -> bool:
    digits = "0123456789" + _DIGIT + _NUMBER
    return (a in (_DIGIT, _NUMBER) and b in digits) or (b in (_DIGIT, _NUMBER) and a in digits)
