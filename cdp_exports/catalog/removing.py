"""One item taken out of a list in an object's own file, changed as text: comments and everything else stay as they are."""

from __future__ import annotations

from typing import Any, cast

from yaml import MappingNode, Node, SequenceNode

from cdp_exports.catalog.yaml import NotYaml, compose, read


def without_item(content: bytes, key: str, item: str) -> bytes | None:
    """A file whose list `key` has this item no more; a comment on the item's own line goes with it.

    None where it is not in the list, is its last item, or cannot be taken out as text.

    >>> without_item(b"datasets: [orders, customers]  # two\\n", "datasets", "orders")
    b'datasets: [customers]  # two\\n'
    """
    text = content.decode("utf-8")
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(bom)
    items = _items(content, key)
    index = next((number for number, node in enumerate(items) if node.value == item), None)
    if index is None or len(items) == 1:
        return None
    lines = text.splitlines(keepends=True)
    node = items[index]
    if lines[node.start_mark.line][: node.start_mark.column].strip() == "-":
        del lines[node.start_mark.line]
        made = "".join(lines)
    else:
        starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
        first, second = (node, items[index + 1]) if index + 1 < len(items) else (items[index - 1], node)
        begin = _at(starts, first, end=index + 1 == len(items))
        end = _at(starts, second, end=index + 1 == len(items))
        if "#" in text[begin:end]:
            return None
        made = text[:begin] + text[end:]
    return f"{bom}{made}".encode() if _says(made, content, key, item) else None


def _items(content: bytes, key: str) -> list[Node]:
    root = compose(content)
    pairs = cast("list[tuple[Node, Node]]", root.value) if isinstance(root, MappingNode) else []
    found = next((value for name, value in pairs if name.value == key), None)
    return list(found.value) if isinstance(found, SequenceNode) else []


def _at(starts: list[int], node: Node, *, end: bool) -> int:
    mark = node.end_mark if end else node.start_mark
    return starts[mark.line] + mark.column


def _says(made: str, before: bytes, key: str, item: str) -> bool:
    """Whether the text says the same as before, but for the item."""
    declared = read(before)
    items = cast("list[Any]", declared[key])
    try:
        return read(made.encode()) == {**declared, key: [one for one in items if one != item]}
    except NotYaml:
        return False
