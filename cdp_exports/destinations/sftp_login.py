"""Who signs in to an SFTP server, and how it is known that it is the right server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.entities.sftp_connection import SftpConnection
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    from asyncssh import SSHKey, SSHKnownHosts


@dataclass(frozen=True)
class Login:
    """A connection's values, secrets among them: never shown. Exactly one of `known_hosts` and `fingerprint` is there."""

    host: str
    port: int
    user: str
    password: str | None
    key: SSHKey | None
    known_hosts: SSHKnownHosts | None
    fingerprint: str | None

    def __repr__(self) -> str:
        return f"Login({self.user}@{self.host}:{self.port})"


def read_login(connection: SftpConnection, root: Path, environ: Mapping[str, str]) -> Login:
    """What a connection names, read. Relative files count from `root`.

    Raises:
        DeclarationError: asyncssh is not installed, a variable is not set, a file is missing or holds something else.
    """
    if find_spec("asyncssh") is None:
        raise DeclarationError("SFTP connections need the package asyncssh.", next_step="pip install 'cdp-exports[sftp]'")
    return Login(
        host=connection.host,
        port=connection.port,
        user=connection.user,
        password=connection.password and connection.password.reveal(environ),
        key=_key(connection, root, environ),
        known_hosts=_known_hosts(root / connection.known_hosts) if connection.known_hosts else None,
        fingerprint=connection.host_key_fingerprint,
    )


def _key(connection: SftpConnection, root: Path, environ: Mapping[str, str]) -> SSHKey | None:
    import asyncssh

    if connection.private_key:
        where, text = f"The environment variable {connection.private_key.env}", connection.private_key.reveal(environ)
        if "\n" not in text.strip():
            text = text.replace("\\n", "\n")  # how files of variables and CI systems write a key in one line
    elif connection.private_key_file:
        file = root / connection.private_key_file
        where, text = f"The file {file}", _read(file, "private key")
    else:
        return None
    passphrase = connection.passphrase and connection.passphrase.reveal(environ)
    if text.lstrip().startswith(("PuTTY-User-Key-File", "---- BEGIN SSH2 ")):
        raise DeclarationError(
            f"{where} holds a key in the format of PuTTY or of ssh.com.",
            next_step="Convert it: puttygen KEY -O private-openssh -o NEW.",
        )
    try:
        return asyncssh.import_private_key(text.strip() + "\n", passphrase)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        said = str(error)  # only in words: that a key is encrypted, or that bcrypt is missing
    if "bcrypt" in said:
        raise DeclarationError(f"{where} holds a key that only the package bcrypt can decrypt.", next_step="pip install bcrypt")
    if not re.search("passphrase|decrypt", said, re.IGNORECASE):
        raise DeclarationError(
            f"{where} holds no private key that is known here.",
            next_step="Give the whole text of a private key, its first and last line included: OpenSSH, PKCS#1, PKCS#8 or SEC 1.",
        )
    raise DeclarationError(
        f"{where} holds an encrypted private key, and " + ("the passphrase is wrong." if passphrase else "no passphrase is named."),
        next_step="Name the environment variable that holds it: `passphrase: {env: NAME}`.",
    )


def _known_hosts(file: Path) -> SSHKnownHosts:
    import asyncssh

    try:
        return asyncssh.import_known_hosts(_read(file, "known_hosts file"))
    except ValueError:
        raise DeclarationError(
            f"{file} is not in the format of known_hosts.", next_step="Write it with: ssh-keyscan HOST > FILE, and compare the keys."
        ) from None


def _read(file: Path, what: str) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(
            f"The {what} {file} could not be read.", next_step="Check the path, and the right to read it, where the run executes."
        ) from error
