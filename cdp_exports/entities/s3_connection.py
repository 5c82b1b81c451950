"""Connections to Amazon S3 and to stores that speak its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import StringConstraints, field_validator, model_validator

from cdp_exports.entities.model import Declared
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import Endpoint, StoreFolder, folders


class KmsKey(Declared):
    """A key of AWS KMS."""

    kms_key: Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$")]
    """The key's or the alias's ARN."""


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

    server_side_encryption: Literal["aes256"] | KmsKey | None = None
    """How the store encrypts what is written: with keys of its own (`aes256`) or with `{kms_key: ARN}`; default: as the bucket says."""

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

    def place(self, root: Path) -> tuple[str, ...]:
        """Bucket and folder, below their store.

        >>> S3Connection(type="s3", bucket="acme", folder="cdp", endpoint_url="https://S3.acme.com:443/").place(Path())
        ('s3', 's3.acme.com', 'acme', 'cdp')
        """
        return "s3", self._store(), self.bucket, *folders(self.folder)

    def _store(self) -> str:
        """Host and port; all of Amazon's addresses are one store, since a bucket's name is unique there."""
        if self.endpoint_url is None:
            return ""
        address = urlsplit(self.endpoint_url.lower())
        host = address.netloc.removesuffix(":443" if address.scheme == "https" else ":80")
        return "" if host.endswith(".amazonaws.com") else host
