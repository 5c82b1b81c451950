"""What LinkedIn knows and keeps: accounts, tokens, DMP segments and who is in them, by its published contract.

Pages of https://learn.microsoft.com/linkedin: marketing/matched-audiences (DMP Segments, Users, Companies, Destinations),
marketing/versioning, shared/authentication (programmatic refresh tokens, token introspection), shared/api-guide (errors, rate limits).
It shares no code with what it tests.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from threading import RLock
from typing import Any
from urllib.parse import parse_qs

Said = tuple[int, dict[str, str], dict[str, Any] | None]
"""Status, headers, JSON."""

Identity = frozenset[tuple[str, str]]
"""What was sent to tell a member: (idType, idValue) of people, (field, value) of companies and of names."""

ACCOUNT, VIEWED = "502840441", "502840442"
CLIENT, SECRET, REFRESH, PLATFORM = "78lk-client", "WPL_AP1.client-secret", "AQX-refresh-token-of-the-tests", "ACME_CDP"
ACCESS = "AQV-access-token-of-the-tests"
SCOPES = "rw_dmp_segments,rw_ads"
VERSIONS = frozenset({"202601", "202602", "202603", "202604", "202605", "202606", "202607"})

_SHA256, _SHA512, _UUID = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{128}"), re.compile(r"[0-9a-f-]{32,36}")
_IDS = {"SHA256_EMAIL": _SHA256, "SHA512_EMAIL": _SHA512, "GOOGLE_AID": _UUID}
_USER = {"action", "userIds", "firstName", "lastName", "title", "company", "country"}
_LONGEST = {"firstName": 35, "lastName": 35, "title": 50, "company": 50, "country": 2}
_COMPANY = {"companyName", "companyWebsiteDomain", "companyEmailDomain", "companyPageUrl", "organizationUrn", "stockSymbol"}


@dataclass
class Segment:
    id: int
    name: str
    kind: str  # USER, COMPANY
    account: str
    platform: str
    source_id: str
    status: str = "BUILDING"
    unseen: int = 0  # calls for members that still answer 404
    members: dict[Identity, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    """A request for members that was applied, repeated ones too."""

    audience: str
    elements: tuple[dict[str, Any], ...]


@dataclass
class Book:
    """Attributes may be changed by tests at any time."""

    url: str = ""
    roles: dict[str, str] = field(default_factory=lambda: {ACCOUNT: "CAMPAIGN_MANAGER", VIEWED: "VIEWER"})
    tokens: dict[str, str] = field(default_factory=lambda: {ACCESS: SCOPES})  # scopes by access token
    granted: str = SCOPES  # scopes of what the refresh token gives
    refresh_days: float = 365
    unseen: int = 0  # how often a new segment answers 404 for members, as it does for a minute or two
    unlisted: int = 0  # how often the finder does not know a new segment
    rejects: dict[str, dict[str, Any]] = field(default_factory=dict)  # by a value of the element: its error
    quota: int | None = None  # requests for members until 429
    retry_after: str | None = "1"
    segments: list[Segment] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    renewals: int = 0
    lock: RLock = field(default_factory=RLock)

    def held(self, audience: str, kind: str = "USER") -> dict[Identity, dict[str, Any]]:
        """Who is in an audience now: their elements by identity."""
        with self.lock:
            return {
                identity: said
                for one in self.segments
                if (one.source_id, one.kind) == (audience, kind)
                for identity, said in one.members.items()
            }

    def values(self, audience: str, name: str = "SHA256_EMAIL", kind: str = "USER") -> set[str]:
        """The values of one kind of id, or field, of all who are in an audience now."""
        return {value for identity in self.held(audience, kind) for said, value in identity if said == name}

    def expire_tokens(self) -> None:
        with self.lock:
            self.tokens.clear()

    def answer(self, method: str, path: str, query: str, headers: dict[str, str], body: Any) -> Said:
        with self.lock:
            if path.startswith("/oauth/v2/") and method == "POST":
                return self._oauth(path.removeprefix("/oauth/v2/"), body)
            token = headers.get("authorization", "").removeprefix("Bearer ")
            if not token:
                return _error(401, 65604, "EMPTY_ACCESS_TOKEN")
            if token not in self.tokens:
                return _error(401, 65602, "EXPIRED_ACCESS_TOKEN")
            version = headers.get("linkedin-version", "")
            if not version:
                return _error(400, 0, "VERSION_MISSING")
            if version not in VERSIONS:
                return _error(426, 0, "NONEXISTENT_VERSION")
            if headers.get("x-restli-protocol-version") != "2.0.0":
                return _error(400, 0, "PROTOCOL_VERSION")
            said = {name: values[0] for name, values in parse_qs(query).items()}
            return self._rest(method, path.removeprefix("/rest/").split("/"), said, headers, body, frozenset(self.tokens[token].split(",")))

    def _oauth(self, verb: str, form: dict[str, str]) -> Said:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return 401, {}, {"error": "invalid_client", "error_description": "Client authentication failed"}
        if verb == "introspectToken":
            scopes = self.tokens.get(form.get("token", ""))
            if scopes is None:
                return 200, {}, {"active": False, "status": "expired"}
            return (
                200,
                {},
                {"active": True, "status": "active", "scope": scopes, "expires_at": int(time.time()) + 5184000, "auth_type": "3L"},
            )
        if form.get("grant_type") != "refresh_token":
            return 400, {}, {"error": "unsupported_grant_type"}
        if form.get("refresh_token") != REFRESH or self.refresh_days <= 0:
            return 400, {}, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        self.renewals += 1
        token = f"{ACCESS}-{self.renewals}"
        self.tokens[token] = self.granted
        left = int(self.refresh_days * 86400)
        return (
            200,
            {},
            {
                "access_token": token,
                "expires_in": 5184000,
                "refresh_token": REFRESH,
                "refresh_token_expires_in": left,
                "scope": self.granted,
            },
        )

    def _rest(
        self, method: str, path: list[str], query: dict[str, str], headers: dict[str, str], body: Any, scopes: frozenset[str]
    ) -> Said:
        if path == ["adAccountUsers"] and method == "GET":
            if not scopes & {"r_ads", "rw_ads"} or query.get("q") != "authenticatedUser":
                return _error(403, 100, "ACCESS_DENIED")
            users = [
                {"account": f"urn:li:sponsoredAccount:{account}", "role": role, "user": "urn:li:person:x"}
                for account, role in self.roles.items()
            ]
            return _page(users, query)
        if path[0] != "dmpSegments":
            return _error(404, 0, "RESOURCE_NOT_FOUND")
        if "rw_dmp_segments" not in scopes:
            return _error(403, 100, "ACCESS_DENIED")
        if method == "GET" and len(path) == 1:
            return self._find(query)
        if method == "POST" and len(path) == 1:
            return self._create(body)
        if method == "POST" and len(path) == 3 and path[2] in ("users", "companies"):
            return self._change(int(path[1]), path[2], headers, body)
        return _error(404, 0, "RESOURCE_NOT_FOUND")

    def _find(self, query: dict[str, str]) -> Said:
        account = query.get("account", "").removeprefix("urn:li:sponsoredAccount:")
        if query.get("q") != "account" or "urn:li:" not in query.get("account", ""):
            return _error(400, 100, "ILLEGAL_ARGUMENT")
        if account not in self.roles:
            return _error(403, 100, "ACCESS_DENIED")
        if self.unlisted and self.segments:
            self.unlisted -= 1
            return _page([], query)
        found = [
            one
            for one in self.segments
            if one.account == account
            and query.get("sourceSegmentId", one.source_id) == one.source_id
            and query.get("sourcePlatform", one.platform) == one.platform
        ]
        return _page([self._shown(one) for one in reversed(found)], query)

    def _shown(self, one: Segment) -> dict[str, Any]:
        return {
            "id": one.id,
            "name": one.name,
            "type": one.kind,
            "account": f"urn:li:sponsoredAccount:{one.account}",
            "sourcePlatform": one.platform,
            "sourceSegmentId": one.source_id,
            "destinations": [{"destination": "LINKEDIN", "status": one.status, "audienceSize": 0, "matchedCount": 0}],
        }

    def _create(self, body: Any) -> Said:
        account = str(body.get("account", "")).removeprefix("urn:li:sponsoredAccount:")
        if self.roles.get(account, "VIEWER") == "VIEWER":
            return _error(403, 100, "ACCESS_DENIED")
        if body.get("sourcePlatform") != PLATFORM or body.get("type") not in ("USER", "COMPANY") or not body.get("name"):
            return _error(400, 100, "ILLEGAL_ARGUMENT")
        if body.get("destinations") != [{"destination": "LINKEDIN"}] or set(body) - {
            "name", "description", "sourcePlatform", "sourceSegmentId", "account", "accessPolicy", "type", "destinations",
        }:  # fmt: skip
            return _error(422, 0, "UNPERMITTED_FIELDS")
        made = Segment(
            10800 + len(self.segments), body["name"], body["type"], account, PLATFORM, body.get("sourceSegmentId", ""), unseen=self.unseen
        )
        self.segments.append(made)
        return 201, {"x-restli-id": str(made.id), "Location": f"/dmpSegments/{made.id}"}, None

    def _change(self, number: int, kind: str, headers: dict[str, str], body: Any) -> Said:
        segment = next((one for one in self.segments if one.id == number), None)
        if segment is None or segment.unseen:
            if segment:
                segment.unseen -= 1
            return _error(404, 0, "RESOURCE_NOT_FOUND")
        if self.quota is not None:
            if self.quota <= 0:
                limit = {} if self.retry_after is None else {"Retry-After": self.retry_after}
                status, _, said = _error(429, 101, "TOO_MANY_REQUESTS")
                return status, limit, said
            self.quota -= 1
        if headers.get("x-restli-method", "").upper() != "BATCH_CREATE" or not isinstance(body, dict) or not body.get("elements"):
            return _error(400, 0, "BAD_BATCH")
        if self.roles.get(segment.account, "VIEWER") == "VIEWER":
            return _error(403, 100, "ACCESS_DENIED")
        elements: list[dict[str, Any]] = body["elements"]
        if len(elements) > 5000 or (kind == "users") != (segment.kind == "USER"):
            return _error(400, 0, "BAD_BATCH")
        self.received.append(Received(segment.source_id, tuple(elements)))
        return 200, {}, {"elements": [self._apply(segment, element) for element in elements]}

    def _apply(self, segment: Segment, element: dict[str, Any]) -> dict[str, Any]:
        if error := next((self.rejects[value] for value in _values(element) if value in self.rejects), None):
            return {"status": error.get("status", 400), "error": error}
        identity = _user(element) if segment.kind == "USER" else _company(element)
        if identity is None or element.get("action") not in ("ADD", "REMOVE"):
            return {"status": 400, "error": {"status": 400, "code": "ILLEGAL_ARGUMENT", "message": f"invalid: {element}"}}
        if element["action"] == "ADD":
            segment.members[identity] = element
        else:  # whoever matches one of the ids
            segment.members = {held: said for held, said in segment.members.items() if not held & identity}
        return {"status": 201}


def _user(element: dict[str, Any]) -> Identity | None:
    if set(element) - _USER or any(len(element.get(name, "")) > most for name, most in _LONGEST.items()):
        return None
    ids = element.get("userIds", [])
    if not all(one.get("idType") in _IDS and _IDS[one["idType"]].fullmatch(one.get("idValue", "")) for one in ids):
        return None
    if ids:
        return frozenset((one["idType"], one["idValue"]) for one in ids)
    if element.get("firstName") and element.get("lastName"):
        return frozenset({("name", f"{element['firstName']} {element['lastName']}")})
    return None


def _company(element: dict[str, Any]) -> Identity | None:
    told = {name: value for name, value in element.items() if name != "action"}
    if not told or set(told) - _COMPANY or not all(isinstance(value, str) and value for value in told.values()):
        return None
    if not re.fullmatch(r"urn:li:organization:[0-9]+", told.get("organizationUrn", "urn:li:organization:1")):
        return None
    return frozenset(told.items())


def _values(element: dict[str, Any]) -> list[str]:
    return [
        *(one.get("idValue", "") for one in element.get("userIds", [])),
        *(value for value in element.values() if isinstance(value, str)),
    ]


def _page(elements: list[dict[str, Any]], query: dict[str, str]) -> Said:
    start, count = int(query.get("start", 0)), int(query.get("count", 10))
    return (
        200,
        {},
        {"elements": elements[start : start + count], "paging": {"start": start, "count": count, "total": len(elements), "links": []}},
    )


def _error(status: int, number: int, code: str) -> Said:
    return status, {}, {"status": status, "serviceErrorCode": number, "code": code, "message": "said in words that may name values"}
