"""Connections to the containers of an Azure storage account."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import Endpoint, StoreFolder, folders, plain_endpoint


class AzureConnection(Receiver):
    """A container of a storage account, however its files are called."""

    account: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{3,24}$")]
    """The storage account's name."""

    container: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=3, max_length=63)]
    """The container's name (the file system's, in a data lake); it must exist."""

    folder: StoreFolder = ""
    """The folder in the container, without a slash at its ends; default: the container itself."""

    account_key: Secret | None = None
    """A key of the account."""

    sas_token: Secret | None = None
    """A shared access signature, as the portal shows it."""

    connection_string: Secret | None = None
    """A connection string, with a key or a shared access signature, of the same account and endpoint."""

    tenant_id: str | None = None
    """The tenant of a service principal; with `client_id` and `client_secret`."""

    client_id: str | None = None
    """A service principal's application id; alone: the client id of a managed identity."""

    client_secret: Secret | None = None
    """A service principal's secret."""

    authority_url: Endpoint | None = None
    """Where a service principal signs in; default: https://login.microsoftonline.com."""

    endpoint_url: Endpoint | None = None
    """The account's address where it is not https://ACCOUNT.blob.core.windows.net: another cloud's, or Azurite's."""

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> Self:
        if (self.tenant_id is None) != (self.client_secret is None) or (self.client_secret and not self.client_id):
            raise ValueError("`tenant_id`, `client_id` and `client_secret` of a service principal go together")
        if self.authority_url and not self.tenant_id:
            raise ValueError("`authority_url` goes with a service principal (`tenant_id`, `client_id`, `client_secret`)")
        if sum(way is not None for way in (self.account_key, self.sas_token, self.connection_string, self.client_id)) > 1:
            raise ValueError("name one way to sign in: `account_key`, `sas_token`, `connection_string`, or `client_id`")
        return self

    @property
    def blob_url(self) -> str:
        """The account's address for blobs, without a slash at its end.

        >>> AdlsConnection(type="adls", account="acme", container="cdp", endpoint_url="https://acme.dfs.core.usgovcloudapi.net/").blob_url
        'https://acme.blob.core.usgovcloudapi.net'
        """
        if self.endpoint_url is None:
            return f"https://{self.account}.blob.core.windows.net"
        return plain_endpoint(self.endpoint_url).replace(f"//{self.account}.dfs.", f"//{self.account}.blob.")

    def place(self, root: Path) -> tuple[str, ...]:  # a data lake's account holds the same containers
        return "https", self.blob_url.partition("://")[2], self.container, *folders(self.folder)


class AzureBlobConnection(AzureConnection):
    """Azure Blob Storage.

    One way to sign in: `account_key`, `sas_token`, `connection_string`, a service principal, or none of these: then the
    machine's workload identity where it has one (AKS), else its managed identity, `client_id` naming which.
    """

    type: Literal["azure_blob"]
    """The kind of store."""


class AdlsConnection(AzureConnection):
    """Azure Data Lake Storage Gen2, addressed as abfss://. Signs in as Azure Blob Storage does."""

    type: Literal["adls"]
    """The kind of store."""
