"""References: each leads somewhere, and no segment is made of itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from cdp_exports.catalog.explain import At
from cdp_exports.catalog.finding import Finding, of_segment
from cdp_exports.entities.nearest import nearest
from cdp_exports.entities.segment import Segment

Names = Mapping[str, Collection[str]]
"""By folder, the ids of all files, also of those whose content is wrong."""

_EACH = "*"  # every item of a list

MOST_PARTS = 200
"""Segments that one may be made of, itself included, each counted as often as it is used: they become one condition."""

DEEPEST = 50
"""Segments made of segments made of segments ..."""

REFERENCES: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "connections": {("suppress", _EACH, "dataset"): "datasets"},
    "segments": {
        ("of",): "datasets",
        ("all_of", _EACH): "segments",
        ("any_of", _EACH): "segments",
        ("none_of", _EACH): "segments",
    },
    "exports": {
        ("connection",): "connections",
        ("datasets", _EACH): "datasets",
        ("segments", _EACH): "segments",
        ("project", "dataset"): "datasets",
    },
}
"""By folder, the keys that hold an id, and the folder where it must be found."""


def dangling(folder: str, value: Mapping[str, Any], names: Names) -> Iterator[tuple[At, str]]:
    """References of an object, as it stands in its file, that lead nowhere."""
    for path, target in REFERENCES.get(folder, {}).items():
        if path[0] in value:
            for at, name in _at(value, path):
                if name not in names[target]:
                    yield at, _absent(target.removesuffix("s"), name, names[target])


def _at(value: object, path: tuple[str, ...]) -> Iterator[tuple[At, str]]:
    """The texts at a path; what is no text is told elsewhere."""
    if not path:
        if isinstance(value, str):
            yield (), value
    elif path[0] == _EACH:
        for index, item in enumerate(cast("list[object]", value) if isinstance(value, list) else []):
            yield from (((index, *at), name) for at, name in _at(item, path[1:]))
    elif isinstance(value, Mapping):
        inner = cast("Mapping[str, object]", value).get(path[0])
        yield from (((path[0], *at), name) for at, name in _at(inner, path[1:]))


def _absent(word: str, name: str, names: Collection[str]) -> str:
    hint = nearest(name, names) or (f" (there are: {', '.join(sorted(names)[:10])})" if names else f" (there are no {word}s yet)")
    return f"There is no {word} {name!r}{hint}."


def cycles(segments: Mapping[str, Segment]) -> Iterator[Finding]:
    """Segments that are made of themselves: one finding for each part to take out, with the way round."""
    done: set[str] = set()
    for first in sorted(segments):
        if first in done:
            continue
        way, waiting = [first], [iter(segments[first].parts)]
        while way:
            for part in waiting[-1]:
                if part in way:
                    yield of_segment(way[-1], _part_key(segments[way[-1]], part), _round([*way[way.index(part) :], part]))
                elif part in segments and part not in done:
                    way.append(part)
                    waiting.append(iter(segments[part].parts))
                    break
            else:
                done.add(way.pop())
                waiting.pop()


def _part_key(segment: Segment, part: str) -> At:
    for key in ("all_of", "any_of", "none_of"):
        if part in (parts := getattr(segment, key)):
            return key, parts.index(part)
    return ()


def _round(way: list[str]) -> str:
    return f"The segment {way[0]!r} is made of itself: {' -> '.join(way)}. Take one of them out."


def sound(segments: Mapping[str, Segment], datasets: Collection[str]) -> tuple[dict[str, Segment], list[Finding]]:
    """The segments whose references, and those of their parts, all lead to objects without mistakes; parts come first.

    And those that are made of too many.
    """
    users: dict[str, list[str]] = {}
    open_parts: dict[str, int] = {}
    for name, segment in segments.items():
        open_parts[name] = len(set(segment.parts)) + (segment.of is not None and segment.of not in datasets)
        for part in set(segment.parts):
            users.setdefault(part, []).append(name)
    ready = [name for name, count in open_parts.items() if count == 0]
    found: dict[str, Segment] = {}
    sizes: dict[str, tuple[int, int]] = {}  # how many, how deep
    findings: list[Finding] = []
    while ready:
        name = ready.pop()
        many, deep = map(list, zip(*(sizes[part] for part in segments[name].parts), strict=True)) if segments[name].parts else ([], [0])
        sizes[name] = 1 + sum(many), 1 + max(deep)
        if sizes[name][0] > MOST_PARTS or sizes[name][1] > DEEPEST:
            message = (
                f"The segment {name!r} is made of {sizes[name][0]} segments in the end, {sizes[name][1]} deep; at most {MOST_PARTS} and "
                f"{DEEPEST} deep can be combined. Write it as `sql`."
            )
            findings.append(of_segment(name, (), message))
            continue
        found[name] = segments[name]
        for user in users.get(name, ()):
            open_parts[user] -= 1
            if open_parts[user] == 0:
                ready.append(user)
    return found, findings
