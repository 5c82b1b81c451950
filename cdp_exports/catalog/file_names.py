"""Names of files in a folder that several members share: which could be equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.templates import folder_pattern

T = TypeVar("T")

_DIGIT, _NUMBER = "\0", "\1"  # any digit; a file's number
_LEFT_OPEN = {"year": 4, "month": 2, "day": 2, "hour": 2, "minute": 2, "timestamp": 10}  # digits
_INDEX = 5
_NUMBERS = range(1, 7)  # digits of a file's number: nobody has ten million files in a delivery


@dataclass(frozen=True)
class FileNames:
    """All names that a member's files can have: literal characters and digits left open; several, where the length is left open too."""

    patterns: tuple[str, ...]


def file_names(export: DatasetExport | SegmentExport, values: Mapping[str, str]) -> FileNames | None:
    """The names of a member's files, with the export time left open; None where each is unique in the world."""
    template = export.file_name
    if "{delivery}" in template or "{attempt}" in template:
        return None
    stem = folder_pattern(template, {**values, "index": _DIGIT * _INDEX, "number": _NUMBER})
    for name, digits in _LEFT_OPEN.items():
        stem = stem.replace(f"{{{name}}}", _DIGIT * digits)
    stems = [stem.replace(_NUMBER, _DIGIT * digits) for digits in _NUMBERS] if _NUMBER in stem else [stem]
    if "{index}" not in template and _NUMBER not in stem:  # a second file ends in _2
        stems += [f"{stem}_{_DIGIT * digits}" for digits in _NUMBERS]
    return FileNames(tuple(f"{stem}.{export.format.type}" for stem in stems))


def that_could_be_equal(named: Iterable[tuple[FileNames, T]]) -> Iterator[tuple[T, T]]:
    """Pairs that could give two files one name, each with one that came before it.

    >>> names = [FileNames(("vip.csv", "vip_\\0.csv")), FileNames(("vip_2.csv",)), FileNames(("vips.csv",))]
    >>> list(that_could_be_equal(zip(names, "abc")))
    [('b', 'a')]
    """
    alike: defaultdict[str, _Alike[T]] = defaultdict(lambda: defaultdict(dict))
    for names, of in named:
        outlines = [(pattern, _outline(pattern)) for pattern in names.patterns]
        others = (other for pattern, outline in outlines for other in _meeting(pattern, alike[outline]))
        if (other := next(others, None)) is not None:
            yield of, other
        for pattern, outline in outlines:
            alike[outline][_open_at(pattern)][pattern] = of


_Alike = defaultdict[tuple[int, ...], dict[str, T]]
"""Patterns of one outline with whose they are, by where digits are left open."""


def _meeting(pattern: str, alike: _Alike[T]) -> Iterator[T]:
    """Those of which some name fits the pattern too. Where the same digits are left open, only an equal one does."""
    for open_at, known in alike.items():
        if open_at == _open_at(pattern):
            yield from [known[pattern]] if pattern in known else []
        else:
            yield from (of for other, of in known.items() if _meet(pattern, other))


def _open_at(pattern: str) -> tuple[int, ...]:
    return tuple(index for index, character in enumerate(pattern) if character == _DIGIT)


def _outline(pattern: str) -> str:
    """Equal for any two patterns that meet."""
    return "".join("0" if _is_digit(character) else character for character in pattern)


def _meet(one: str, other: str) -> bool:
    """Whether some text fits both patterns, whose outlines are equal."""
    return all(a == b or _DIGIT in (a, b) for a, b in zip(one, other, strict=True))


def _is_digit(character: str) -> bool:
    return character == _DIGIT or character in "0123456789"
