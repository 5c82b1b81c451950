"""From a declared connection to a destination."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdp_exports.destinations.audience import AudienceDestination
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.entities.connection import OFFERED, TYPES, Connection
from cdp_exports.errors import DeclarationError


def open_destination(connection: Connection, root: Path, environ: Mapping[str, str]) -> FileDestination | AudienceDestination:
    """The destination of a connection. Nothing is sent yet.

    `root`: where relative folders count from, the catalog's parent folder. `environ`: where secrets are read.

    Raises:
        DeclarationError: a secret is not set, a package is missing, a profile is unknown.
    """
    return _opened(connection, root, environ)


def open_files(connection: Connection, root: Path, environ: Mapping[str, str]) -> FileDestination:
    """The file destination of a connection.

    Raises:
        DeclarationError: as `open_destination`; or it takes no files.
    """
    if not TYPES[connection.type].takes_files:
        raise _of_the_other_family(connection, "takes no files, but members")
    return _opened(connection, root, environ)


def open_audience(connection: Connection, root: Path, environ: Mapping[str, str]) -> AudienceDestination:
    """The audience destination of a connection.

    Raises:
        DeclarationError: as `open_destination`; or it takes files.
    """
    if TYPES[connection.type].takes_files:
        raise _of_the_other_family(connection, "takes files, no members")
    return _opened(connection, root, environ)


def _opened(connection: Connection, root: Path, environ: Mapping[str, str]) -> Any:
    try:
        opener = TYPES[connection.type].opener()
    except (ImportError, AttributeError) as error:
        packages = [offered.package for offered in OFFERED if offered.word == connection.type]
        if not packages:
            raise
        raise DeclarationError(
            f"The package {packages[0]}, which offers `type: {connection.type}`, cannot be loaded: {error}.",
            next_step="Install what it needs, or its next version.",
        ) from error
    return opener(connection, root, environ)


def _of_the_other_family(connection: Connection, what: str) -> DeclarationError:
    return DeclarationError(f"A connection of the type `{connection.type}` {what}.", next_step="Choose a connection of another type.")
