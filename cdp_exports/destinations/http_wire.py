"""The HTTP endpoint's contract on the wire: docs/http-endpoint.md says it to whoever writes a receiver."""

from __future__ import annotations

import base64
import gzip
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from cdp_exports.destinations.audience import Change, Rejected

Format = Literal["ndjson", "json"]

CONTENT_TYPES: Mapping[Format, str] = {"ndjson": "application/x-ndjson", "json": "application/json"}

_REASON = re.compile(r"[a-z0-9_.-]{1,64}")
_TELLING = 4  # characters of a value from which on it is looked for in a reason


class Unreadable(Exception):
    """An answer that does not keep to the contract."""


def written(envelope: Mapping[str, object], changes: Sequence[Change], format: Format) -> bytes:
    r"""A request's body; the same bytes for the same batch.

    >>> written({"type": "audience.changed"}, [Change("exited", {"id": 7})], "ndjson")
    b'{"type":"audience.changed"}\n{"status":"exited","values":{"id":7}}\n'
    """
    items = [{"status": change.status, "values": dict(change.values)} for change in changes]
    if format == "json":
        return _json({**envelope, "data": items}).encode()
    return "".join(f"{_json(line)}\n" for line in (envelope, *items)).encode()


def compressed(body: bytes) -> bytes:
    """By gzip, the same bytes for the same body."""
    return gzip.compress(body, mtime=0)


@dataclass(frozen=True)
class Signer:
    """Signs as Standard Webhooks 1.0.0 says, with one secret or, while it is being replaced, with two."""

    secrets: Sequence[bytes] = field(repr=False)

    def headers(self, key: str, timestamp: int, body: bytes) -> dict[str, str]:
        """`timestamp`: seconds since 1970. `body`: as it is sent, after compression."""
        signed = f"{key}.{timestamp}.".encode() + body
        signatures = [base64.b64encode(hmac.digest(secret, signed, "sha256")).decode() for secret in self.secrets]
        return {
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
        }


def secret_of(text: str) -> bytes | None:
    """The bytes of a secret as Standard Webhooks writes it, `whsec_...`; None: it is none."""
    if not text.startswith("whsec_"):
        return None
    try:
        secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        return None
    return secret if 24 <= len(secret) <= 64 else None


def rejected(content: bytes, changes: Sequence[Change]) -> tuple[Rejected, ...]:
    """Who was not taken, by an answer to a batch.

    >>> rejected(b'{"rejected": [{"index": 0, "reason": "invalid_email"}]}', [Change("entered", {"id": 7})])
    (Rejected(index=0, reason='invalid_email'),)
    >>> rejected(b"", [])
    ()

    Raises:
        Unreadable: it does not keep to the contract.
    """
    return _rejected(answer(content), changes) if content else ()


def outcome(content: bytes, changes: Sequence[Change] | None) -> tuple[Rejected, ...] | None:
    """The same, by the answer to the question what became of a batch. None: it was not applied. `changes`: None where they are
    not known any more.

    Raises:
        Unreadable: it does not keep to the contract.
    """
    said = answer(content)
    applied = said.get("applied")
    if not isinstance(applied, bool):
        raise Unreadable
    return _rejected(said, changes) if applied else None


def answer(content: bytes) -> Mapping[str, object]:
    """The JSON object of an answer.

    Raises:
        Unreadable: it is none.
    """
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        raise Unreadable from None
    if not isinstance(said, dict):
        raise Unreadable
    return cast("dict[str, object]", said)


def _rejected(said: Mapping[str, object], changes: Sequence[Change] | None) -> tuple[Rejected, ...]:
    listed = said.get("rejected")
    if listed is None:  # left out, or how Go writes an empty list
        return ()
    if not isinstance(listed, list):
        raise Unreadable
    found: dict[int, Rejected] = {}
    for one in cast("list[object]", listed):
        item = cast("dict[str, object]", one) if isinstance(one, dict) else {}
        index = item.get("index")
        if not isinstance(index, int) or isinstance(index, bool) or index < 0 or (changes is not None and index >= len(changes)):
            raise Unreadable
        reason = _reason(item.get("reason"), changes[index]) if changes is not None else "rejected"
        found.setdefault(index, Rejected(index, reason))
    return tuple(found[index] for index in sorted(found))


def _reason(said: object, change: Change) -> str:
    """A code. A receiver may write anything there, so whatever may hold a value of the member's is only `rejected`."""
    code = said.lower() if isinstance(said, str) else ""
    values = [str(value).lower() for value in change.values.values()]
    if not _REASON.fullmatch(code) or any(len(value) >= _TELLING and value in code for value in values):
        return "rejected"
    return code


def _json(value: object) -> str:
    """In ASCII: some take U+2028 and its like for the end of a line."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
