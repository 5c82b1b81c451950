"""Matched audiences of LinkedIn Ads, which its API calls DMP segments.

Facts: `DMP Segments`, `DMP Segment Users`, `DMP Segment Companies`, `DMP Segment Destinations` and the FAQ of
https://learn.microsoft.com/linkedin/marketing/matched-audiences. An audience is found by `sourceSegmentId`, which is indexed for that
and holds the audience's name as declared: renaming it in Campaign Manager does not lose it. LinkedIn asks to wait 5 seconds after it
was made; others report up to two minutes in which members are answered with 404 (Twilio Segment's open-source connector).

Not found: how long names may be; a way to read who is in an audience, or what became of a batch; whether the finder knows a segment at
once. Matching goes on for up to 48 hours after a delivery.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cdp_exports.destinations.audience import Answered, Batch, Change, Rejected
from cdp_exports.destinations.linkedin_api import LinkedInApi
from cdp_exports.destinations.linkedin_elements import company, user
from cdp_exports.destinations.linkedin_errors import body_of, code_of, strange
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.linkedin_capabilities import COMPANIES, CONTACTS
from cdp_exports.entities.linkedin_connection import LinkedInCompaniesConnection, LinkedInConnection
from cdp_exports.errors import DeclarationError, DestinationRefused, NotApplied, TransientError

SETTLES = 5.0
"""Seconds that LinkedIn asks to wait before a new audience gets members."""

_DEAD = frozenset({"FAILED", "ERROR", "EXPIRED"})  # no campaign may use it any more
_SCOPE = "rw_dmp_segments"


def open_linkedin(
    connection: LinkedInConnection,
    root: Path,
    environ: Mapping[str, str],
    patience: Patience | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> LinkedInDestination:
    """The destination of a connection of type `linkedin_contacts` or `linkedin_companies`. Nothing is sent yet.

    `patience.retry_for`: the longest that one call waits because LinkedIn asks it to.

    Raises:
        DeclarationError: httpx is not installed, a variable is not set.
    """
    try:
        import httpx  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise DeclarationError(
            "LinkedIn needs a package that is not installed.", next_step="Install it: pip install 'cdp-exports[linkedin]'."
        ) from None
    return LinkedInDestination(connection, environ, patience or Patience(), sleep)


class LinkedInDestination:
    """The audiences of an ad account, either those of people or those of companies."""

    def __init__(
        self, connection: LinkedInConnection, environ: Mapping[str, str], patience: Patience, sleep: Callable[[float], None]
    ) -> None:
        self._companies = isinstance(connection, LinkedInCompaniesConnection)
        self._account, self._platform = connection.account_id, connection.source_platform
        self._urn = f"urn:li:sponsoredAccount:{connection.account_id}"
        self._api = LinkedInApi(connection, environ, self.place, patience, sleep)
        self._segments: dict[str, str] = {}

    @property
    def capabilities(self) -> Capabilities:
        return COMPANIES if self._companies else CONTACTS

    @property
    def place(self) -> str:
        return f"linkedin://{self._account}/{'companies' if self._companies else 'contacts'}"

    @property
    def credentials_expire(self) -> datetime | None:
        """When a person must authorize again, as far as LinkedIn has said: after the first request with a refresh token."""
        return self._api.sign_in.expires_at

    def uri(self, audience: str) -> str:
        """The ad account in Campaign Manager; what stands behind # is for the reader."""
        return f"https://www.linkedin.com/campaignmanager/accounts/{self._account}#{quote(audience, safe='')}"

    def prepare(self, audience: str, *, create: bool = True) -> None:
        segment = self._find(audience)
        if segment is None and not create:
            raise DestinationRefused(
                f"{self.place}: the audience {audience!r} is no longer there.",
                next_step="Deliver in full, which makes a new one: `cdp-exports run EXPORT --full`.",
            )
        if segment is None:
            self._create(audience)
            self._api.sleep(SETTLES)
            segment = self._wait_for(audience)
        used: list[dict[str, Any]] = segment.get("destinations") or []
        if dead := _DEAD.intersection(str(one.get("status")) for one in used):
            raise DestinationRefused(
                f"{self.place}: LinkedIn no longer uses the audience {audience!r} (status {', '.join(sorted(dead))}).",
                next_step="Delete it in Campaign Manager, and deliver in full: a new one is made.",
            )
        self._segments[audience] = str(segment["id"])

    def send(self, audience: str, batch: Batch) -> Answered:
        if audience not in self._segments:
            self.prepare(audience)
        written = [self._written(change) for change in batch.changes]
        rejected = [Rejected(index, one) for index, one in enumerate(written) if isinstance(one, str)]
        sent = [(index, one) for index, one in enumerate(written) if not isinstance(one, str)]
        if sent:
            rejected += self._answers(audience, [index for index, _ in sent], [element for _, element in sent])
        return Answered(tuple(sorted(rejected, key=lambda one: one.index)))

    def outcome(self, audience: str, batch: Batch) -> Answered | None:
        return None

    def probe(self) -> None:
        scopes = self._api.sign_in.scopes()
        if scopes is not None and _SCOPE not in scopes:
            raise DestinationRefused(
                f"{self.place}: the access token lacks the scope {_SCOPE}.",
                next_step="Authorize again with it; LinkedIn grants it to members of its Audiences program.",
            )
        finder = {"q": "authenticatedUser"}
        role = next((str(one.get("role")) for one in self._api.found("adAccountUsers", finder) if one.get("account") == self._urn), None)
        if role is None:
            raise DestinationRefused(
                f"{self.place}: the member who authorized the application has no role in this ad account.",
                next_step="Correct `account_id`, or give the member a role in Campaign Manager.",
            )
        if role == "VIEWER":
            raise DestinationRefused(
                f"{self.place}: the member who authorized the application may only view this ad account.",
                next_step="Give the member another role than Viewer in Campaign Manager.",
            )
        next(self._api.found("dmpSegments", {"q": "account", "account": self._urn}), None)

    def _written(self, change: Change) -> dict[str, Any] | str:
        return company(change) if self._companies else user(change)

    def _answers(self, audience: str, indexes: list[int], elements: list[dict[str, Any]]) -> list[Rejected]:
        resource = f"dmpSegments/{self._segments[audience]}/{'companies' if self._companies else 'users'}"
        try:
            answer = self._api.request("POST", resource, body={"elements": elements}, batch=True)
        except NotApplied:
            self._segments.pop(audience, None)  # it may be another by the next time
            raise
        said: list[dict[str, Any]] = body_of(answer, self.place, certain=False).get("elements") or []
        statuses = [one.get("status") for one in said]
        if len(said) != len(elements) or not all(isinstance(status, int) for status in statuses):
            raise strange(self.place, certain=False)
        if all(status == 429 or status >= 500 for status in statuses if isinstance(status, int)):
            raise TransientError(f"{self.place}: LinkedIn failed for every member of a batch.", next_step="Run it again.")
        return [
            Rejected(index, _reason(one, status))
            for index, one, status in zip(indexes, said, statuses, strict=True)
            if isinstance(status, int) and not 200 <= status < 300
        ]

    def _find(self, audience: str) -> dict[str, Any] | None:
        """Where two were made at the same time, the older one: all deliveries agree on it."""
        finder = {"q": "account", "account": self._urn, "sourceSegmentId": audience, "sourcePlatform": self._platform}
        ours = [
            one
            for one in self._api.found("dmpSegments", finder)
            if one.get("type") == self._kind and one.get("sourceSegmentId", audience) == audience
        ]
        return min(ours, key=lambda one: int(one["id"]), default=None)

    def _create(self, audience: str) -> None:
        body = {
            "name": audience,
            "sourcePlatform": self._platform,
            "sourceSegmentId": audience,
            "account": self._urn,
            "type": self._kind,
            "destinations": [{"destination": "LINKEDIN"}],
        }
        self._api.request("POST", "dmpSegments", body=body)

    def _wait_for(self, audience: str) -> dict[str, Any]:
        waited = 0.0
        while (segment := self._find(audience)) is None:
            if waited >= self._api.patience.retry_for:
                raise NotApplied(f"{self.place}: LinkedIn has not made the audience {audience!r} yet.", next_step="Run it again.")
            self._api.sleep(SETTLES)
            waited += SETTLES
        return segment

    @property
    def _kind(self) -> str:
        return "COMPANY" if self._companies else "USER"


def _reason(said: dict[str, Any], status: int) -> str:
    code = code_of(said.get("error") or {}).lower()
    return (f"error_{code}" if code.isdigit() else code) or f"status_{status}"
