"""Access tokens for LinkedIn.

Facts: https://learn.microsoft.com/linkedin/shared/authentication/programmatic-refresh-tokens (a refresh token is valid for a year
from its first authorization, using it does not lengthen that; an access token for 60 days), `.../token-introspection`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from cdp_exports.destinations.linkedin_errors import asked_to_wait, body_of, error_word, sending, strange
from cdp_exports.entities.linkedin_connection import LinkedInConnection
from cdp_exports.errors import DestinationRefused, NotApplied

if TYPE_CHECKING:
    import httpx

_PUBLIC = "https://www.linkedin.com"


class SignIn:
    """The access token of a connection: the declared one, or one made from the refresh token when it is first needed."""

    def __init__(self, connection: LinkedInConnection, environ: Mapping[str, str], client: httpx.Client, place: str) -> None:
        self._client, self._place = client, place
        self._address = f"{(connection.endpoint_url or _PUBLIC).rstrip('/')}/oauth/v2"
        self._token = connection.access_token.reveal(environ) if connection.access_token else None
        self._renewal: dict[str, str] | None = None
        if connection.client_id and connection.client_secret and connection.refresh_token:
            self._renewal = {
                "grant_type": "refresh_token",
                "refresh_token": connection.refresh_token.reveal(environ),
                "client_id": connection.client_id.reveal(environ),
                "client_secret": connection.client_secret.reveal(environ),
            }
        self._lock = Lock()
        self.expires_at: datetime | None = None
        """When a person must authorize again, once LinkedIn has said so."""

    def token(self) -> str:
        """The access token.

        Raises:
            DestinationRefused: the refresh token is not accepted.
            NotApplied: LinkedIn gave none now.
        """
        with self._lock:
            self._token = self._token or self._renewed()
            return self._token

    def refused(self, token: str) -> None:
        """LinkedIn did not accept this one: the next will be another.

        Raises:
            DestinationRefused: there is nothing to make another from.
        """
        with self._lock:
            if self._renewal is None:
                raise DestinationRefused(
                    f"{self._place}: LinkedIn does not accept the access token; it has expired or was revoked.",
                    next_step="Authorize again, and put the new token where `access_token` points.",
                )
            if self._token == token:  # else another thread has been here
                self._token = None

    def scopes(self) -> frozenset[str] | None:
        """What the access token allows. None: only an application's own client id can ask.

        Raises:
            NotApplied: LinkedIn did not say now.
        """
        token = self.token()
        if self._renewal is None:
            return None
        keys = {"client_id": self._renewal["client_id"], "client_secret": self._renewal["client_secret"]}
        said = self._ask("introspectToken", {**keys, "token": token})
        if said.get("active") is False:
            self.refused(token)
        return frozenset(str(said.get("scope", "")).replace(",", " ").split()) or None

    def _renewed(self) -> str:
        assert self._renewal is not None
        said = self._ask("accessToken", self._renewal)
        seconds = said.get("refresh_token_expires_in")
        if isinstance(seconds, int):
            self.expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        token = said.get("access_token")
        if not isinstance(token, str) or not token:
            raise strange(self._place)
        return token

    def _ask(self, verb: str, form: Mapping[str, str]) -> dict[str, Any]:
        with sending(self._place, certain=True):
            answer = self._client.post(f"{self._address}/{verb}", data=form)
        if answer.is_success:
            return body_of(answer, self._place)
        if answer.status_code == 429 or answer.status_code >= 500:
            wait = asked_to_wait(answer)
            after = f" in {wait:.0f} s" if wait else ""
            raise NotApplied(
                f"{self._place}: LinkedIn gives no access token now (HTTP {answer.status_code}).", next_step=f"Run it again{after}."
            )
        error = error_word(answer)
        if error == "invalid_grant":
            raise DestinationRefused(
                f"{self._place}: the refresh token has expired or was revoked.",
                next_step="Authorize again, and put the new token where `refresh_token` points.",
            )
        if error in ("invalid_client", "invalid_client_id", "unauthorized_client"):
            raise DestinationRefused(
                f"{self._place}: LinkedIn does not know the application, or its secret is another.",
                next_step="Correct `client_id` and `client_secret`.",
            )
        raise DestinationRefused(
            f"{self._place}: LinkedIn refused to sign in (HTTP {answer.status_code}).",
            next_step="Check `client_id`, `client_secret` and `refresh_token`, and `endpoint_url` if it is declared.",
        )
