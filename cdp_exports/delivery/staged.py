"""A file that was made on this machine, on its way to a destination."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination

_CHUNK = 1 << 20


def upload(destination: FileDestination, file: Path, path: str) -> None:
    """Write a file to a path, whole or not at all.

    Raises:
        DestinationRefused, NotIntact, TransientError: as the destination finds.
    """
    writer = destination.open(path)
    try:
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                writer.write(chunk)
        writer.close()
    except BaseException:
        writer.abort()
        raise
