"""LinkedIn's Marketing API: signed requests, repeated as long as it asks.

Facts: https://learn.microsoft.com/linkedin/marketing/versioning (base path `/rest`, header `LinkedIn-Version`, never a default),
`DMP Segments` (header `X-Restli-Protocol-Version: 2.0.0`), `DMP Segment Users` (600 requests a minute, companies 300; then 429).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from weakref import finalize

from cdp_exports.destinations.linkedin_errors import asked_to_wait, body_of, refusal, sending
from cdp_exports.destinations.linkedin_sign_in import SignIn
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.linkedin_connection import LinkedInConnection
from cdp_exports.errors import DestinationRefused, NotApplied

if TYPE_CHECKING:
    import httpx

_PUBLIC = "https://api.linkedin.com"
_PAGE = 100
_PAUSES = (2.0, 5.0, 10.0, 20.0, 30.0)  # seconds, where LinkedIn does not say how long


class LinkedInApi:
    """The requests of one connection. `sleep`: waits so many seconds."""

    def __init__(
        self,
        connection: LinkedInConnection,
        environ: Mapping[str, str],
        place: str,
        patience: Patience,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.patience, self.sleep = patience, sleep
        self._place, self._version = place, connection.api_version
        self._address = f"{(connection.endpoint_url or _PUBLIC).rstrip('/')}/rest"
        self._client = httpx.Client(timeout=httpx.Timeout(patience.request, connect=patience.connect))
        finalize(self, self._client.close)
        self.sign_in = SignIn(connection, environ, self._client, place)

    def found(self, resource: str, finder: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """All that a finder finds, page by page."""
        start = 0
        while True:
            query = {**finder, "start": str(start), "count": str(_PAGE)}
            said = body_of(self.request("GET", resource, query=query), self._place)
            elements: list[dict[str, Any]] = said.get("elements") or []
            yield from elements
            start += len(elements)
            paging: dict[str, Any] = said.get("paging") or {}
            total = paging.get("total")
            if not elements or (start >= total if isinstance(total, int) else len(elements) < _PAGE):
                return

    def request(
        self,
        method: str,
        resource: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        batch: bool = False,
    ) -> httpx.Response:
        """One request that succeeded. `batch`: it changes members, so that a lost answer leaves doubt; and a segment that is not
        found is one that was just made.

        Raises:
            DestinationRefused, NotApplied, TransientError: see AudienceDestination.send.
        """
        address = f"{self._address}/{resource}"
        if query:  # to Rest.li ( ) , ' : have a meaning of their own
            address += "?" + urlencode(query, quote_via=quote, safe="")
        waited, turns, renewed = 0.0, 0, False
        while True:
            token = self.sign_in.token()
            with sending(self._place, certain=not batch):
                answer = self._client.request(method, address, json=body, headers=self._headers(token, batch=batch))
            if answer.is_success:
                return answer
            if answer.status_code == 401:
                if renewed:
                    raise DestinationRefused(
                        f"{self._place}: LinkedIn does not accept the access token it has just given.",
                        next_step="Check the application's state in LinkedIn's developer portal, and authorize again.",
                    )
                self.sign_in.refused(token)
                renewed = True
                continue
            if answer.status_code != 429 and not (batch and answer.status_code == 404):
                raise refusal(answer, self._place, self._version, certain=not batch)
            asked = asked_to_wait(answer)
            pause = asked if asked is not None else _PAUSES[min(turns, len(_PAUSES) - 1)]
            if waited + pause > self.patience.retry_for:
                raise self._impatient(answer.status_code, asked)
            self.sleep(pause)
            waited, turns = waited + pause, turns + 1

    def _headers(self, token: str, *, batch: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}", "LinkedIn-Version": self._version, "X-Restli-Protocol-Version": "2.0.0"}
        return {**headers, "X-RestLi-Method": "BATCH_CREATE"} if batch else headers

    def _impatient(self, status: int, asked: float | None) -> NotApplied:
        if status == 404:
            return NotApplied(
                f"{self._place}: the audience takes no members: it was just made, or someone deleted it.", next_step="Run it again."
            )
        when = f"in {asked:.0f} s" if asked else "later"
        return NotApplied(
            f"{self._place}: LinkedIn's limit of requests is reached.",
            next_step=f"Run it again {when}; daily limits start again at midnight UTC. The developer portal shows them, under Analytics.",
        )
