"""The schedule of an export in its own file, changed as text: comments and everything else stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, cast

from yaml import CollectionNode, MappingNode, Mark, Node, ScalarNode, SequenceNode

from cdp_exports.catalog.yaml import NotYaml, compose, read

_PLAIN = re.compile(r"[A-Za-z][\w/+-]*|[0-9]+(h|[-0-9]*T[-+:0-9]+Z?)", re.ASCII)


def written(schedule: Mapping[str, Any]) -> str:
    """A schedule as it stands in an export's file.

    >>> print(written({"weekly_on": ["monday", "friday"], "at": "02:00", "start": "2026-12-01T02:00Z"}))
    {weekly_on: [monday, friday], at: "02:00", start: 2026-12-01T02:00Z}
    """
    return f"{{{', '.join(f'{key}: {_value(value)}' for key, value in schedule.items())}}}"


def with_schedule(content: bytes, schedule: Mapping[str, Any]) -> bytes | None:
    """An export's file with this schedule, in place of the one it has or at its end.

    None where it cannot be put into it as text, or where a comment within the present schedule would be lost.
    """
    text = content.decode("utf-8")
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(bom).splitlines(keepends=True)
    root = compose(content)
    if not isinstance(root, MappingNode) or root.flow_style:
        return None
    pairs: list[tuple[Node, Node]] = root.value
    found = next((pair for pair in pairs if pair[0].value == "schedule"), None)
    made = _appended(lines, root, schedule) if found is None else _replaced(lines, found, schedule)
    try:
        if made is None or read(made.encode()) != {**read(content), "schedule": dict(schedule)}:
            return None
    except NotYaml:
        return None
    return f"{bom}{made}".encode()


def _appended(lines: list[str], root: Node, schedule: Mapping[str, Any]) -> str:
    end = "\r\n" if lines[0].endswith("\r\n") else "\n"
    last = "" if lines[-1].endswith("\n") else end
    return f"{''.join(lines)}{last}{' ' * root.start_mark.column}schedule: {written(schedule)}{end}"


def _replaced(lines: list[str], pair: tuple[Node, Node], schedule: Mapping[str, Any]) -> str | None:
    key, item = pair
    starts: list[int] = list(accumulate(map(len, lines), initial=0))
    text = "".join(lines)

    def at(mark: Mark) -> int:
        return starts[mark.line] + mark.column

    begin, last = text.index(":", at(key.end_mark)) + 1, _last(item)
    end = max(begin, at(last.end_mark))
    within = text[begin:end]
    for scalar in _scalars(item):
        within = within.replace(text[at(scalar.start_mark) : at(scalar.end_mark)], "", 1)
    return None if "#" in within else f"{text[:begin]} {written(schedule)}{text[end:]}"


def _last(node: Node) -> Node:
    """The node that ends where this one's text ends: a mapping or list in block style itself ends before what follows it."""
    block = isinstance(node, CollectionNode) and not node.flow_style
    return _last(_children(node)[-1]) if block else node


def _scalars(node: Node) -> Iterator[ScalarNode]:
    if isinstance(node, ScalarNode):
        yield node
    for child in _children(node):
        yield from _scalars(child)


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, cast('list[Any]', value)))}]"
    return str(value) if isinstance(value, int) or _PLAIN.fullmatch(value) else json.dumps(value)
