"""What every declared object has in common."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")

_OWNER = re.compile(r"team:.+|\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # what Dagster accepts


def _an_address(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters are not allowed")
    if text.startswith("~"):
        raise ValueError("write the path in full; `~` is not replaced by anybody's home folder")
    _, separator, rest = text.partition("://")
    if separator and "@" in rest.partition("/")[0]:
        raise ValueError("an address holds no user name and no password; give credentials by reference, `{env: NAME}`")
    return text


def _an_owner(text: str) -> str:
    if not _OWNER.fullmatch(text):
        raise ValueError("an owner is an e-mail address or `team:name`")
    return text


ID_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An object's name: the name of its file. Lower-case letters, digits and `_`, at most 63."""

Word = Annotated[str, StringConstraints(min_length=1)]
"""Text that is not empty."""

Address = Annotated[str, StringConstraints(min_length=1), AfterValidator(_an_address)]
"""A path or a URL without credentials."""

Owner = Annotated[str, AfterValidator(_an_owner)]
"""An e-mail address or `team:name`."""

Several = Annotated[tuple[T, ...], Field(strict=False)]
"""A list; the items are as strict as anywhere."""


class Declared(BaseModel):
    """Immutable; an unknown key is an error; values are not coerced (`"1"` is not 1); errors never show what was given."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class WrongItem(ValueError):
    """One item of a list or mapping is wrong; `item` is its index or key."""

    def __init__(self, message: str, *, item: str | int) -> None:
        super().__init__(message)
        self.item = item


def each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values themselves, none of them twice.

    Raises:
        WrongItem: names the first that stands there again.
    """
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise WrongItem(f"{value!r} is named twice", item=index)
        seen.add(value)
    return values
