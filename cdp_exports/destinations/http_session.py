"""Requests that obstore does not make for us."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Session

_LONGEST_WAIT = 60  # seconds


def http_session(retries: int) -> Session:
    """A session that repeats what failed in a way that may pass, after as long as `Retry-After` asks, at most a minute."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_WITHOUT_SIGNATURES)
    retry = Retry(
        retries,
        backoff_factor=0.5,
        status_forcelist=(408, 429, 500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=_LONGEST_WAIT,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


class _WithoutSignatures(logging.Filter):
    """urllib3 logs the addresses it asks and asks again; a shared access signature of Azure is a part of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if "sig=" in said:
            record.msg, record.args = re.sub(r"sig=[^&\s\"']+", "sig=...", said), ()
        return True


_WITHOUT_SIGNATURES = _WithoutSignatures()
