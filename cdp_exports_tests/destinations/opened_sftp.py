"""SFTP connections to the test server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdp_exports.destinations.sftp import SftpDestination, open_sftp
from cdp_exports.destinations.sftp_server import Patience
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.sftp_connection import SftpConnection
from cdp_exports_tests.servers.openssh import PASSWORD, Home

IMPATIENT = Patience(connect=10, request=5, keepalive=5, waits=(0, 0.05, 0.1))
ENVIRON = {"PASSWORD": PASSWORD}


def sftp_connection(home: Home, /, **changes: object) -> SftpConnection:
    declared = {
        "type": "sftp",
        "host": "127.0.0.1",
        "port": home.server.port,
        "user": "exporter",
        "folder": home.folder,
        "password": Secret(env="PASSWORD"),
        "host_key_fingerprint": home.server.fingerprint,
        **changes,
    }
    return SftpConnection.model_validate(declared)


def open_home(
    home: Home, /, *, patience: Patience = IMPATIENT, environ: Mapping[str, str] = ENVIRON, root: Path = Path(), **changes: object
) -> SftpDestination:
    return open_sftp(sftp_connection(home, **changes), root, environ, patience)
