"""Which paths a destination accepts."""

from __future__ import annotations

import re

from cdp_exports.errors import DestinationRefused

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def safe_parts(path: str) -> list[str]:
    """The parts of a relative path that stays below the connection's folder on every store.

    Raises:
        DestinationRefused: it is absolute, climbs with `..`, or holds an empty part, a backslash,
            a control character or half a surrogate pair.

    >>> safe_parts("orders/exportTime=202612010200/part-0.parquet")
    ['orders', 'exportTime=202612010200', 'part-0.parquet']
    """
    parts = path.split("/")
    if _FORBIDDEN.search(path) or any(part in ("", ".", "..") for part in parts):
        raise DestinationRefused(
            f"The path {path!r} could lead out of the connection's folder.",
            next_step="Use names joined by single slashes, without . and .. and backslashes.",
        )
    return parts
