"""The bytes of one file on their way to a server, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp_exports.destinations.sftp_errors import is_lost, translate
from cdp_exports.destinations.sftp_files import WINDOW, SftpFiles, block_size, synchronize
from cdp_exports.destinations.sftp_pool import Pool
from cdp_exports.errors import TransientError

if TYPE_CHECKING:
    from asyncssh.sftp import SFTPClientFile

    from cdp_exports.destinations.sftp_server import Session

_REQUESTS_AT_ONCE = 128
_BATCH = 256 << 10


@dataclass
class _Sent:
    """A block that the server has not confirmed yet."""

    block: bytes
    confirmation: asyncio.Task[int]


class Upload:
    """Writes a hidden file beside its target. Every block is kept until the server confirms it: when the connection breaks, another
    one is opened and those blocks go again, to where they belong. Several cuts without a confirmation in between are the end.
    """

    def __init__(self, pool: Pool, files: SftpFiles, target: str) -> None:
        self._pool, self._files, self._target = pool, files, target
        self._session: Session | None = None
        self._file: SFTPClientFile | None = None
        self._sent: dict[int, _Sent] = {}  # by offset, in order
        self._cuts = 0
        self.partial = ""
        self.size = 0
        self._block = 0  # bytes of a block
        self.batch = 0  # bytes that are best sent in one call: whole blocks

    async def start(self) -> None:
        await self._going_on(self._connected)

    async def send(self, data: bytes) -> None:
        """Put the next bytes on their way; waits while there is no room for them."""
        for start in range(0, len(data), self._block):
            block = data[start : start + self._block]
            while self._sent and (self.size - next(iter(self._sent)) >= WINDOW or len(self._sent) >= _REQUESTS_AT_ONCE):
                await self._going_on(self._confirm_one)
            await self._going_on(self._connected)
            self._put_on_its_way(self.size, block)
            self.size += len(block)

    async def finish(self) -> None:
        """Everything is confirmed, on the server's disk, and the file closed."""
        await self._going_on(self._finish)
        self._let_go()

    async def abandon(self) -> None:
        """Stop sending; the hidden file stays as it is."""
        self._cancel()
        if self._file is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._pool.patience.request):
                    await self._file.close()
        self._let_go()

    async def _finish(self) -> None:
        while self._sent:
            await self._confirm_one()
        assert self._file is not None
        async with asyncio.timeout(self._pool.patience.request):
            await synchronize(self._file)
            await self._file.close()

    async def _confirm_one(self) -> None:
        offset, sent = next(iter(self._sent.items()))
        async with asyncio.timeout(self._pool.patience.request):
            await sent.confirmation
        del self._sent[offset]
        self._cuts = 0

    async def _connected(self) -> None:
        """What `_going_on` sees to before every step."""

    async def _going_on(self, step: Callable[[], Awaitable[None]]) -> None:
        import asyncssh

        while True:
            try:
                if self._file is None:
                    await self._connect()
                return await step()
            except (OSError, EOFError, asyncssh.Error, TransientError) as error:
                await self._recover(error)

    async def _connect(self) -> None:
        self._session = await self._pool.take()
        sftp = self._session.sftp
        async with asyncio.timeout(self._pool.patience.request):
            if self.partial:
                self._file = await sftp.open(self.partial, "r+b", block_size=0)
            else:
                self.partial, self._file = await self._files.open_partial(sftp, self._target)
                self._block = block_size(sftp.limits.max_write_len)
                self.batch = self._block * max(1, _BATCH // self._block)
        for offset, sent in self._sent.items():
            self._put_on_its_way(offset, sent.block)

    def _put_on_its_way(self, offset: int, block: bytes) -> None:
        assert self._file is not None
        self._sent[offset] = _Sent(block, asyncio.ensure_future(self._file.write(block, offset)))

    async def _recover(self, error: Exception) -> None:
        """Wait before the next try after a cut; raise anything else."""
        self._cancel()
        session = self._session
        if session is not None and not is_lost(error):
            raise await self._pool.explained(session, error) from None
        self._session = self._file = None
        if session is not None:
            self._pool.drop(session)
        failure = translate(error, self._files.place)
        waits = self._pool.patience.waits
        self._cuts += 1
        if not isinstance(failure, TransientError) or self._cuts >= len(waits):
            raise failure from None
        await asyncio.sleep(waits[self._cuts])

    def _cancel(self) -> None:
        for sent in self._sent.values():
            sent.confirmation.cancel()

    def _let_go(self) -> None:
        session, self._session, self._file = self._session, None, None
        if session is not None:
            self._pool.give_back(session)
