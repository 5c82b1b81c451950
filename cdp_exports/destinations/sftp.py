"""A folder of an SFTP server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cdp_exports.destinations.destination import StoredObject
from cdp_exports.destinations.paths import safe_parts
from cdp_exports.destinations.sftp_files import Entry, SftpFiles, attributes, is_folder, read_ahead
from cdp_exports.destinations.sftp_login import read_login
from cdp_exports.destinations.sftp_loop import run
from cdp_exports.destinations.sftp_pool import Pool
from cdp_exports.destinations.sftp_server import Patience, SftpServer
from cdp_exports.destinations.sftp_writer import SftpWriter
from cdp_exports.entities.capabilities import Capabilities, capabilities_of
from cdp_exports.entities.sftp_connection import SftpConnection
from cdp_exports.errors import DestinationRefused, TransientError

if TYPE_CHECKING:
    from asyncssh import SFTPClient


def open_sftp(connection: SftpConnection, root: Path, environ: Mapping[str, str], patience: Patience | None = None) -> SftpDestination:
    """The destination of an SFTP connection. Nothing is sent yet. Relative files of keys count from `root`.

    Raises:
        DeclarationError: asyncssh is not installed, a variable is not set, a key or a file cannot be read.
    """
    login = read_login(connection, root, environ)
    place = _address(connection)
    server = SftpServer(login, place, patience or Patience())
    folder = connection.folder or "."
    return SftpDestination(Pool(server, place, folder), SftpFiles(folder, place), place)


class SftpDestination:
    """Files appear under their name complete and read back; until then they are hidden beside it."""

    capabilities: Capabilities = capabilities_of("sftp")

    def __init__(self, pool: Pool, files: SftpFiles, place: str) -> None:
        self._pool, self._files, self._place = pool, files, place

    @property
    def place(self) -> str:
        return self._place

    def uri(self, path: str) -> str:
        return f"{self._place.rstrip('/')}/{'/'.join(safe_parts(path))}"

    def open(self, path: str) -> SftpWriter:
        return SftpWriter(self._pool, self._files, self._path(path), self.uri(path))

    def create(self, path: str, content: bytes) -> bool:
        return run(self._create(self._path(path), content))

    def put(self, path: str, content: bytes) -> None:
        target = self._path(path)

        async def put(sftp: SFTPClient) -> None:
            partial = await self._files.write_partial(sftp, target, content)
            try:
                await self._files.publish(sftp, partial, target)
            except BaseException:
                await self._files.remove_partial(sftp, partial)
                raise

        run(self._pool.repeated(put))

    def read(self, path: str) -> bytes | None:
        target = self._path(path)
        return run(self._pool.repeated(lambda sftp: self._read(sftp, target)))

    def stream(self, path: str) -> Iterator[bytes] | None:
        target = self._path(path)
        found = run(self._pool.repeated(lambda sftp: attributes(sftp, target)))
        return None if found is None or is_folder(found) else self._chunks(target, self.uri(path))

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[StoredObject]:
        return self._walk(f"{'/'.join(safe_parts(prefix))}/" if prefix else "", after)

    def delete(self, paths: Iterable[str]) -> None:
        targets = [self._path(path) for path in paths]
        if targets:
            run(self._pool.repeated(lambda sftp: self._files.delete(sftp, targets)))

    def abandon(self, paths: Iterable[str]) -> None:
        targets = [self._path(path) for path in paths]
        if targets:
            run(self._pool.repeated(lambda sftp: self._files.delete_partials(sftp, targets)))

    def probe(self) -> None:
        path = f"_probe-{secrets.token_hex(8)}"
        try:
            if not self.create(path, b"probe") or self.read(path) != b"probe" or path not in {found.path for found in self._top()}:
                raise DestinationRefused(
                    f"What is written to {self._place} does not stay there.",
                    next_step="Ask the server's administrator what moves files away as they arrive.",
                )
        finally:
            self.delete([path])

    def _path(self, path: str) -> str:
        return self._files.path(safe_parts(path))

    async def _create(self, target: str, content: bytes) -> bool:
        sent: list[str] = []  # the names of files that may stand there now, since a reply was lost

        async def create(sftp: SFTPClient) -> bool:
            if sent and (standing := await self._read(sftp, target)) is not None:
                return standing == content
            partial = await self._files.write_partial(sftp, target, content)
            perhaps_ours = bool(sent)
            sent.append(partial)
            if await self._files.name_new(sftp, partial, target):
                return True
            return perhaps_ours and await self._read(sftp, target) == content

        async def clean_up(sftp: SFTPClient) -> None:
            for partial in sent:
                await self._files.remove_partial(sftp, partial)

        try:
            return await self._pool.repeated(create)
        finally:
            if sent:
                await self._pool.repeated(clean_up)

    async def _read(self, sftp: SFTPClient, target: str) -> bytes | None:
        opened = await self._files.open_existing(sftp, target)
        if opened is None:
            return None
        file, size = opened
        async with file:
            return b"".join([chunk async for chunk in read_ahead(sftp, file, size, self._pool.patience.request)])

    def _chunks(self, target: str, uri: str) -> Iterator[bytes]:
        chunks = self._stream(target, uri)

        async def following() -> bytes:
            return await anext(chunks, b"")

        try:
            while chunk := run(following()):
                yield chunk
        finally:
            run(chunks.aclose())

    async def _stream(self, target: str, uri: str) -> AsyncGenerator[bytes]:
        async with self._pool.lease() as session:
            async with asyncio.timeout(self._pool.patience.request):
                opened = await self._files.open_existing(session.sftp, target)
            if opened is None:
                raise TransientError(f"{uri} was removed while it was looked at.", next_step="Run it again.")
            file, size = opened
            async with file:
                async for chunk in read_ahead(session.sftp, file, size, self._pool.patience.request):
                    yield chunk

    def _walk(self, prefix: str, after: str | None) -> Iterator[StoredObject]:
        for entry in sorted(self._entries(prefix), key=lambda entry: entry.name):
            path = prefix + entry.name
            if not path.endswith("/"):
                if after is None or path > after:
                    yield _stored(path, entry)
            elif after is None or path > after or after.startswith(path):
                yield from self._walk(path, after)

    def _top(self) -> Iterator[StoredObject]:
        return (_stored(entry.name, entry) for entry in self._entries("") if not entry.name.endswith("/"))

    def _entries(self, prefix: str) -> list[Entry]:
        folder = self._files.path(prefix.split("/")[:-1])
        return run(self._pool.repeated(lambda sftp: self._files.entries(sftp, folder)))


def _stored(path: str, entry: Entry) -> StoredObject:
    return StoredObject(path, entry.size, None if entry.modified is None else datetime.fromtimestamp(entry.modified, UTC))


def _address(connection: SftpConnection) -> str:
    """As curl and most programs write it: what counts from where the user starts stands below `~`."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host.lower()
    port = "" if connection.port == 22 else f":{connection.port}"
    folder = connection.folder if connection.folder.startswith("/") else f"/~/{connection.folder}"
    return f"sftp://{quote(connection.user, safe='')}@{host}{port}{folder}".rstrip("/")
