"""Changes of members as LinkedIn takes them: elements of `BATCH_CREATE` on `dmpSegments/{id}/users` and `.../companies`.

Schemas: `DMP Segment Users` and `DMP Segment Companies` of https://learn.microsoft.com/linkedin/marketing/matched-audiences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cdp_exports.destinations.audience import Change, Value

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COUNTRY = re.compile(r"[A-Z]{2}")

NOBODY = "no_identifier"
NOT_HASHED = "not_sha256"

_HINTS: Mapping[str, int] = {"firstName": 35, "lastName": 35, "title": 50, "company": 50}
"""The most characters that LinkedIn takes of each."""


def user(change: Change) -> dict[str, Any] | str:
    """An element of `users`, or why there is none: an address is sent as SHA-256 or not at all.

    >>> user(Change("exited", {"google_aid": "cdda802e-fb9c-47ad-9866-0794d394c912"}))
    {'action': 'REMOVE', 'userIds': [{'idType': 'GOOGLE_AID', 'idValue': 'cdda802e-fb9c-47ad-9866-0794d394c912'}]}
    >>> user(Change("entered", {"email": "ann@example.com"}))
    'not_sha256'
    """
    values = _texts(change.values)
    hashes = [values[name] for name in ("email", "email_sha256") if name in values]
    if not all(_SHA256.fullmatch(one) for one in hashes):
        return NOT_HASHED
    ids = [{"idType": "SHA256_EMAIL", "idValue": one} for one in dict.fromkeys(hashes)]
    if "google_aid" in values:
        ids.append({"idType": "GOOGLE_AID", "idValue": values["google_aid"]})
    named = {"firstName": "first_name", "lastName": "last_name", "title": "title", "company": "company"}
    hints = {wire: values[name][: _HINTS[wire]] for wire, name in named.items() if name in values}
    if _COUNTRY.fullmatch(values.get("country", "")):
        hints["country"] = values["country"]
    if not ids and not ("firstName" in hints and "lastName" in hints):
        return NOBODY
    return {"action": _action(change), **({"userIds": ids} if ids else {}), **hints}


def company(change: Change) -> dict[str, Any] | str:
    """An element of `companies`, or why there is none.

    >>> company(Change("entered", {"website": "https://www.acme.com/en", "company_name": None}))
    {'action': 'ADD', 'companyWebsiteDomain': 'acme.com'}
    """
    values = _texts(change.values)
    told = {wire: written(values[name]) for name, (wire, written) in _COMPANY.items() if name in values}
    return {"action": _action(change), **told} if told else NOBODY


def _action(change: Change) -> str:
    return "REMOVE" if change.status == "exited" else "ADD"


def _texts(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _same(value: str) -> str:
    return value


def _domain(value: str) -> str:
    host = urlsplit(value if "//" in value else f"//{value}").hostname or value
    return host.removeprefix("www.")


def _organization(value: str) -> str:
    return f"urn:li:organization:{value}" if value.isdigit() else value


_COMPANY: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "company_name": ("companyName", _same),
    "website": ("companyWebsiteDomain", _domain),
    "email_domain": ("companyEmailDomain", _same),
    "linkedin_page": ("companyPageUrl", _same),
    "linkedin_id": ("organizationUrn", _organization),
    "stock_symbol": ("stockSymbol", _same),
}
