"""Which folder in the world a connection means, so that two ways to write it compare equal."""

from __future__ import annotations

from pathlib import Path

from cdp_exports.entities.store_address import folders

Place = tuple[str, ...]
"""A store and the folders down from its root: one place contains another if it is its beginning."""


def below(place: Place, path: str) -> Place:
    """A path below a place."""
    return *place, *folders(path)


def shown(place: Place) -> str:
    """A place as a person would write it.

    >>> shown(("s3", "", "acme", "cdp"))
    's3://acme/cdp'
    >>> shown(("sftp", "acme@files.partner.com:22", "~", "in"))
    'sftp://acme@files.partner.com:22/~/in'
    """
    if place[0] == "sftp":
        return f"sftp://{place[1]}/{'/'.join(place[3:] if place[2] == '/' else place[2:])}"
    if place[0] == "local":
        return str(Path(*place[1:]))
    return f"{place[0]}://{'/'.join(place[2:] if place[0] == 's3' else place[1:])}"
