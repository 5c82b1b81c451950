"""Until when a server's certificate holds."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

_PATIENCE = 10  # seconds


def certificate_ends(address: str, trusted: Path | None = None) -> datetime | None:
    """When the certificate of an https address expires; None where that cannot be seen, as without TLS or behind a proxy.

    `trusted`: a PEM file with the authorities that are trusted instead of this machine's.
    """
    url = urlsplit(address)
    if url.scheme != "https" or url.hostname is None:
        return None
    try:
        context = ssl.create_default_context(cafile=trusted)
        with (
            socket.create_connection((url.hostname, url.port or 443), timeout=_PATIENCE) as way,
            context.wrap_socket(way, server_hostname=url.hostname) as secured,
        ):
            found = secured.getpeercert() or {}
    except OSError:  # what is wrong with the way there is said by whoever uses it
        return None
    end = found.get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC) if isinstance(end, str) else None
