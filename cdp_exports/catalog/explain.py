"""What pydantic found wrong, in plain sentences, with the path of the key it is about. Values are shown only where a word was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cdp_exports.entities.model import ID_PATTERN, WrongItem
from cdp_exports.entities.nearest import nearest

At = tuple[str | int, ...]
"""The path of a key or list item in a file."""

_DISCRIMINATORS = ("kind", "type")
"""The keys that say which of several models an object is."""

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


def about(at: At, sentence: str) -> str:
    """A sentence with the key it is about.

    >>> about(("owners", 0), "an owner is an e-mail address or `team:name`.")
    '`owners[0]`: an owner is an e-mail address or `team:name`.'
    """
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).removeprefix(".")
    return f"`{name}`: {sentence}" if name else sentence


def explain(error: ValidationError, declared: Any, value: object) -> Iterator[tuple[At, str]]:
    """Where and what, for each error. `declared`: the model or annotated union that `value` was checked against."""
    for details in error.errors(include_url=False, include_input=False):
        located = _locate(details["loc"], declared)
        at, context = located.at, details.get("ctx", {})
        if isinstance(context.get("error"), WrongItem):
            at = (*at, context["error"].item)
        elif details["type"].startswith("union_tag_"):
            at = (*at, context["discriminator"].strip("'"))
        yield at, _SENTENCES.get(details["type"], _any)(_Wrong(at, located, _value_at(value, at), details))


@dataclass(frozen=True)
class _Located:
    at: At  # in the file; pydantic also names the branch of a union
    holder: Any  # the type that holds the last key
    siblings: Mapping[str, Any]  # the alternatives that the holder was chosen from, by their tag
    declared: Any  # the type of what stands there


def _locate(loc: At, declared: Any) -> _Located:
    at: list[str | int] = []
    holder, siblings = declared, dict[str, Any]()
    chosen_from = dict[str, Any]()
    for part in loc[:-1] if loc[-1:] == ("[key]",) else loc:  # so pydantic says that a key itself is wrong
        branches = _branches(declared)
        if len(branches) > 1:
            declared, chosen_from = branches.get(str(part)), branches
        else:
            holder, siblings, chosen_from = next(iter(branches.values())), chosen_from, {}
            at.append(part)
            declared = _inside(holder, part)
    return _Located(tuple(at), holder, siblings, declared)


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
    keys = _keys(declared)
    return next((str(get_args(keys[name].annotation)[0]) for name in _DISCRIMINATORS if name in keys), "")


def _keys(declared: Any) -> dict[str, FieldInfo]:
    """The keys of a model, as they are written in a file."""
    if not (isinstance(declared, type) and issubclass(declared, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in declared.model_fields.items()}


def _inside(declared: Any, part: str | int) -> Any:
    if field := _keys(declared).get(str(part)):
        return field.annotation
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
    """One error: what is declared there, the value that was given, and pydantic's own words."""

    at: At
    located: _Located
    value: object
    details: ErrorDetails

    @property
    def context(self) -> dict[str, Any]:
        return self.details.get("ctx", {})

    @property
    def key(self) -> str:
        return str(self.at[-1]) if self.at else ""

    def about(self, sentence: str) -> str:
        return about(self.at, f"{sentence}.")


def _unknown(wrong: _Wrong) -> str:
    holder = wrong.located.holder
    if owners := [_named_by_tag(other) for other in wrong.located.siblings.values() if wrong.key in _keys(other)]:
        return f"The key {wrong.key!r} belongs to {' and '.join(owners)}; this is {_named_by_tag(holder)}."
    known = sorted(_keys(holder))
    hint = nearest(wrong.key, known) or f"; known here: {', '.join(known)}"
    return f"The key {wrong.key!r} is unknown{hint}."


def _named_by_tag(model: Any) -> str:
    return next(f"`{name}: {_tag(model)}`" for name in _DISCRIMINATORS if name in _keys(model))


def _no_such_word(wrong: _Wrong) -> str:
    return wrong.about(_not_one_of(wrong.value, list(map(str, _words(wrong.located.declared)))))


def _no_such_type(wrong: _Wrong) -> str:
    return wrong.about(_not_one_of(wrong.context["tag"], list(_branches(wrong.located.declared))))


def _no_type(wrong: _Wrong) -> str:
    return wrong.about(f"the key is missing; it is one of {', '.join(map(repr, _branches(wrong.located.declared)))}")


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
    "union_tag_not_found": _no_type,
    "value_error": lambda wrong: wrong.about(str(wrong.context["error"])),
    "string_pattern_mismatch": _no_match,
    "too_short": lambda wrong: wrong.about("must not be empty"),
    "string_too_short": lambda wrong: wrong.about("must not be empty"),
    "greater_than_equal": lambda wrong: wrong.about(f"must be at least {wrong.context['ge']}"),
    "greater_than": lambda wrong: wrong.about(f"must be more than {wrong.context['gt']}"),
    "less_than_equal": lambda wrong: wrong.about(f"must be at most {wrong.context['le']}"),
    "finite_number": lambda wrong: wrong.about("must be a finite number"),
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
