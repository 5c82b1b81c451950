"""Credentials of a Google Cloud Storage connection: a service account's key, or what the machine offers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from obstore.store import GCSCredential

_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
_RENEWED_BEFORE = timedelta(minutes=10)  # longer than any request


class Tokens:
    """Gives access tokens, renewed before they expire. Keeps why it could not: obstore reports that in words only.

    Raises:
        DeclarationError: google-auth is not installed, the variable is not set or holds no service account's key.
    """

    def __init__(self, connection: GcsConnection, environ: Mapping[str, str]) -> None:
        if not all(find_spec(package) for package in ("google", "google.auth", "google_crc32c")):
            raise DeclarationError(
                "Google Cloud Storage connections need google-auth and google-crc32c.",
                next_step="Install them: pip install 'cdp-exports[gcs]'.",
            )
        self.failure: Exception | None = None
        self._lock = Lock()
        secret = connection.service_account_key
        self._credentials = _of_key(secret.reveal(environ), secret.env) if secret else None

    def __call__(self) -> GCSCredential:
        with self._lock:
            self.failure = None
            try:
                return self._fresh()
            except Exception as error:
                self.failure = error
                raise

    def _fresh(self) -> GCSCredential:
        import google.auth
        from google.auth.transport.requests import Request

        if self._credentials is None:
            self._credentials = cast("Credentials", google.auth.default(scopes=_SCOPES)[0])
        if not self._credentials.token or _end(self._credentials) < datetime.now(UTC) + _RENEWED_BEFORE:
            self._credentials.refresh(Request())
        return {"token": str(self._credentials.token), "expires_at": _end(self._credentials)}


def _of_key(text: str, variable: str) -> Credentials:
    from google.oauth2.service_account import Credentials

    try:
        key: dict[str, Any] = json.loads(text)
        return Credentials.from_service_account_info(key, scopes=_SCOPES)
    except (ValueError, TypeError, AttributeError):  # the message may quote the key
        raise DeclarationError(
            f"The value of {variable} is no service account's key.",
            next_step="Put the whole JSON text of the key file there; for other kinds of credentials leave `service_account_key` out.",
        ) from None


def _end(credentials: Credentials) -> datetime:
    """google-auth keeps the time in UTC without saying so."""
    return credentials.expiry.replace(tzinfo=UTC) if credentials.expiry else datetime.now(UTC) + 2 * _RENEWED_BEFORE
