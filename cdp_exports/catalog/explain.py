"""What pydantic found wrong, in plain sentences, with the path of the key it is about. Values are shown only where a word was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from cdp_exports.entities.model import ID_PATTERN, WrongItem
from cdp_exports.entities.nearest import nearest

At = tuple[str | int, ...]
"""The path of a key or list item in a file."""

_MUST_BE = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list, `[one, two]`",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}


def explain(error: ValidationError, declared: Any, value: object) -> Iterator[tuple[At, str]]:
    """Where and what, for each error. `declared`: the model or annotated union that `value` was checked against."""
    for details in error.errors(include_url=False, include_input=False):
        at, holder = _locate(details["loc"], declared)
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, WrongItem):
            at = (*at, cause.item)
        elif details["type"].startswith("union_tag_"):
            at = (*at, "type")
        yield at, _SENTENCES.get(details["type"], _any)(_Wrong(at, holder, _value_at(value, at), details))


def _locate(loc: At, declared: Any) -> tuple[At, Any]:
    """The path in the file (pydantic also names the branch of a union) and the type that holds its last key."""
    at: list[str | int] = []
    holder = declared
    for part in loc:
        branches = _branches(declared)
        if len(branches) > 1:
            declared = branches.get(str(part))
            continue
        declared = next(iter(branches.values()))
        holder = declared
        at.append(part)
        declared = _inside(declared, part)
    return tuple(at), holder


def _branches(declared: Any) -> dict[str, Any]:
    """The alternatives of a type by their tag; a type without alternatives is its own only one."""
    tags = [item.tag for item in getattr(declared, "__metadata__", ()) if isinstance(item, Tag)]
    while get_origin(declared) is Annotated:
        declared = get_args(declared)[0]
    if get_origin(declared) in (Union, UnionType):
        found: dict[str, Any] = {}
        for alternative in get_args(declared):
            if alternative is not NoneType:
                found |= _branches(alternative)
        return found
    return {tags[0] if tags else _tag(declared): declared}


def _tag(declared: Any) -> str:
    if isinstance(declared, type) and issubclass(declared, BaseModel) and "type" in declared.model_fields:
        return str(get_args(declared.model_fields["type"].annotation)[0])
    return ""


def _inside(declared: Any, part: str | int) -> Any:
    if isinstance(declared, type) and issubclass(declared, BaseModel):
        field = declared.model_fields.get(str(part))
        return field.annotation if field else None
    if get_origin(declared) is tuple:
        return get_args(declared)[0]
    if get_origin(declared) is dict:
        return get_args(declared)[1]
    return None


def _value_at(value: Any, at: At) -> object:
    for part in at:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


@dataclass(frozen=True)
class _Wrong:
    """One error: the type that holds the key, the value that was given, and pydantic's own words."""

    at: At
    holder: Any
    value: object
    details: ErrorDetails

    @property
    def context(self) -> dict[str, Any]:
        return self.details.get("ctx", {})

    @property
    def key(self) -> str:
        return str(self.at[-1]) if self.at else ""

    def about(self, sentence: str) -> str:
        """A sentence with the key it is about: `schedule.every`, `owners[0]`."""
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.at).removeprefix(".")
        return f"`{name}`: {sentence}." if name else f"{sentence}."


def _unknown(wrong: _Wrong) -> str:
    known = sorted(wrong.holder.model_fields)
    hint = nearest(wrong.key, known) or f"; known here: {', '.join(known)}"
    return f"The key {wrong.key!r} is unknown{hint}."


def _no_such_word(wrong: _Wrong) -> str:
    return wrong.about(_not_one_of(wrong.value, list(map(str, _words(wrong.holder.model_fields[wrong.key].annotation)))))


def _no_such_type(wrong: _Wrong) -> str:
    types = wrong.context["expected_tags"].replace("'", "").split(", ")
    return wrong.about(_not_one_of(wrong.context["tag"], types))


def _wrong_type(wrong: _Wrong) -> str:
    quotes = "; put it in quotes" if wrong.details["type"] == "string_type" and isinstance(wrong.value, bool | int | float) else ""
    return wrong.about(f"must be {_MUST_BE[wrong.details['type']]}, not {_named(wrong.value)}{quotes}")


def _no_match(wrong: _Wrong) -> str:
    if wrong.context["pattern"] == ID_PATTERN:
        return wrong.about("an id has lower-case letters, digits and `_`, begins with a letter and is at most 63 long")
    return wrong.about(f"is not written as expected, {wrong.context['pattern']}")


_SENTENCES: Mapping[str, Callable[[_Wrong], str]] = {
    "extra_forbidden": _unknown,
    "missing": lambda wrong: f"The key {wrong.key!r} is missing.",
    "literal_error": _no_such_word,
    "union_tag_invalid": _no_such_type,
    "union_tag_not_found": lambda wrong: wrong.about("the key is missing"),
    "value_error": lambda wrong: wrong.about(str(wrong.context["error"])),
    "string_pattern_mismatch": _no_match,
    "too_short": lambda wrong: wrong.about("must not be empty"),
    "string_too_short": lambda wrong: wrong.about("must not be empty"),
    "greater_than_equal": lambda wrong: wrong.about(f"must be at least {wrong.context['ge']}"),
    **dict.fromkeys(_MUST_BE, _wrong_type),
}


def _any(wrong: _Wrong) -> str:
    return wrong.about(wrong.details["msg"])


def _words(annotation: Any) -> Iterator[object]:
    """The words a key accepts."""
    for argument in get_args(annotation):
        if get_origin(annotation) is Literal:
            yield argument
        else:
            yield from _words(argument)


def _not_one_of(value: object, words: list[str]) -> str:
    expected = ", ".join(map(repr, words))
    if not isinstance(value, str):
        return f"must be one of {expected}, not {_named(value)}"
    return f"{value[:40]!r} is not one of {expected}{nearest(value, words)}"


def _named(value: object) -> str:
    """What a value is in YAML, never the value itself."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "keys with values" if isinstance(value, Mapping) else "a list"
