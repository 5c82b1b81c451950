"""Connections to HTTP endpoints."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from cdp_exports.entities.capabilities import Capabilities, Members, Repeat
from cdp_exports.entities.model import Address, WrongItem
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import folders, plain_endpoint

BATCH_MAX = 10_000

HTTP = Capabilities(
    proof=None,
    formats=frozenset(),
    conditional_create=False,
    members=Members(batch_max=BATCH_MAX, repeat=Repeat.UNKNOWN),
)
"""What every HTTP endpoint can do; a connection says how large its batches are, and what repeating one does."""

_PLAIN = re.compile(r"[A-Za-z0-9:/?#\[\]@!$&'()*+,;=._~%{}-]+")  # urlsplit takes almost anything
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = re.compile(r"webhook-.*|idempotency-key|content-.*|host|transfer-encoding|connection|accept-encoding|user-agent", re.IGNORECASE)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _protected(value: str) -> str:
    url = urlsplit(value)
    if not _PLAIN.fullmatch(value) or not url.hostname or url.username or url.query or url.fragment or url.port == 0:
        raise ValueError("write https://host/path, without a user, a password or a query; secrets go in `headers`")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname)):
        raise ValueError("only https:// protects what is sent; http:// may lead to this machine (localhost) only")
    return value


HttpUrl = Annotated[Address, AfterValidator(_protected)]
"""An https URL, or an http URL of this machine."""


class HttpConnection(Receiver):
    """An HTTP endpoint of your own that receives members in signed batches."""

    type: Literal["http"]
    """The kind of destination."""

    url: HttpUrl
    """Where batches are posted to. https, or http on this machine itself (localhost)."""

    signing_secret: Secret
    """What requests are signed with: `whsec_` and the base64 of 24 to 64 random bytes."""

    old_signing_secret: Secret | None = None
    """The secret that is being replaced: until it is taken out, requests carry the signatures of both."""

    bearer_token: Secret | None = None
    """A token sent as `Authorization: Bearer ...`."""

    headers: dict[str, Secret] = Field(default_factory=dict[str, Secret])
    """Other headers that the endpoint asks for, such as an API key."""

    ca_file: Address | None = None
    """A PEM file with the certificates of the authorities that are trusted instead of this machine's; relative to the
    catalog's parent folder."""

    format: Literal["ndjson", "json"] = "ndjson"
    """How a batch is written: a JSON object a line, or one JSON object."""

    compression: Literal["none", "gzip"] = "none"
    """How a batch is compressed."""

    batch_rows: Annotated[int, Field(ge=1, le=BATCH_MAX)] = 1_000
    """Members in one batch, at most."""

    repeat: Literal["harmless", "by_key", "unknown"] = "unknown"
    """What the endpoint does with a batch that it has received before: the same again without harm (it keeps a set of members),
    nothing (it knows batches by their key), or something that nobody has promised. Decides what happens when a connection breaks
    and nobody knows whether the batch arrived: it is sent again, or its outcome is asked (`outcome_url`), else a person decides."""

    outcome_url: HttpUrl | None = None
    """Where the endpoint says what became of a batch, with `{key}` in the place of the batch's key; for `repeat: unknown`."""

    @field_validator("headers")
    @classmethod
    def _of_their_own(cls, value: dict[str, Secret]) -> dict[str, Secret]:
        for name in value:
            if not _HEADER.fullmatch(name):
                raise WrongItem("no name of a header", item=name)
            if _OURS.fullmatch(name):
                raise WrongItem("every request has this header already", item=name)
        return value

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if self.bearer_token and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("name either `bearer_token` or `headers: {Authorization: ...}`")
        if self.outcome_url and self.outcome_url.count("{key}") != 1:
            raise ValueError("`outcome_url` holds `{key}` once, where the batch's key goes")
        if self.outcome_url and self.repeat != "unknown":
            raise ValueError(f"`outcome_url` is never asked with `repeat: {self.repeat}`: the batch is sent again")
        return self

    def place(self, root: Path) -> tuple[str, ...]:
        """Scheme, host and path.

        >>> HttpConnection(type="http", url="https://Api.acme.com:443/cdp/audiences/", signing_secret={"env": "SECRET"}).place(Path())
        ('https', 'api.acme.com', 'cdp', 'audiences')
        """
        scheme, _, rest = plain_endpoint(self.url).partition("://")
        return scheme, *folders(rest)
