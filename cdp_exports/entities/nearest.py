"""The nearest valid name, for messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from heapq import nlargest


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint to append to "there is no ...": the nearest valid name, or nothing where none is near.

    >>> nearest("ordrs", ["orders", "customers"])
    " (did you mean 'orders'?)"
    >>> nearest("ID", ["Idea", "id"])
    " (did you mean 'id'?)"
    >>> nearest("zebra", ["orders"])
    ''
    """
    names = list(names)
    if other_case := next((other for other in names if other.casefold() == name.casefold()), None):
        return f" (did you mean {other_case!r}?)"
    # difflib takes 40 ms among 1,000 similar names and a catalog may have as many wrong references, so it sees only the likely ones
    pairs = _pairs(name)
    likely = nlargest(20, names, key=lambda other: len(pairs & _pairs(other)))
    close = get_close_matches(name, likely, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


@lru_cache(maxsize=10_000)
def _pairs(name: str) -> frozenset[str]:
    return frozenset(name[i : i + 2] for i in range(len(name) - 1))
