"""YAML with the words of its 1.2 core schema: `off`, `NO`, `02:00` and dates are text, only `true` and `false` are booleans.

PyYAML implements YAML 1.1, so only its C parser is used here and every scalar is read by the rules of
https://yaml.org/spec/1.2.2/#103-core-schema. Anything a catalog cannot mean (tags, aliases, several documents,
a key given twice) is a problem with a line, never an exception of the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from yaml import CSafeLoader, MappingNode, Node, ScalarNode, SequenceNode
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

from cdp_exports.errors import Problem

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_PLAIN = "plain"
_QUOTED = "quoted"
_MAX_DEPTH = 32  # the C parser composes by recursion and would take the process down at some ten thousand levels

_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
_MAY_BE_NUMBER = frozenset("+-.0123456789")


class NotYaml(Exception):
    """The text is no YAML that a catalog can mean: its problems, without a file name."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)


class _Composer(CSafeLoader):
    """Composes nodes only. Tags tell plain from quoted scalars; PyYAML's own resolver never sees them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        return _PLAIN if implicit is True or (isinstance(implicit, tuple) and implicit[0]) else _QUOTED

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NotYaml([Problem("This is nested too deeply.", line=current_node and _line(current_node))])

    def ascend_resolver(self) -> None:
        self._depth -= 1


def _line(node: Node) -> int:
    return node.start_mark.line + 1


def compose(content: bytes) -> Node:
    """The one document of a file, as nodes that know their lines.

    Raises:
        NotYaml: not UTF-8, not YAML, empty, or several documents.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotYaml([Problem("The file is not UTF-8.", line=content.count(b"\n", 0, error.start) + 1)]) from None
    try:
        node = _Composer(text).get_single_node()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml([Problem(_syntax(error), line=mark.line + 1 if mark else None)]) from None
    except ReaderError as error:
        line = content.count(b"\n", 0, error.position) + 1
        raise NotYaml([Problem("A control character stands here; YAML holds only text.", line=line)]) from None
    if node is None:
        raise NotYaml([Problem("The file is empty.", line=1)])
    return node


def _syntax(error: MarkedYAMLError) -> str:
    if error.context == "expected a single document in the stream":
        return "A file holds one object, so one YAML document; a second one begins here."
    if "cannot start any token" in (error.problem or ""):
        return "This is not YAML: a tab or a reserved character stands where a word should begin. Indent with spaces, quote such text."
    return f"This is not YAML: {error.problem or error.context}."


def read(content: bytes) -> dict[str, Value]:
    r"""The mapping that a file holds.

    >>> read(b"at: 02:00\nactive: off\nn: 0o17\nok: true")
    {'at': '02:00', 'active': 'off', 'n': 15, 'ok': True}

    Raises:
        NotYaml: with all problems that can be told apart.
    """
    node = compose(content)
    reading = _Reading()
    value = reading.value(node)
    if not isinstance(node, MappingNode):
        reading.refuse(node, "The file must hold keys with values, one `key: value` a line.")
    if reading.problems or not isinstance(value, dict):
        raise NotYaml(reading.problems)
    return value


class _Reading:
    """One pass over the nodes of a document, collecting problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def refuse(self, node: Node, message: str) -> None:
        self.problems.append(Problem(message, line=_line(node)))

    def value(self, node: Node) -> Value:
        if id(node) in self._seen:  # also what keeps a few lines of aliases from growing into gigabytes
            self.refuse(node, "Anchors (`&`) and aliases (`*`) are not used in a catalog; write the value each time.")
            return None
        self._seen.add(id(node))
        if node.tag not in (_PLAIN, _QUOTED):
            self.refuse(node, "Tags (`!`) are not used in a catalog; write the value without one.")
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node)
        if isinstance(node, SequenceNode):
            return [self.value(item) for item in node.value]
        return node.value if node.tag == _QUOTED else self._plain(node)

    def _mapping(self, node: MappingNode) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for key, item in node.value:
            if not isinstance(key, ScalarNode):
                self.refuse(key, "A key must be a word.")
            elif key.value in mapping:
                self.refuse(key, f"The key {key.value!r} is given twice.")
            else:
                mapping[key.value] = self.value(item)
        return mapping

    def _plain(self, node: Node) -> Value:
        text: str = node.value
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] in _MAY_BE_NUMBER:
            for pattern, convert in _NUMBERS:
                if pattern.fullmatch(text):
                    try:
                        return convert(text)
                    except ValueError:  # Python reads no whole number of more than 4300 digits
                        self.refuse(node, "This number is too long.")
        return text


def line_at(node: Node, path: Sequence[str | int]) -> int:
    """The line of the key or list item at a path; of the last one that is there, where the path goes on beyond the file."""
    line = _line(node)
    for part in path:
        if isinstance(node, MappingNode):
            found = next(((key, item) for key, item in node.value if key.value == part), None)
            if found is None:
                return line
            key, node = found
            line = _line(key)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = _line(node)
        else:
            return line
    return line
