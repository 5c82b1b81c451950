"""Several connections to one server, opened when they are needed and replaced when they break."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from cdp_exports.destinations import sftp_loop
from cdp_exports.destinations.sftp_errors import asked_about_its_disk, is_lost, translate
from cdp_exports.destinations.sftp_server import Session, SftpServer
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

if TYPE_CHECKING:
    from asyncssh import SFTPClient

T = TypeVar("T")

_CONNECTIONS = 4


class Pool:
    """Gives whoever asks the connection that fewest work with, a new one while the server allows more."""

    def __init__(self, server: SftpServer, place: str, folder: str) -> None:
        self._server, self._place, self._folder = server, place, folder
        self.patience = server.patience
        self._sessions: list[Session] = []
        self._most = _CONNECTIONS
        self._opening = asyncio.Lock()
        self._refused: DestinationRefused | None = None
        weakref.finalize(self, _close, self._sessions)

    async def take(self) -> Session:
        """A connection to work with until it is given back or dropped. Raises DestinationRefused or TransientError."""
        async with self._opening:
            if self._refused:  # asking again could lock the user out
                raise self._refused
            self._sessions[:] = [session for session in self._sessions if session.alive]
            chosen = min(self._sessions, key=lambda session: session.users, default=None)
            if chosen is None or (chosen.users and len(self._sessions) < self._most):
                try:
                    opened = await self._server.connect()
                except CdpExportsError as error:
                    if chosen is None:
                        self._refused = error if isinstance(error, DestinationRefused) else None
                        raise
                    self._most = len(self._sessions)  # it allows no more
                else:
                    self._sessions.append(opened)
                    chosen = opened
            chosen.users += 1
            return chosen

    def give_back(self, session: Session) -> None:
        session.users -= 1

    def drop(self, session: Session) -> None:
        """Give back a connection that nobody shall use any more."""
        session.users -= 1
        session.connection.abort()
        if session in self._sessions:
            self._sessions.remove(session)

    @asynccontextmanager
    async def lease(self) -> AsyncGenerator[Session]:
        """A connection for a while. Errors become DestinationRefused or TransientError; one that is lost is not given to others."""
        import asyncssh

        session = await self.take()
        lost = False
        try:
            yield session
        except (OSError, EOFError, asyncssh.Error) as error:
            lost = is_lost(error)
            raise (translate(error, self._place) if lost else await self.explained(session, error)) from None
        finally:
            if lost:
                self.drop(session)
            else:
                self.give_back(session)

    async def repeated(self, step: Callable[[SFTPClient], Awaitable[T]], *, within: float | None = None) -> T:
        """Do what may be done twice, again while it fails in a way that may pass. `within`: seconds for one try, default: those of
        a request.
        """
        failure: TransientError | None = None
        for wait in self.patience.waits:
            await asyncio.sleep(wait)
            try:
                async with self.lease() as session, asyncio.timeout(within or self.patience.request):
                    return await step(session.sftp)
            except TransientError as error:
                failure = error
        assert failure is not None
        raise failure

    async def explained(self, session: Session, error: Exception) -> CdpExportsError:
        import asyncssh

        known = None
        if isinstance(error, asyncssh.SFTPFailure):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience.request):
                    known = await asked_about_its_disk(session.sftp, self._folder, self._place)
        return known or translate(error, self._place)


def _close(sessions: list[Session]) -> None:
    """Nobody can reach the pool any more: end its connections."""

    def close() -> None:
        for session in sessions:
            session.connection.close()

    if sessions:
        sftp_loop.loop().call_soon_threadsafe(close)
