"""An HTTP endpoint as an audience destination."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from cdp_exports.destinations import http_errors, http_wire
from cdp_exports.destinations.audience import Answered, Batch
from cdp_exports.destinations.http_requests import Patience, Reply, Requests
from cdp_exports.entities.capabilities import Capabilities, Repeat
from cdp_exports.entities.http_connection import HTTP, HttpConnection
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import plain_endpoint
from cdp_exports.errors import DeclarationError, DestinationRefused, NotApplied, TransientError

TOLERANCE = 300
"""Seconds that clocks may differ, as the libraries of Standard Webhooks have it."""

PATIENT = Patience()


@dataclass(frozen=True)
class HttpDestination:
    """Each batch is one signed request, each answer says who was not taken."""

    connection: HttpConnection
    requests: Requests = field(repr=False)  # it has the secrets

    @property
    def capabilities(self) -> Capabilities:
        assert HTTP.members
        members = replace(HTTP.members, batch_max=self.connection.batch_rows, repeat=Repeat(self.connection.repeat))
        return replace(HTTP, members=members)

    @property
    def place(self) -> str:
        return self.requests.place

    def uri(self, audience: str) -> str:
        return f"{self.place}#{quote(audience, safe='')}"

    def prepare(self, audience: str, *, create: bool = True) -> None:
        """Ping the endpoint in the audience's name; it answers 410 where it knows that the audience is gone."""
        self._ping({"audience": audience, "create": create})

    def send(self, audience: str, batch: Batch) -> Answered:
        try:
            body = http_wire.written({"type": "audience.changed", "audience": audience}, batch.changes, self.connection.format)
        except ValueError:  # the message quotes the value
            raise DestinationRefused(
                "A value is NaN or infinite, for which JSON has no word.", next_step="Map the field so that it is null or text then."
            ) from None
        reply = self._post(batch.key, body)
        try:
            return Answered(http_wire.rejected(reply.content, batch.changes))
        except http_wire.Unreadable:
            raise http_errors.unreadable(self.place) from None

    def outcome(self, audience: str, batch: Batch) -> Answered | None:
        """Asks `outcome_url`. That this very question was not answered is never NotApplied, only TransientError."""
        if self.connection.outcome_url is None:
            return None
        url = self.connection.outcome_url.replace("{key}", quote(batch.key, safe=""))
        try:
            reply = self.requests.ask("GET", url, batch.key, b"", {})
        except NotApplied as busy:
            raise TransientError(busy.message, next_step=busy.next_step) from None
        try:
            rejected = http_wire.outcome(reply.content, batch.changes or None)
        except http_wire.Unreadable:
            raise http_errors.unreadable(self.place) from None
        if rejected is None:
            raise NotApplied(f"{self.place} says that it did not apply the batch.", next_step="Run it again.")
        return Answered(rejected)

    def probe(self) -> None:
        reply = self._ping({})
        there = http_errors.date(reply.headers.get("date", ""))
        ahead = (datetime.now(UTC) - there).total_seconds() if there else 0
        if abs(ahead) > TOLERANCE:
            raise DestinationRefused(
                f"This machine's clock is {abs(ahead) / 60:.0f} minutes {'ahead of' if ahead > 0 else 'behind'} that of {self.place}.",
                next_step="Set the clock: endpoints refuse signatures that are more than five minutes off.",
            )
        if self.connection.outcome_url:
            self._knows_nothing_of_what_was_not_sent()

    def _knows_nothing_of_what_was_not_sent(self) -> None:
        try:
            self.outcome("", Batch(f"ping-{uuid.uuid4()}", ()))
        except NotApplied:
            return
        raise DestinationRefused(
            f"{self.connection.outcome_url} says that a batch was applied which was never sent.",
            next_step='Ask who runs the endpoint: for a key that it does not know the answer is {"applied": false}.',
        )

    def _ping(self, about: Mapping[str, object]) -> Reply:
        reply = self._post(f"ping-{uuid.uuid4()}", http_wire.written({"type": "ping", **about}, (), self.connection.format))
        try:
            http_wire.rejected(reply.content, ())
        except http_wire.Unreadable:
            raise http_errors.unreadable(self.place) from None
        return reply

    def _post(self, key: str, body: bytes) -> Reply:
        headers = {"Content-Type": http_wire.CONTENT_TYPES[self.connection.format], "Idempotency-Key": key}
        if self.connection.compression == "gzip":
            body, headers["Content-Encoding"] = http_wire.compressed(body), "gzip"
        return self.requests.ask("POST", self.connection.url, key, body, headers)


def open_http(connection: HttpConnection, root: Path, environ: Mapping[str, str], patience: Patience = PATIENT) -> HttpDestination:
    """The destination of a connection. Nothing is sent yet.

    Raises:
        DeclarationError: httpx is not installed, a secret is not set or is none, `ca_file` holds no certificate.
    """
    if find_spec("httpx") is None:
        raise DeclarationError("HTTP endpoints need httpx.", next_step="Install it: pip install 'cdp-exports[http]'.")
    secrets = [secret for secret in (connection.signing_secret, connection.old_signing_secret) if secret]
    credentials = {name: _header(secret, environ) for name, secret in connection.headers.items()}
    if connection.bearer_token:
        credentials["Authorization"] = f"Bearer {_header(connection.bearer_token, environ)}"
    return HttpDestination(
        connection,
        Requests(
            place=plain_endpoint(connection.url),
            signer=http_wire.Signer([_signing(secret, environ) for secret in secrets]),
            credentials=credentials,
            trusted=_trusted(connection, root),
            patience=patience,
        ),
    )


def _signing(secret: Secret, environ: Mapping[str, str]) -> bytes:
    found = http_wire.secret_of(secret.reveal(environ))
    if found is None:
        raise DeclarationError(
            f"The value of {secret.env} is no signing secret.",
            next_step="Write `whsec_` and the base64 of 24 to 64 random bytes: echo whsec_$(openssl rand -base64 32)",
        )
    return found


def _header(secret: Secret, environ: Mapping[str, str]) -> str:
    value = secret.reveal(environ)
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise DeclarationError(
            f"The value of {secret.env} cannot be sent in a header.",
            next_step="Take out line breaks, spaces at its ends, and characters that are not ASCII.",
        )
    return value


def _trusted(connection: HttpConnection, root: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=root / connection.ca_file if connection.ca_file else None)
    except (OSError, ssl.SSLError):
        raise DeclarationError(
            f"`ca_file` {connection.ca_file} cannot be read as certificates.",
            next_step="Name a PEM file with the certificates of the authorities that are trusted.",
        ) from None
