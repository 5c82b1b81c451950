"""Which folder in the world a connection means, so that two ways to write it compare equal."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from cdp_exports.entities.azure_connection import AzureConnection
from cdp_exports.entities.connection import Connection, LocalConnection, S3Connection
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.entities.sftp_connection import SftpConnection

Place = tuple[str, ...]
"""A store and the folders down from its root: one place contains another if it is its beginning."""


def place_of(connection: Connection, root: Path) -> Place:
    """The place of a connection's folder; relative local folders count from `root`.

    >>> place_of(S3Connection(type="s3", bucket="acme", folder="cdp", endpoint_url="https://S3.acme.com:443/"), Path())
    ('s3', 's3.acme.com', 'acme', 'cdp')
    """
    if isinstance(connection, LocalConnection):
        return "local", *Path(os.path.realpath(root / connection.folder)).parts
    if isinstance(connection, SftpConnection):
        # where a user's folders stand depends on the user
        start = "/" if connection.folder.startswith("/") else "~"
        return "sftp", f"{connection.user}@{connection.host.lower()}:{connection.port}", start, *_folders(connection.folder)
    if isinstance(connection, AzureConnection):  # a data lake's account holds the same containers
        return "https", connection.blob_url.partition("://")[2], connection.container, *_folders(connection.folder)
    if isinstance(connection, GcsConnection):  # a bucket's name is unique at Google, whatever address leads there
        return "gs", connection.bucket, *_folders(connection.folder)
    return "s3", _store(connection), connection.bucket, *_folders(connection.folder)


def below(place: Place, path: str) -> Place:
    """A path below a place."""
    return *place, *_folders(path)


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


def _folders(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _store(connection: S3Connection) -> str:
    """Host and port; all of Amazon's addresses are one store, since a bucket's name is unique there."""
    if connection.endpoint_url is None:
        return ""
    address = urlsplit(connection.endpoint_url.lower())
    host = address.netloc.removesuffix(":443" if address.scheme == "https" else ":80")
    return "" if host.endswith(".amazonaws.com") else host
