"""What an object store's answers mean for a delivery. They are never quoted: they may hold signed headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

Cause = tuple[str, str]
"""What is wrong, and what to do."""

SKEWED: Cause = ("this machine's clock differs from the store's by more than 15 minutes", "Set the clock.")

_CERTIFICATE = re.compile("InvalidCertificate|CERTIFICATE_VERIFY_FAILED|doesn't match|certificate verify failed")
_CERTIFICATES: Sequence[tuple[re.Pattern[str], Cause]] = (
    (
        re.compile("NotValidForName|[Mm]ismatch|doesn't match"),
        ("its certificate is another host's; nothing was sent", "Correct `endpoint_url`, or ask who runs the store."),
    ),
    (re.compile("Expired|has expired"), ("its certificate has expired; nothing was sent", "Ask who runs the store to renew it.")),
    (
        re.compile(""),
        (
            "its certificate is not trusted; nothing was sent",
            "Correct `endpoint_url`, or let this machine trust the authority that signed the store's certificate.",
        ),
    ),
)

_CODE = re.compile(r"(?:<Code>|\(code: )([A-Za-z0-9.]{1,64})(?:</Code>|\))")
_STATUS = re.compile(r"status code: (\d{3})")


@dataclass(frozen=True)
class Vocabulary:
    """A kind of store's codes."""

    terminal: Mapping[str, Cause]
    passing: Mapping[str, str]
    no_right: Cause
    elsewhere: Cause  # what a redirect means
    check: str  # the next step after a code that is not known

    told: Sequence[tuple[re.Pattern[str], Cause]] = ()
    """Causes that only the wording of an answer tells apart."""

    def of_obstore(self, error: Exception, place: str) -> CdpExportsError:
        """What an error of obstore means; it tells the store's code and the cause of a lost connection in its text only."""
        text = str(error)
        code, status = _CODE.search(text), _STATUS.search(text)
        if code or status:
            if cause := next((cause for pattern, cause in self.told if pattern.search(text)), None):
                return refused(cause, place)
            word = code[1] if code else ""
            if word.isdigit():  # what became of one of several deletes
                return self.of_answer("", int(word), place)
            return self.of_answer(word, int(status[1]) if status else 0, place)
        if "redirect without LOCATION" in text:
            return refused(self.elsewhere, place)
        return not_reached(text, place)

    def of_reply(self, status: int, text: str, place: str) -> CdpExportsError:
        """What an HTTP answer to a request of our own means."""
        if cause := next((cause for pattern, cause in self.told if pattern.search(text)), None):
            return refused(cause, place)
        code = _CODE.search(text)
        return self.of_answer(code[1] if code else "", status, place)

    def of_answer(self, code: str, status: int, place: str) -> CdpExportsError:
        """What a code and an HTTP status mean."""
        if known := self.terminal.get(code):
            return refused(known, place)
        if why := self.passing.get(code):
            return TransientError(f"{place}: {why} ({code}).", next_step="Run it again.")
        answer = f"{place} answered {code or 'an error'} (HTTP {status})"
        if status in (401, 403):
            return refused(self.no_right, place)
        if status in (408, 409, 412, 425, 429) or status >= 500:
            return TransientError(f"{answer}.", next_step="Run it again; if it stays, ask who runs the store.")
        if status in (301, 307, 308):
            return refused(self.elsewhere, place)
        return DestinationRefused(f"{answer}.", next_step=self.check)


def refused(cause: Cause, place: str) -> DestinationRefused:
    return DestinationRefused(f"{place}: {cause[0]}.", next_step=cause[1])


def untrusted(said: str, place: str) -> DestinationRefused | None:
    """What is wrong with the certificate that was shown, if that is what a client library complains of."""
    if not _CERTIFICATE.search(said):
        return None
    return next(refused(cause, place) for pattern, cause in _CERTIFICATES if pattern.search(said))


def not_reached(said: str, place: str) -> CdpExportsError:
    """What it means that there was no answer at all, by what the client library said of it."""
    return untrusted(said, place) or lost(place)


def lost(place: str) -> TransientError:
    return TransientError(
        f"{place} could not be reached or did not answer in time.",
        next_step="Run it again; if it stays, check `endpoint_url` and the network.",
    )
