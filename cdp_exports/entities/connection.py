"""A connection: where to, and with which credentials."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, TypeAdapter, field_validator, model_validator

from cdp_exports.entities.azure_connection import AdlsConnection, AzureBlobConnection
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.entities.model import Address
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import Endpoint, StoreFolder


class LocalConnection(Receiver):
    """A folder on this machine or on a mounted share."""

    type: Literal["local"]
    """The kind of store."""

    folder: Address
    """The folder; relative to the catalog's parent folder. It is created on first use."""


class S3Connection(Receiver):
    """Amazon S3 or a store that speaks its protocol.

    Credentials: static keys by reference, else a profile, else what the machine offers (environment, web identity,
    instance role); `role_arn` is then assumed with them.
    """

    type: Literal["s3"]
    """The kind of store."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """The bucket's name; it must exist."""

    folder: StoreFolder = ""
    """The folder in the bucket, without a slash at its ends; default: the bucket itself."""

    region: str | None = None
    """The bucket's region; default: the profile's or the environment's, else us-east-1."""

    endpoint_url: Endpoint | None = None
    """The store's address where it is not Amazon's, for example https://minio.internal:9000."""

    access_key_id: Secret | None = None
    """A static key; with `secret_access_key`."""

    secret_access_key: Secret | None = None
    """A static key; with `access_key_id`."""

    session_token: Secret | None = None
    """The token of a temporary static key."""

    profile: str | None = None
    """A profile of the AWS configuration files."""

    role_arn: str | None = None
    """A role to assume."""

    external_id: Secret | None = None
    """The external id that the assumed role asks for."""

    @field_validator("endpoint_url")
    @classmethod
    def _another_protocol(cls, value: str | None) -> str | None:
        if value and urlsplit(value).hostname == "storage.googleapis.com":
            raise ValueError("Google's S3 interface ignores the conditions of conditional writes; declare `type: gcs`")
        return value

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("`access_key_id` and `secret_access_key` go together")
        if self.access_key_id and self.profile:
            raise ValueError("name either static keys or a `profile`")
        if self.session_token and not self.access_key_id:
            raise ValueError("`session_token` goes with `access_key_id` and `secret_access_key`")
        if self.external_id and not self.role_arn:
            raise ValueError("`external_id` goes with `role_arn`")
        return self


class SftpConnection(Receiver):
    """A folder of an SFTP server.

    Signs in with a private key, a password, or both where the server asks for both. The server's host key is checked
    before anything is sent that it could misuse.
    """

    type: Literal["sftp"]
    """The kind of store."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$|^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$")]
    """The server's name or IP address."""

    port: Annotated[int, Field(ge=1, le=65535)] = 22
    """The server's port."""

    user: Annotated[str, StringConstraints(pattern=r"^[^\s:/]([^:/\x00-\x1f\x7f]*[^\s:/])?$")]
    """The user to sign in as."""

    folder: str = ""
    """The folder on the server, absolute or below the one where the user starts; it must exist. Default: where the user starts."""

    password: Secret | None = None
    """The user's password."""

    private_key: Secret | None = None
    """The private key's text: OpenSSH, PKCS#1, PKCS#8 or SEC 1."""

    private_key_file: Address | None = None
    """A file that holds the private key; relative to the catalog's parent folder."""

    passphrase: Secret | None = None
    """What the private key is encrypted with."""

    known_hosts: Address | None = None
    """A file in OpenSSH's known_hosts format that names the server's host key; relative to the catalog's parent folder."""

    host_key_fingerprint: Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")] | None = None
    """The host key's fingerprint, as `ssh-keyscan HOST | ssh-keygen -lf -` shows it: `SHA256:...`."""

    @field_validator("folder")
    @classmethod
    def _folder_on_the_server(cls, value: str) -> str:
        parts = value.removeprefix("/").split("/")
        if value.removeprefix("/") and (re.search(r"[\x00-\x1f\x7f\\]", value) or any(part in ("", ".", "..", "~") for part in parts)):
            raise ValueError("write folder names joined by single slashes, without . and .., ~ and backslashes, no slash at the end")
        return value

    @model_validator(mode="after")
    def _signs_in_to_the_right_server(self) -> Self:
        if (self.known_hosts is None) == (self.host_key_fingerprint is None):
            raise ValueError("name the server's host key: either `known_hosts` or `host_key_fingerprint`")
        if self.private_key and self.private_key_file:
            raise ValueError("name either `private_key` or `private_key_file`")
        if not (self.password or self.private_key or self.private_key_file):
            raise ValueError("name a `password`, a `private_key` or a `private_key_file`")
        if self.passphrase and not (self.private_key or self.private_key_file):
            raise ValueError("`passphrase` goes with `private_key` or `private_key_file`")
        return self


Connection = Annotated[
    LocalConnection | S3Connection | AzureBlobConnection | AdlsConnection | GcsConnection | SftpConnection, Field(discriminator="type")
]

CONNECTION: TypeAdapter[Connection] = TypeAdapter(Connection)
"""Reads a connection from plain data, as the ledger keeps it."""
