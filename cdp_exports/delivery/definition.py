"""What may not change within a chain, as it is compared and as receivers see it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SQL = frozenset({"membership", "parts", "contacts", "fields", "dedupe_by", "newest_by"})
"""What of a definition is SQL: it may hold what receivers must not see, a salt or a name, so they are shown its digest."""


def digest_of(value: object) -> str:
    """Tells one part of a definition from another without showing it."""
    return f"sha256:{hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()}"


def shown(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as receivers see it."""
    return {key: digest_of(value) if key in SQL else value for key, value in definition.items()}
