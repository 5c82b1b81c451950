"""What a receiver gets of a member: fields, in their order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Discriminator, StringConstraints, Tag, field_validator, model_validator
from pydantic import Field as Declare

from cdp_exports.entities.model import Declared, Id, Several, Word


class E164(Declared):
    """A telephone number in the form +33612345678, as ITU-T E.164 has it."""

    e164: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    """The country (ISO 3166-1) of numbers that name none."""

    @field_validator("e164", mode="before")
    @classmethod
    def _a_country(cls, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch("[A-Z]{2}", value):
            raise ValueError("write the country as two capital letters, such as FR")
        return value


def _word_or_e164(value: object) -> str:
    return "e164" if isinstance(value, Mapping | E164) else "word"


Transform = Annotated[
    Annotated[Literal["trim", "lower", "upper", "digits", "gmail", "sha256"], Tag("word")] | Annotated[E164, Tag("e164")],
    Discriminator(_word_or_e164),
]
"""One step from the value in the table to the value in the file."""


class Field(Declared):
    """One column of the files."""

    model_config = ConfigDict(populate_by_name=True)

    source: Word | None = Declare(default=None, alias="from")
    """A column, or an SQL expression over the member's columns; `dataset.column` where two have the name."""

    value: str | int | float | bool | None = None
    """A constant, in place of `from`."""

    to: Word | None = None
    """The column's name in the files; default: the source column's."""

    transforms: Several[Transform] = ()
    """Applied to the value, in this order. `trim`: no white space around; `digits`: nothing but digits; `gmail`: in addresses of gmail.com
    and googlemail.com no dots and no `+suffix` before the @; `sha256`: the SHA-256 of the UTF-8 text, as lower-case hex; `e164`: a
    telephone number in the form +33612345678."""

    required: bool = False
    """Members without a value are left out, and counted. Text that is empty is no value."""

    identity: bool = False
    """By this the receiver knows the member: members who leave are sent with it. Destinations that demand it get it hashed."""

    @field_validator("value", mode="before")
    @classmethod
    def _a_constant(cls, value: object) -> object:
        if not isinstance(value, str | int | float | bool | None) or (isinstance(value, float) and not isfinite(value)):
            raise ValueError("must be text, a number, or true or false")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source is None) == (self.value is None):
            raise ValueError("give either `from` or `value`")
        if self.value is not None and self.to is None:
            raise ValueError("a constant needs a name: `to`")
        return self


class Projection(Declared):
    """Contacts of the accounts: people, for destinations that take no accounts."""

    dataset: Id
    """The contacts: a dataset with the role `contact`."""

    by: Annotated[Several[Word], Declare(min_length=1)]
    """Its columns that hold the account's key, in the key's order."""

    how: Literal["explode", "arrays", "first"] = "explode"
    """`explode`: one row a contact. `arrays`: one row an account, each contact column an array, all in the same order.
    `first`: one row an account, with its first contact."""

    where: Word | None = None
    """A predicate over contacts; default: all of the account."""

    order_by: Word | None = None
    """An SQL order of contacts, such as `is_primary DESC`; ties and default: by the contact's key."""


class Status(Declared):
    """How entered, updated and exited members are told apart in an incremental delivery."""

    column: Word = "segment_status"
    """The column's name."""

    entered: Word = "entered"
    """Its value for members who are new to the receiver."""

    updated: Word = "updated"
    """Its value for members of whom a mapped value changed."""

    exited: Word = "exited"
    """Its value for members who left."""

    reason: Word = "exit_reason"
    """The name of the column that says why a member left; null for the others."""

    in_full: bool = False
    """Whether full exports carry the columns too, with `entered` everywhere."""

    @model_validator(mode="after")
    def _words_differ(self) -> Self:
        if len({self.entered, self.updated, self.exited}) < 3:
            raise ValueError("`entered`, `updated` and `exited` need three different values")
        if self.column == self.reason:
            raise ValueError("`column` and `reason` are two columns and need two names")
        return self


class Bounds(Declared):
    """A highest and a lowest number, both allowed themselves."""

    max: Annotated[int, Declare(ge=1)] | None = None
    """The highest; default: none of the export's own."""

    min: Annotated[int, Declare(ge=1)] | None = None
    """The lowest; default: none of the export's own."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"`min` is {self.min} and `max` only {self.max}; nothing lies between them")
        return self


class Limits(Declared):
    """How much may be sent. The destination's own limits hold too."""

    audience: Bounds = Bounds()
    """Members that the receiver holds after the delivery; rows, where contacts are exploded."""

    delivery: Bounds = Bounds()
    """Rows of one delivery."""

    warn_at: Annotated[float, Declare(gt=0, le=1)] = 0.8
    """The part of a maximum from which on a warning is given."""

    over: Literal["skip", "fail", "truncate"] = "skip"
    """Over a maximum: skip the whole export, fail, or send only as many members as fit (`audience` alone)."""

    keep_by: Word | None = None
    """Who is sent where not all fit: an SQL order, such as `lifetime_value DESC`; ties by the key. Needed with `over: truncate`."""

    @model_validator(mode="after")
    def _an_order_to_truncate_by(self) -> Self:
        if (self.over == "truncate") != (self.keep_by is not None):
            raise ValueError("`over: truncate` and `keep_by` go together")
        return self


__all__ = ["E164", "Bounds", "Field", "Limits", "Projection", "Status", "Transform"]
