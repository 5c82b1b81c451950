"""A dataset: a named source table."""

from __future__ import annotations

from typing import Literal

from cdp_exports.entities.model import Declared, Id
from cdp_exports.entities.secret import Secret


class DeltaSource(Declared):
    """A Delta Lake table."""

    format: Literal["delta"]

    uri: str
    """Where the table is: a path (relative to the catalog's parent folder) or s3://bucket/folder."""

    options: dict[str, str | Secret] = {}
    """Options of the object store (`aws_region`, `aws_endpoint_url`, ...); credentials by reference: `{env: NAME}`."""


class Dataset(Declared):
    """A named source table, with the key that tells its rows apart."""

    source: DeltaSource
    """Where the rows are."""

    role: Literal["profile", "account", "contact", "event", "other"] = "other"
    """What a row is."""

    key: tuple[str, ...] = ()
    """The columns that together name a row, unique and never null. Without a key rows are told apart by all their values."""

    asset_key: tuple[str, ...] | None = None
    """The Dagster asset whose materialization refreshes this table; default `datasets/<id>`, an external asset."""

    description: str | None = None
    owners: tuple[str, ...] = ()
    """E-mail addresses or `team:name`; shown in Dagster."""

    formerly: Id | None = None
    """The id it had before: chains go on through the rename."""


