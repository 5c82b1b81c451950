"""Connections to SFTP servers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from cdp_exports.entities.model import Address
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.secret import Secret
from cdp_exports.entities.store_address import folders


class SftpConnection(Receiver):
    """A folder of an SFTP server.

    Signs in with a private key, a password, or both where the server asks for both. The server's host key is checked
    before anything is sent that it could misuse.
    """

    type: Literal["sftp"]
    """The kind of store."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$|^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$")]
    """The server's name or IP address."""

    port: Annotated[int, Field(ge=1, le=65535)] = 22
    """The server's port."""

    user: Annotated[str, StringConstraints(pattern=r"^[^\s:/]([^:/\x00-\x1f\x7f]*[^\s:/])?$")]
    """The user to sign in as."""

    folder: str = ""
    """The folder on the server, absolute or below the one where the user starts; it must exist. Default: where the user starts."""

    password: Secret | None = None
    """The user's password."""

    private_key: Secret | None = None
    """The private key's text: OpenSSH, PKCS#1, PKCS#8 or SEC 1."""

    private_key_file: Address | None = None
    """A file that holds the private key; relative to the catalog's parent folder."""

    passphrase: Secret | None = None
    """What the private key is encrypted with."""

    known_hosts: Address | None = None
    """A file in OpenSSH's known_hosts format that names the server's host key; relative to the catalog's parent folder."""

    host_key_fingerprint: Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")] | None = None
    """The host key's fingerprint, as `ssh-keyscan HOST | ssh-keygen -lf -` shows it: `SHA256:...`."""

    @field_validator("folder")
    @classmethod
    def _folder_on_the_server(cls, value: str) -> str:
        parts = value.removeprefix("/").split("/")
        if value.removeprefix("/") and (re.search(r"[\x00-\x1f\x7f\\]", value) or any(part in ("", ".", "..", "~") for part in parts)):
            raise ValueError("write folder names joined by single slashes, without . and .., ~ and backslashes, no slash at the end")
        return value

    @model_validator(mode="after")
    def _signs_in_to_the_right_server(self) -> Self:
        if (self.known_hosts is None) == (self.host_key_fingerprint is None):
            raise ValueError("name the server's host key: either `known_hosts` or `host_key_fingerprint`")
        if self.private_key and self.private_key_file:
            raise ValueError("name either `private_key` or `private_key_file`")
        if not (self.password or self.private_key or self.private_key_file):
            raise ValueError("name a `password`, a `private_key` or a `private_key_file`")
        if self.passphrase and not (self.private_key or self.private_key_file):
            raise ValueError("`passphrase` goes with `private_key` or `private_key_file`")
        return self

    def place(self, root: Path) -> tuple[str, ...]:
        # where a user's folders stand depends on the user
        start = "/" if self.folder.startswith("/") else "~"
        return "sftp", f"{self.user}@{self.host.lower()}:{self.port}", start, *folders(self.folder)
