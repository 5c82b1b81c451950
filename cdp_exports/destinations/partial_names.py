"""Names of files on their way: hidden, beside the file, and found again by whoever knows the file's name."""

from __future__ import annotations

import hashlib
import re
import secrets

_PARTIAL = re.compile(r"(\..{1,48}-[0-9a-f]{16})\.[0-9a-f]{8}\.partial", re.DOTALL)


def new_partial_name(name: str) -> str:
    """A name that follows from the file's, so that what a killed writer left is found, and has a part of its own, so that two writers
    never share it.
    """
    return f"{partial_stem(name)}.{secrets.token_hex(4)}.partial"


def partial_stem(name: str) -> str:
    """What the names of all partial files of one name begin with: short enough for any name, and of one name only."""
    return f".{name[:48]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def stem_of_partial(name: str) -> str | None:
    """The stem of a partial file's name, None for any other name.

    >>> stem_of_partial(new_partial_name("part-0.csv")) == partial_stem("part-0.csv")
    True
    """
    found = _PARTIAL.fullmatch(name)
    return found[1] if found else None
