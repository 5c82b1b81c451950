"""Did you mean?"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint to append to "there is no ...": the nearest valid name, or nothing where none is near.

    >>> nearest("ordrs", ["orders", "customers"])
    " (did you mean 'orders'?)"
    >>> nearest("zebra", ["orders"])
    ''
    """
    close = get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
