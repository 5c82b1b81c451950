"""How an Azure connection signs in. What obstore is not told, it would take from the environment."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cdp_exports.destinations.azure_errors import EXPIRED
from cdp_exports.destinations.azure_tokens import Ask, Tokens, of_machine, of_principal, of_workload
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.store_errors import refused
from cdp_exports.entities.azure_connection import AzureConnection
from cdp_exports.entities.store_address import plain_endpoint
from cdp_exports.errors import CdpExportsError, DeclarationError

if TYPE_CHECKING:
    from obstore.store import AzureConfig


class SignIn(Protocol):
    """Tells obstore how to sign in, and signs the requests that it does not make."""

    @property
    def config(self) -> AzureConfig: ...

    @property
    def tokens(self) -> Tokens | None: ...

    @property
    def expires(self) -> datetime | None: ...

    def failure(self, place: str) -> CdpExportsError | None:
        """What is wrong with it by now, whatever a store answers."""
        ...

    def sign(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """The URL and the headers of a signed request."""
        ...


class AccountKey:
    """A key of the account, in base64: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key."""

    tokens = None
    expires = None

    def __init__(self, account: str, key: str) -> None:
        self._account, self._key = account, base64.b64decode(key)
        self.config: AzureConfig = {"credential_type": "access_key", "account_key": key}

    def failure(self, place: str) -> None:
        return None

    def sign(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        said = {name.lower(): value for name, value in headers.items()}
        length = said.get("content-length", "0")
        lines = [method, "", "", "" if length == "0" else length, said.get("content-md5", ""), said.get("content-type", ""), *[""] * 6]
        lines += [f"{name}:{said[name]}" for name in sorted(said) if name.startswith("x-ms-")]
        asked = urlsplit(url)
        lines.append(f"/{self._account}{asked.path}")
        lines += [f"{name}:{value}" for name, value in sorted(parse_qsl(asked.query, keep_blank_values=True))]
        signature = base64.b64encode(hmac.new(self._key, "\n".join(lines).encode(), hashlib.sha256).digest()).decode()
        return url, {**headers, "Authorization": f"SharedKey {self._account}:{signature}"}


class SharedAccess:
    """A shared access signature."""

    tokens = None

    def __init__(self, query: str, expires: datetime | None) -> None:
        self._query, self.expires = query, expires
        self.config: AzureConfig = {"credential_type": "sas_token", "sas_key": query}

    def failure(self, place: str) -> CdpExportsError | None:
        return refused(EXPIRED, place) if self.expires and self.expires < datetime.now(UTC) else None

    def sign(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        return f"{url}{'&' if '?' in url else '?'}{self._query}", dict(headers)


class Bearer:
    """Tokens of a principal or an identity."""

    expires = None  # they are renewed

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.config: AzureConfig = {}

    def failure(self, place: str) -> CdpExportsError | None:
        return self.tokens.failure

    def sign(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        return url, {**headers, "Authorization": f"Bearer {self.tokens()['token']}"}


def sign_in(connection: AzureConnection, environ: Mapping[str, str], patience: Patience, place: str) -> SignIn:
    """Nothing is sent yet.

    Raises:
        DeclarationError: a variable is not set or does not hold what it should.
    """
    if connection.account_key:
        key = connection.account_key
        return _with_key(connection.account, key.reveal(environ), f"The value of {key.env}")
    if connection.sas_token:
        return _with_sas(connection.sas_token.reveal(environ), f"The value of {connection.sas_token.env}")
    if connection.connection_string:
        return _with_string(connection, connection.connection_string.reveal(environ), connection.connection_string.env)
    return Bearer(Tokens(_asking(connection, environ), place, patience))


def _asking(connection: AzureConnection, environ: Mapping[str, str]) -> Ask:
    if connection.tenant_id and connection.client_id and connection.client_secret:
        secret = {"client_secret": connection.client_secret.reveal(environ)}
        return of_principal(connection.tenant_id, connection.client_id, secret, connection.authority_url)
    if file := environ.get("AZURE_FEDERATED_TOKEN_FILE"):  # set by AKS, together with tenant and client
        client_id = connection.client_id or environ.get("AZURE_CLIENT_ID")
        tenant_id = environ.get("AZURE_TENANT_ID")
        if not client_id or not tenant_id:
            raise DeclarationError(
                "AZURE_FEDERATED_TOKEN_FILE is set, but not AZURE_TENANT_ID or AZURE_CLIENT_ID.",
                next_step="Set all three, as AKS does, or none.",
            )
        return of_workload(tenant_id, client_id, Path(file), environ.get("AZURE_AUTHORITY_HOST"))
    return of_machine(connection.client_id, environ)


def _with_key(account: str, key: str, source: str) -> AccountKey:
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error:
        raise DeclarationError(f"{source} is no account key: it is not base64.", next_step="Copy the key once more.") from None
    return AccountKey(account, key)


def _with_sas(token: str, source: str) -> SharedAccess:
    token = token.removeprefix("?")
    said = parse_qs(token)
    if "sig" not in said:
        raise DeclarationError(
            f"{source} is no shared access signature: it has no `sig`.", next_step="Copy the token: what follows the `?` of its URL."
        )
    return SharedAccess(token, _expiry(said.get("se", [""])[0]))


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
        return _with_key(connection.account, key, f"`AccountKey` in the value of {variable}")
    return _with_sas(said.get("SharedAccessSignature", ""), f"`SharedAccessSignature` in the value of {variable}")
