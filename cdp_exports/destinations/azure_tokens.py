"""Access tokens of Microsoft Entra ID, for service principals, workload identities and managed identities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from cdp_exports.destinations.azure_errors import ANSWERS
from cdp_exports.destinations.http_session import http_session
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.store_errors import lost
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

if TYPE_CHECKING:
    from obstore.store import AzureBearerToken
    from requests import Response, Session

_RESOURCE = "https://storage.azure.com"
_PUBLIC_CLOUD = "https://login.microsoftonline.com"
_MACHINES_OWN = "http://169.254.169.254/metadata/identity/oauth2/token"  # the same in every virtual machine, cluster and cloud
_RENEWED_BEFORE = timedelta(minutes=10)  # longer than any request

Ask = Callable[["Session", float], "Response"]
"""Asks for a token; the number is how many seconds to wait."""


def of_principal(tenant_id: str, client_id: str, secret: Mapping[str, str], authority: str | None) -> Ask:
    """`secret`: what proves who asks, as its form fields.
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
    """
    url = f"{(authority or _PUBLIC_CLOUD).rstrip('/')}/{tenant_id}/oauth2/v2.0/token"
    said = {"client_id": client_id, "scope": f"{_RESOURCE}/.default", "grant_type": "client_credentials", **secret}
    return lambda session, patience: session.post(url, data=said, timeout=patience, allow_redirects=False)


def of_workload(tenant_id: str, client_id: str, file: Path, authority: str | None) -> Ask:
    """The cluster keeps a fresh assertion in a file."""

    def ask(session: Session, patience: float) -> Response:
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        proof = {"client_assertion_type": kind, "client_assertion": file.read_text().strip()}
        return of_principal(tenant_id, client_id, proof, authority)(session, patience)

    return ask


def of_machine(client_id: str | None, environ: Mapping[str, str]) -> Ask:
    """App Service, Functions and Container Apps name a place of their own to ask.
    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token.
    """
    if endpoint := environ.get("IDENTITY_ENDPOINT"):
        url, version, headers = endpoint, "2019-08-01", {"X-IDENTITY-HEADER": environ.get("IDENTITY_HEADER", "")}
    else:
        url, version, headers = _MACHINES_OWN, "2018-02-01", {"Metadata": "true"}
    query = {"api-version": version, "resource": _RESOURCE, **({"client_id": client_id} if client_id else {})}
    # a proxy could take the identity for its own
    return lambda session, patience: session.get(
        url, params=query, headers=headers, timeout=patience, allow_redirects=False, proxies={"http": "", "https": ""}
    )


@dataclass
class Tokens:
    """Gives tokens, renewed before they expire. Keeps why it could not: obstore reports that in words only."""

    ask: Ask
    place: str
    patience: Patience
    failure: CdpExportsError | None = None
    _token: AzureBearerToken | None = None
    _lock: Lock = field(default_factory=Lock)

    def __call__(self) -> AzureBearerToken:
        """Raises DestinationRefused or TransientError."""
        with self._lock:
            if self._token is None or (ends := self._token["expires_at"]) is None or ends < datetime.now(UTC) + _RENEWED_BEFORE:
                self.failure = None
                try:
                    self._token = self._fetch()
                except CdpExportsError as error:
                    self.failure = error
                    raise
            return self._token

    def _fetch(self) -> AzureBearerToken:
        import requests

        try:
            with http_session(self.patience.retries) as session:
                reply = self.ask(session, self.patience.connect)
        except requests.RequestException:
            raise TransientError(
                f"No access token could be fetched for {self.place}: nobody answered.",
                next_step="Run it again; if it stays, check `authority_url` and the network, or name another way to sign in.",
            ) from None
        except OSError as error:
            raise DestinationRefused(
                f"The workload identity's token for {self.place} could not be read: {error.strerror}.",
                next_step="Check AZURE_FEDERATED_TOKEN_FILE.",
            ) from None
        if reply.status_code != 200:
            raise ANSWERS.of_reply(reply.status_code, reply.text, self.place)
        try:
            said = reply.json()
            lives = timedelta(seconds=int(said["expires_in"]))
            return {"token": str(said["access_token"]), "expires_at": datetime.now(UTC) + lives}
        except (ValueError, KeyError, TypeError):  # something between answers for it
            raise lost(self.place) from None
