"""Servers that do as OpenSSH never does: asyncssh's own, over a folder of the test."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import asyncssh
import pytest

from cdp_exports.destinations.sftp import SftpDestination, open_sftp
from cdp_exports.entities.connection import CONNECTION
from cdp_exports.errors import DestinationRefused
from cdp_exports_tests.destinations.opened_sftp import ENVIRON, IMPATIENT
from cdp_exports_tests.servers.openssh import PASSWORD


class _Door(asyncssh.SSHServer):
    """Lets the exporter in by password."""

    connections: ClassVar[list[asyncssh.SSHServerConnection]] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD


class _NewPasswordNeeded(_Door):
    def validate_password(self, username: str, password: str) -> bool:
        raise asyncssh.PasswordChangeRequired("Change your password")


class _Interactive(_Door):
    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "Welcome", "en-US", [("Kennwort: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return list(responses) == [PASSWORD]


class _Overwrites(asyncssh.SFTPServer):
    """Offers no links, and renames onto whatever stands there."""

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("")

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        os.replace(self.map_path(oldpath), self.map_path(newpath))  # noqa: PTH105 names are bytes


class _ShortReads(asyncssh.SFTPServer):
    """Gives fewer bytes than it is asked for, as servers may."""

    def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        file_obj.seek(offset)
        return file_obj.read(min(size, 100_003))


Serve = Callable[..., SftpDestination]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[asyncssh.SSHAcceptor] = []
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "root").mkdir()

    def serve(*, door: type[asyncssh.SSHServer] = _Door, files: type[asyncssh.SFTPServer] = asyncssh.SFTPServer) -> SftpDestination:
        def offer(channel: Any) -> asyncssh.SFTPServer:
            return files(channel, chroot=os.fsencode(tmp_path / "root"))

        async def start() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen("127.0.0.1", 0, server_factory=door, server_host_keys=[key], sftp_factory=offer)

        servers.append(asyncio.run_coroutine_threadsafe(start(), loop).result(20))
        connection = CONNECTION.validate_python(
            {
                "type": "sftp",
                "host": "127.0.0.1",
                "port": servers[0].get_port(),
                "user": "exporter",
                "password": {"env": "PASSWORD"},
                "host_key_fingerprint": key.get_fingerprint(),
            }
        )
        return open_sftp(connection, Path(), ENVIRON, IMPATIENT)  # pyright: ignore[reportArgumentType]

    async def stop() -> None:
        for server in servers:
            server.close()
        for connection in _Door.connections:
            connection.abort()
        _Door.connections.clear()

    yield serve
    asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_one_that_renames_onto_files_does_not_decide_who_is_first(serve: Serve, tmp_path: Path) -> None:
    destination = serve(files=_Overwrites)
    with pytest.raises(DestinationRefused, match="cannot decide who writes a file first"):
        destination.create("_manifest", b"x")
    assert list((tmp_path / "root").iterdir()) == []


def test_one_that_answers_with_less_than_was_asked_for(serve: Serve) -> None:
    destination = serve(files=_ShortReads)
    content = os.urandom(3_000_000)
    writer = destination.open("f")
    writer.write(content)
    writer.close()
    assert destination.read("f") == content
    assert b"".join(destination.stream("f") or ()) == content


def test_one_that_asks_for_a_new_password(serve: Serve) -> None:
    with pytest.raises(DestinationRefused, match="the password has expired"):
        serve(door=_NewPasswordNeeded).probe()


def test_one_that_asks_for_the_password_in_its_own_words(serve: Serve) -> None:
    serve(door=_Interactive).probe()
