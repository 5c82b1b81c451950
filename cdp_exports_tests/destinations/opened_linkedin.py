"""LinkedIn connections to the test server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cdp_exports.destinations.audience import Batch, Change
from cdp_exports.destinations.linkedin import LinkedInDestination, open_linkedin
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.linkedin_connection import LinkedInCompaniesConnection, LinkedInConnection, LinkedInContactsConnection
from cdp_exports_tests.servers.linkedin import LinkedIn

IMPATIENT = Patience(connect=5, request=10, retries=0, retry_for=60)


def linkedin_connection(server: LinkedIn, kind: str = "contacts", /, *, renewable: bool = True, **changes: object) -> LinkedInConnection:
    model = LinkedInCompaniesConnection if kind == "companies" else LinkedInContactsConnection
    return model.model_validate(server.declared(kind, renewable=renewable, **changes))


def open_ads(
    server: LinkedIn,
    kind: str = "contacts",
    /,
    *,
    patience: Patience = IMPATIENT,
    slept: list[float] | None = None,
    **changes: Any,
) -> LinkedInDestination:
    """Waits are noted in `slept`, not waited."""
    slept = slept if slept is not None else []
    return open_linkedin(linkedin_connection(server, kind, **changes), Path(), server.environ, patience, slept.append)


def hashed(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def batch(*changes: Change, key: str = "key") -> Batch:
    return Batch(key, changes)


def entering(emails: Iterable[str]) -> Batch:
    return batch(*(Change("entered", {"email": hashed(email)}) for email in emails))
