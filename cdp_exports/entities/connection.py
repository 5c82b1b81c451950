"""A connection: where to, and with which credentials."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, field_validator

from cdp_exports.entities.model import Declared
from cdp_exports.entities.secret import Secret


class _Connection(Declared):
    description: str | None = None

    shared_with: Literal["administrators"] = "administrators"
    """Who may use it. Only administrators until roles exist."""

    @field_validator("shared_with", mode="before")
    @classmethod
    def _no_roles_yet(cls, value: object) -> object:
        if value != "administrators":
            raise ValueError("roles do not exist yet, so a connection cannot be shared; leave `shared_with` out")
        return value


class LocalConnection(_Connection):
    """A folder on this machine or on a mounted share."""

    type: Literal["local"]

    folder: str
    """The folder; relative to the catalog's parent folder. It is created on first use."""


class S3Connection(_Connection):
    """Amazon S3 or a store that speaks its protocol.

    Credentials: static keys by reference, else a profile, else what the machine offers (environment, web identity,
    instance role); `role_arn` is then assumed with them.
    """

    type: Literal["s3"]

    bucket: str

    folder: str = ""
    """The folder in the bucket."""

    region: str | None = None
    endpoint_url: str | None = None
    """The store's address where it is not Amazon's, for example https://minio.internal:9000."""

    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    """A profile of the AWS configuration files."""

    role_arn: str | None = None
    """A role to assume."""

    external_id: Secret | None = None
    """The external id that the assumed role asks for."""


Connection = Annotated[LocalConnection | S3Connection, Field(discriminator="type")]

CONNECTION: TypeAdapter[Connection] = TypeAdapter(Connection)
"""Reads a connection from plain data, as the ledger keeps it."""
