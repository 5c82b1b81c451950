"""What an HTTP endpoint's answers mean for a delivery. They are never quoted: they may hold anything."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from cdp_exports.errors import CdpExportsError, DestinationRefused, NotApplied, TransientError

if TYPE_CHECKING:
    import httpx

_CAUSES: Mapping[int, tuple[str, str]] = {
    401: (
        "the signature or the credentials are not accepted",
        "Compare `signing_secret` and `bearer_token` or `headers` with what the endpoint expects, and set this machine's clock.",
    ),
    403: ("these credentials have no right to send there", "Ask who runs the endpoint for the right, or for other credentials."),
    404: ("there is nothing at this address", "Correct `url` or `outcome_url`."),
    405: ("it takes no such requests", "Correct `url` or `outcome_url`."),
    407: ("the proxy in between asks for credentials", "Give them in HTTPS_PROXY, or except the host by NO_PROXY."),
    409: ("it knows the batch's key with other content", "Tell who runs the endpoint; a key is never used for two batches."),
    410: (
        "what is sent there is gone for good, the audience or the endpoint itself",
        "Where it is the audience, send everybody again: `cdp-exports run EXPORT --full`.",
    ),
    413: ("a batch is larger than it takes", "Set a smaller `batch_rows`."),
    415: ("it does not read this format", "Set the `format` and `compression` that it reads."),
    422: ("it does not understand the batch", "Compare the mapped fields with what the endpoint expects."),
}

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")


def refusal(status: int, place: str) -> CdpExportsError:
    """An answer that is neither success nor busy."""
    if status in range(300, 400):
        return DestinationRefused(
            f"{place} answered with a redirect (HTTP {status}); data is not sent on.", next_step="Put the address that it leads to."
        )
    if status in range(400, 500):
        what, then = _CAUSES.get(status, ("it refused the request", "Ask who runs the endpoint."))
        return DestinationRefused(f"{place}: {what} (HTTP {status}).", next_step=then)
    return TransientError(
        f"{place} failed (HTTP {status}), and does not say whether it had applied what was sent.",
        next_step="Run it again; if it stays, ask who runs the endpoint.",
    )


def unreadable(place: str) -> TransientError:
    return TransientError(
        f"{place} answered with success, but not as the contract says; nobody knows whether what was sent was applied.",
        next_step="Ask who runs the endpoint: an answer is empty or a JSON object, with `rejected` where members were not taken.",
    )


def no_proxy(place: str) -> DestinationRefused:
    return DestinationRefused(
        f"The proxy to {place} that the environment names cannot be used. Nothing was sent.",
        next_step="Name an http:// or https:// proxy in HTTPS_PROXY or ALL_PROXY, or except the host by NO_PROXY.",
    )


def untaken(error: httpx.TransportError, place: str) -> CdpExportsError:
    """What it means that there was no answer."""
    import httpx

    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DestinationRefused(
                f"{place}: its certificate is not trusted ({cause.verify_message}). Nothing was sent.",
                next_step="Correct `url`, have it renewed or signed by a trusted authority, or name its authority: `ca_file`.",
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
            return DestinationRefused(f"{place} does not speak TLS. Nothing was sent.", next_step="Correct `url`.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.PoolTimeout):
        return NotApplied(
            f"No connection to {place} could be made.",
            next_step="Run it again; if it stays, check `url`, the network, and HTTPS_PROXY where a proxy is used.",
        )
    return TransientError(
        f"The connection to {place} broke, or it did not answer in time; nobody knows whether what was sent was applied.",
        next_step="Run it again; if it stays, check the network, or set a smaller `batch_rows`.",
    )


def pause(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header, which may be a date (RFC 9110, 10.2.3). None: it has none that can be read."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said)
    until, now = date(said), date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds()) if until else None


def date(text: str) -> datetime | None:
    """A date as HTTP writes it."""
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except ValueError:
        return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
