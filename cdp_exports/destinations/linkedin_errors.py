"""What LinkedIn's answers mean for a delivery. Its messages are never quoted: they may hold what was sent.

Facts: https://learn.microsoft.com/linkedin/shared/api-guide/concepts/error-handling (`status`, `serviceErrorCode`, `message`, `code`),
`.../rate-limits` (429; daily limits start again at midnight UTC), https://learn.microsoft.com/linkedin/marketing/versioning (426).
Whether a 429 has `Retry-After` is not said there; it is obeyed where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from cdp_exports.destinations.store_errors import untrusted
from cdp_exports.errors import CdpExportsError, DestinationRefused, NotApplied, TransientError

if TYPE_CHECKING:
    import httpx

_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")


@contextmanager
def sending(place: str, *, certain: bool) -> Generator[None]:
    """Translates httpx's errors. `certain`: losing the answer leaves no doubt, since nothing is applied by the request."""
    import httpx

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        if wrong := untrusted(str(error), place):
            raise wrong from None
        raise NotApplied(f"{place} could not be reached.", next_step="Run it again; if it stays, check the network.") from None
    except (httpx.HTTPError, httpx.InvalidURL):
        kind = NotApplied if certain else TransientError
        raise kind(f"{place} did not answer: the connection was cut, or it took too long.", next_step="Run it again.") from None


def refusal(answer: httpx.Response, place: str, version: str, *, certain: bool) -> CdpExportsError:
    """What an answer means that is neither a success nor to be waited for. `certain`: as `sending`."""
    status, code = answer.status_code, code_of(_said(answer) or {})
    if status == 403:
        return DestinationRefused(
            f"{place}: LinkedIn does not allow this with the access token{_in_brackets(code)}.",
            next_step="Authorize again with the scopes rw_dmp_segments and rw_ads (LinkedIn grants the first to members of its Audiences "
            "program), as a member with another role than Viewer in the ad account.",
        )
    if status == 404:
        return DestinationRefused(f"{place}: LinkedIn knows no such ad account.", next_step="Correct `account_id`.")
    if status == 426 or code == "NONEXISTENT_VERSION":
        return DestinationRefused(
            f"{place}: LinkedIn does not answer to version {version} of its API.",
            next_step="Set `api_version` to one that its page on versioning names.",
        )
    if status in (301, 302, 307, 308):
        return DestinationRefused(f"{place}: the address answered with a redirect.", next_step="Correct `endpoint_url`.")
    if status == 408 or status >= 500:
        return (NotApplied if certain else TransientError)(
            f"{place}: LinkedIn failed (HTTP {status}).", next_step="Run it again; if it stays, see https://www.linkedin-apistatus.com."
        )
    return DestinationRefused(
        f"{place}: LinkedIn refused the request (HTTP {status}{f', {code}' if code else ''}).",
        next_step="Check `account_id`, `source_platform` and `api_version`.",
    )


def code_of(said: dict[str, Any]) -> str:
    """LinkedIn's word or number for an error, as far as it is one."""
    word, number = said.get("code"), said.get("serviceErrorCode")
    if isinstance(word, str) and _CODE.fullmatch(word):
        return word
    return str(number) if isinstance(number, int) and number else ""


def error_word(answer: httpx.Response) -> str:
    """OAuth's word for why it gave no token: https://www.rfc-editor.org/rfc/rfc6749#section-5.2."""
    return str((_said(answer) or {}).get("error", ""))


def asked_to_wait(answer: httpx.Response) -> float | None:
    """Seconds that `Retry-After` asks for."""
    said = answer.headers.get("retry-after", "")
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def body_of(answer: httpx.Response, place: str, *, certain: bool = True) -> dict[str, Any]:
    """The JSON object of an answer. `certain`: as `sending`.

    Raises:
        NotApplied, TransientError: it is none.
    """
    said = _said(answer)
    if said is None:
        raise strange(place, certain=certain)
    return said


def strange(place: str, *, certain: bool = True) -> TransientError:
    return (NotApplied if certain else TransientError)(
        f"{place} answered something that LinkedIn's documentation does not know.",
        next_step="Run it again; if it stays, check `api_version`, and `endpoint_url` if it is declared.",
    )


def _said(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        said = answer.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None


def _in_brackets(code: str) -> str:
    return f" ({code})" if code else ""
