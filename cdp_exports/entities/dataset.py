"""A dataset: a named source table."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator

from cdp_exports.entities.model import Address, Declared, Id, Owner, Several, Word, WrongItem, each_once
from cdp_exports.entities.secret import Secret, is_reference

_CREDENTIAL = re.compile(r"secret|passw|passphrase|token$|access_?key|account_?key|private_?key|sas_?key|credentials?$", re.IGNORECASE)
_USER_IN_URL = re.compile(r"://[^/]*@")


def _text_or_reference(value: object) -> str:
    return "reference" if is_reference(value) else "text"


Option = Annotated[Annotated[str, Tag("text")] | Annotated[Secret, Tag("reference")], Discriminator(_text_or_reference)]


def _credentials_by_reference(value: dict[str, Option]) -> dict[str, Option]:
    for name, option in value.items():
        if isinstance(option, str) and (_CREDENTIAL.search(name) or _USER_IN_URL.search(option)):
            raise WrongItem("a credential is never written in the catalog; name its environment variable: `{env: NAME}`", item=name)
    return value


Options = Annotated[dict[str, Option], AfterValidator(_credentials_by_reference)]
"""Options of an object store, credentials by reference."""


class DeltaSource(Declared):
    """A Delta Lake table."""

    format: Literal["delta"]
    """The kind of table."""

    uri: Address
    """Where the table is: a path (relative to the catalog's parent folder) or s3://bucket/folder."""

    options: Options = Field(default_factory=dict[str, Option])
    """Options of the object store (`aws_region`, `aws_endpoint_url`, ...); credentials by reference: `{env: NAME}`."""


class Dataset(Declared):
    """A named source table, with the key that tells its rows apart."""

    source: DeltaSource
    """Where the rows are."""

    role: Literal["profile", "account", "contact", "event", "other"] = "other"
    """What a row is."""

    key: Several[Word] = ()
    """The columns that together name a row, unique and never null. Without a key rows are told apart by all their values."""

    columns: dict[str, Word] = Field(default_factory=dict[str, Word])
    """The columns that segments may read, by name, with their SQL types (`bigint`, `varchar`, `timestamptz`, `varchar[]`).
    `cdp-exports columns DATASET` prints them. They are a promise: a delivery fails where the table no longer keeps it."""

    consent: dict[Id, Word] = Field(default_factory=dict[Id, Word])
    """Which column (true or false) grants which purpose, for example `marketing: email_opt_in`."""

    asset_key: Several[Word] | None = None
    """The Dagster asset whose materialization refreshes this table; default `datasets/<id>`, an external asset."""

    description: str | None = None
    """Shown in Dagster."""

    owners: Several[Owner] = ()
    """E-mail addresses or `team:name`; shown in Dagster."""

    formerly: Id | None = None
    """The id it had before: chains go on through the rename."""

    @field_validator("key")
    @classmethod
    def _each_column_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each_once(value)

    @field_validator("asset_key")
    @classmethod
    def _has_parts(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value == ():
            raise ValueError("an asset key has at least one part, for example [warehouse, orders]")
        return value
