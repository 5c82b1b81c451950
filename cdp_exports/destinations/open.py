"""From a declared connection to a destination."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdp_exports.destinations.destination import FileDestination
from cdp_exports.entities.azure_connection import AzureConnection
from cdp_exports.entities.connection import Connection, LocalConnection
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.entities.sftp_connection import SftpConnection


def open_destination(connection: Connection, root: Path, environ: Mapping[str, str]) -> FileDestination:
    """The destination of a connection. Nothing is sent yet.

    `root`: where relative folders count from, the catalog's parent folder. `environ`: where secrets are read.

    Raises:
        DeclarationError: a secret is not set, a package is missing, a profile is unknown.
    """
    if isinstance(connection, LocalConnection):
        from cdp_exports.destinations.local import LocalDestination

        return LocalDestination(root / connection.folder)
    if isinstance(connection, AzureConnection):
        from cdp_exports.destinations.azure import open_azure

        return open_azure(connection, environ)
    if isinstance(connection, GcsConnection):
        from cdp_exports.destinations.gcs import open_gcs

        return open_gcs(connection, environ)
    if isinstance(connection, SftpConnection):
        from cdp_exports.destinations.sftp import open_sftp

        return open_sftp(connection, root, environ)
    from cdp_exports.destinations.s3 import open_s3

    return open_s3(connection, environ)
