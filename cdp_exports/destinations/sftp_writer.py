"""One file on its way to an SFTP server."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from typing import TYPE_CHECKING

from cdp_exports.destinations.sftp_files import SftpFiles, attributes, read_ahead
from cdp_exports.destinations.sftp_loop import run
from cdp_exports.destinations.sftp_pool import Pool
from cdp_exports.destinations.sftp_upload import Upload
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import NotIntact

if TYPE_CHECKING:
    from asyncssh import SFTPClient


class SftpWriter:
    """Sends a hidden file, reads it back at the end and gives it its name.

    Both ways are compared by size and CRC-32, which finds what servers and their disks do to a file and costs next to
    nothing; the manifest's SHA-256 is the format's.
    """

    def __init__(self, pool: Pool, files: SftpFiles, target: str, uri: str) -> None:
        self._pool, self._files, self._target, self._uri = pool, files, target, uri
        self._upload = Upload(pool, files, target)
        self._rest = bytearray()
        self._crc = 0
        self._state = "open"  # then "closing", "renaming", where it is unknown which name the file has, and "done"
        run(self._upload.start())

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        from isal import isal_zlib

        if self._state != "open":
            raise ValueError("the file is closed")
        view = memoryview(data).cast("B")
        self._crc = isal_zlib.crc32(view, self._crc)
        length, batch = len(view), self._upload.batch
        while view:
            room = batch - len(self._rest)
            self._rest += view[:room]
            view = view[room:]
            if len(self._rest) == batch:
                self._send()
        return length

    def close(self) -> Proof:
        if self._state != "open":
            raise ValueError("the file is closed")
        self._state = "closing"
        if self._rest:
            self._send()
        run(self._finish())
        self._state = "done"
        return Proof.REREAD

    def abort(self) -> None:
        state, self._state = self._state, "done"
        if state != "done":
            with contextlib.suppress(Exception):
                run(self._abort(renaming=state == "renaming"))

    def _send(self) -> None:
        data, self._rest = bytes(self._rest), bytearray()
        run(self._upload.send(data))

    async def _finish(self) -> None:
        await self._upload.finish()
        written = (self._upload.size, self._crc)
        if await self._pool.repeated(self._read_back, within=float("inf")) != written:
            await self._pool.repeated(self._remove)
            raise NotIntact(
                f"What was read back of {self._uri} is not what was written.",
                next_step="Check the server and its disk; nothing was left there. Then run it again.",
            )
        await self._pool.repeated(self._publish)

    async def _read_back(self, sftp: SFTPClient) -> tuple[int, int] | None:
        from isal import isal_zlib

        async with asyncio.timeout(self._pool.patience.request):
            opened = await self._files.open_existing(sftp, self._upload.partial)
        if opened is None:
            return None
        file, size = opened
        crc = seen = 0
        async with file:
            async for chunk in read_ahead(sftp, file, size, self._pool.patience.request):
                crc = isal_zlib.crc32(chunk, crc)
                seen += len(chunk)
        return seen, crc

    async def _publish(self, sftp: SFTPClient) -> None:
        import asyncssh

        again, self._state = self._state == "renaming", "renaming"
        try:
            await self._files.publish(sftp, self._upload.partial, self._target)
        except asyncssh.SFTPNoSuchFile:
            found = await attributes(sftp, self._target) if again else None
            if found is None or found.size != self._upload.size:  # else it was renamed before, and only the reply was lost
                raise

    async def _remove(self, sftp: SFTPClient) -> None:
        await self._files.remove_partial(sftp, self._upload.partial)
        await self._files.prune(sftp, posixpath.dirname(self._target))

    async def _abort(self, *, renaming: bool) -> None:
        import asyncssh

        await self._upload.abandon()
        async with self._pool.lease() as session, asyncio.timeout(self._pool.patience.request):
            if self._upload.partial:
                try:
                    await session.sftp.remove(self._upload.partial)
                except asyncssh.SFTPNoSuchFile:
                    if renaming:
                        await session.sftp.remove(self._target)
            await self._files.prune(session.sftp, posixpath.dirname(self._target))
