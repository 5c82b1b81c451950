"""What an object store's answers mean for a delivery. They are never quoted: they may hold signed headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

Cause = tuple[str, str]
"""What is wrong, and what to do."""

SKEWED: Cause = ("this machine's clock differs from the store's by more than 15 minutes", "Set the clock.")
_TLS: Cause = ("its certificate is not trusted", "Correct `endpoint_url`, or have the store's certificate signed by a trusted authority.")

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
        if "InvalidCertificate" in text:
            return refused(_TLS, place)
        return lost(place)

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


def untrusted(place: str) -> DestinationRefused:
    """The store's certificate is not trusted."""
    return refused(_TLS, place)


def lost(place: str) -> TransientError:
    return TransientError(
        f"{place} could not be reached or did not answer in time.",
        next_step="Run it again; if it stays, check `endpoint_url` and the network.",
    )
