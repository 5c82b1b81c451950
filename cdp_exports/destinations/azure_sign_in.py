"""How an Azure connection signs in, as obstore is told. What is not told, obstore would take from the environment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from cdp_exports.entities.azure_connection import AzureConnection
from cdp_exports.entities.store_address import plain_endpoint
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from obstore.store import AzureConfig


@dataclass(frozen=True)
class SignIn:
    """`expires`: when a shared access signature does."""

    config: AzureConfig
    expires: datetime | None = None


def sign_in(connection: AzureConnection, environ: Mapping[str, str]) -> SignIn:
    """
    Raises:
        DeclarationError: a variable is not set or does not hold what it should.
    """
    if connection.account_key:
        return _with_key(connection.account_key.reveal(environ), f"The value of {connection.account_key.env}")
    if connection.sas_token:
        return _with_sas(connection.sas_token.reveal(environ), f"The value of {connection.sas_token.env}")
    if connection.connection_string:
        return _with_string(connection, connection.connection_string.reveal(environ), connection.connection_string.env)
    config: AzureConfig = {"client_id": connection.client_id} if connection.client_id else {}
    if connection.tenant_id and connection.client_secret:
        config |= {
            "credential_type": "client_secret",
            "tenant_id": connection.tenant_id,
            "client_secret": connection.client_secret.reveal(environ),
            "authority_host": connection.authority_url or "https://login.microsoftonline.com",
        }
    elif environ.get("AZURE_FEDERATED_TOKEN_FILE"):  # set by AKS, together with tenant and client
        config["credential_type"] = "workload_identity"
    else:
        config["credential_type"] = "managed_identity"
        if endpoint := environ.get("IDENTITY_ENDPOINT"):  # set by App Service, Functions and Container Apps
            config["msi_endpoint"] = endpoint
    return SignIn(config)


def _with_key(key: str, source: str) -> SignIn:
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error:
        raise DeclarationError(f"{source} is no account key: it is not base64.", next_step="Copy the key once more.") from None
    return SignIn({"credential_type": "access_key", "account_key": key})


def _with_sas(token: str, source: str) -> SignIn:
    token = token.removeprefix("?")
    said = parse_qs(token)
    if "sig" not in said:
        raise DeclarationError(
            f"{source} is no shared access signature: it has no `sig`.", next_step="Copy the token: what follows the `?` of its URL."
        )
    return SignIn({"credential_type": "sas_token", "sas_key": token}, _expiry(said.get("se", [""])[0]))


def _expiry(text: str) -> datetime | None:
    """A token that a stored access policy limits does not tell its end."""
    try:
        ends = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ends if ends.tzinfo else ends.replace(tzinfo=UTC)


def _with_string(connection: AzureConnection, text: str, variable: str) -> SignIn:
    parts = (part.partition("=") for part in text.strip().split(";"))
    said = {name: value for name, _, value in parts}
    host = f"{connection.account}.blob.{said.get('EndpointSuffix', 'core.windows.net')}"
    endpoint = said.get("BlobEndpoint") or f"{said.get('DefaultEndpointsProtocol', 'https')}://{host}"
    if said.get("AccountName", connection.account) != connection.account:
        raise DeclarationError(
            f"The connection string in {variable} is of another account than {connection.account!r}.",
            next_step="Correct `account`, or the variable.",
        )
    if plain_endpoint(endpoint) != connection.blob_url:
        raise DeclarationError(
            f"The connection string in {variable} leads elsewhere than {connection.blob_url}.",
            next_step="Declare its blob endpoint as `endpoint_url`, or correct the variable.",
        )
    if key := said.get("AccountKey"):
        return _with_key(key, f"`AccountKey` in the value of {variable}")
    return _with_sas(said.get("SharedAccessSignature", ""), f"`SharedAccessSignature` in the value of {variable}")
