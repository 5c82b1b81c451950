"""Signed requests to an HTTP endpoint, and how long they wait."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cdp_exports.destinations import http_errors
from cdp_exports.destinations.http_wire import Signer
from cdp_exports.errors import NotApplied, TransientError

if TYPE_CHECKING:
    import httpx

ANSWER_MAX = 8 << 20
"""Bytes of the longest answer that is read."""

_BUSY = (408, 425, 429)  # the request was not processed: RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4


@dataclass(frozen=True)
class Patience:
    """Times in seconds. `wait`: how long, all in all, one batch waits for an endpoint that says it is busy."""

    connect: float = 10
    answer: float = 60
    wait: float = 120


@dataclass(frozen=True)
class Reply:
    """A successful answer; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Requests:
    """Each goes over a connection of its own, and no redirect is followed.

    A connection kept open could be closed by the other side just when a batch leaves, and nobody would know what became of it.
    `place` names the endpoint in errors; `credentials` are headers.
    """

    place: str
    signer: Signer = field(repr=False)
    credentials: Mapping[str, str] = field(repr=False)
    trusted: ssl.SSLContext
    patience: Patience

    def ask(self, method: Literal["GET", "POST"], url: str, key: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer, once the endpoint is not busy any more.

        Raises:
            DestinationRefused: certain that nothing was applied, and trying again cannot help.
            NotApplied: certain that nothing was applied, may pass.
            TransientError: nobody knows.
        """
        left = self.patience.wait
        seconds = 0.25
        while True:
            reply = self._once(method, url, key, body, headers)
            asked = http_errors.pause(reply.headers)
            # a proxy whose endpoint broke down in the middle answers 503 too, but without a time
            busy = reply.status in _BUSY or (reply.status == 503 and asked is not None)
            unfinished = reply.status == 409 and asked is not None  # the same batch is still being processed
            if not busy and not unfinished:
                break
            wait = max(seconds, asked or 0)
            if wait > left:
                kind = NotApplied if busy else TransientError
                raise kind(
                    f"{self.place} is busy (HTTP {reply.status}) and wants {wait:.0f} more seconds.",
                    next_step="Run it again later; if it stays, ask who runs the endpoint for a higher rate.",
                )
            time.sleep(wait)
            left -= wait
            seconds *= 2
        if reply.status not in range(200, 300):
            raise http_errors.refusal(reply.status, self.place)
        return reply

    def _once(self, method: str, url: str, key: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        import httpx

        sent = {
            "User-Agent": "cdp-exports",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **headers,
            **self.credentials,
            **self.signer.headers(key, int(time.time()), body),
        }
        try:
            with self._client(url) as client, client.stream(method, url, content=body, headers=sent) as response:
                content = self._content(response) if response.is_success else b""
                return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, content)
        except httpx.TransportError as error:
            raise http_errors.untaken(error, self.place) from None

    def _client(self, url: str) -> httpx.Client:
        import httpx

        timeout = httpx.Timeout(self.patience.answer, connect=self.patience.connect)
        # what is not encrypted goes to this machine itself, never through the environment's proxy
        proxies = url.startswith("https:")
        try:
            return httpx.Client(verify=self.trusted, timeout=timeout, trust_env=proxies, follow_redirects=False)
        except (ValueError, ImportError, httpx.InvalidURL):  # the message may quote the proxy's password
            raise http_errors.no_proxy(self.place) from None

    def _content(self, response: httpx.Response) -> bytes:
        """All of it. An answer that says nothing of its length and holds nothing may have been cut."""
        deadline = time.monotonic() + self.patience.answer
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > ANSWER_MAX or time.monotonic() > deadline:
                raise http_errors.unreadable(self.place)
        framed = response.status_code == 204 or "content-length" in response.headers or "transfer-encoding" in response.headers
        if not content and not framed:
            raise http_errors.unreadable(self.place)
        return bytes(content)
