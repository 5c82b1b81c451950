"""Files of an SFTP server that are complete or not there. Paths are the server's, as they are sent."""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp_exports.destinations.partial_names import new_partial_name, partial_stem, stem_of_partial
from cdp_exports.destinations.sftp_errors import asked_about_its_disk, in_the_way, no_choice, no_folder

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient
    from asyncssh.sftp import SFTPClientFile, SFTPName

WINDOW = 4 << 20
"""Bytes that are on their way at once, in either direction."""

_DELETES_AT_ONCE = 64


@dataclass(frozen=True)
class Entry:
    """What stands in a folder; a folder's name ends with a slash. `modified`: seconds since 1970."""

    name: str
    size: int
    modified: int | None


@dataclass(frozen=True)
class SftpFiles:
    """`root`: the connection's folder, which must exist; what is below it is made as it is needed, and removed when it is empty."""

    root: str
    place: str

    def path(self, parts: Iterable[str]) -> str:
        return posixpath.join(self.root, *parts)

    async def open_partial(self, sftp: SFTPClient, target: str) -> tuple[str, SFTPClientFile]:
        """A new hidden file beside the target, open for writing at any offset."""
        import asyncssh

        folder, name = posixpath.split(target)
        partial = posixpath.join(folder, new_partial_name(name))
        for _ in range(10):
            try:
                return partial, await sftp.open(partial, "xb", block_size=0)
            except asyncssh.SFTPNoSuchFile:  # perhaps for the second time: others remove folders that are empty
                await self._make_folder(sftp, folder)
        return partial, await sftp.open(partial, "xb", block_size=0)

    async def write_partial(self, sftp: SFTPClient, target: str, content: bytes) -> str:
        """A hidden file beside the target that holds the content, on disk."""
        import asyncssh

        partial, file = await self.open_partial(sftp, target)
        try:
            block = block_size(sftp.limits.max_write_len)
            for start in range(0, len(content), block):
                await file.write(content[start : start + block], start)
            await synchronize(file)
            await file.close()
        except BaseException as error:  # noqa: BLE001 it is raised again
            known = await asked_about_its_disk(sftp, self.root, self.place) if isinstance(error, asyncssh.SFTPFailure) else None
            with contextlib.suppress(Exception):
                await file.close()
            await self.remove_partial(sftp, partial)
            raise known or error from None
        return partial

    async def remove_partial(self, sftp: SFTPClient, partial: str) -> None:
        with contextlib.suppress(Exception):  # it is hidden, and the next delete of the file looks for it
            await sftp.remove(partial)

    async def publish(self, sftp: SFTPClient, partial: str, target: str) -> None:
        """Give a finished file its name, in the place of what has it."""
        import asyncssh

        try:
            await sftp.posix_rename(partial, target)
        except asyncssh.SFTPOpUnsupported:
            await self._publish_in_steps(sftp, partial, target)
        except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied):
            await self._no_folder_has_the_name(sftp, target)
            raise

    async def _publish_in_steps(self, sftp: SFTPClient, partial: str, target: str) -> None:
        """Renaming in SFTP 3 fails where something has the name: that is moved aside first, and back if it does not work out."""
        import asyncssh

        aside = None
        if await attributes(sftp, target):
            await self._no_folder_has_the_name(sftp, target)
            folder, name = posixpath.split(target)
            aside = posixpath.join(folder, new_partial_name(name))
            await sftp.rename(target, aside)
        try:
            await sftp.rename(partial, target)
        except (OSError, asyncssh.Error):
            if aside:
                with contextlib.suppress(Exception):
                    await sftp.rename(aside, target)
            raise
        if aside:
            await self.remove_partial(sftp, aside)

    async def name_new(self, sftp: SFTPClient, partial: str, target: str) -> bool:
        """Give a finished file a name that nothing has, decided by the server; False if something has it."""
        import asyncssh

        try:
            await sftp.link(partial, target)
            return True
        except asyncssh.SFTPOpUnsupported:
            if not await self._renames_onto_nothing_only(sftp, target):
                raise no_choice(self.place) from None
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists, asyncssh.SFTPPermissionDenied):
            if found := await attributes(sftp, target):
                if is_folder(found):
                    raise in_the_way(self.place) from None
                return False
            raise
        try:
            await sftp.rename(partial, target)
            return True
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            await self._no_folder_has_the_name(sftp, target)
            if await attributes(sftp, target):
                return False
            raise

    async def _renames_onto_nothing_only(self, sftp: SFTPClient, target: str) -> bool:
        """Whether this server does as SFTP 3 says; some rename onto whatever stands there. Tried with two files of our own."""
        import asyncssh

        one, other = [await self.write_partial(sftp, target, b"") for _ in range(2)]
        try:
            await sftp.rename(one, other)
        except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            return True
        finally:
            for partial in (one, other):
                await self.remove_partial(sftp, partial)
        return False

    async def open_existing(self, sftp: SFTPClient, path: str) -> tuple[SFTPClientFile, int] | None:
        """A file to read, and its size; None where there is no file."""
        import asyncssh

        try:
            file = await sftp.open(path, "rb", block_size=0)
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPFileIsADirectory, asyncssh.SFTPNotADirectory):
            return None
        try:
            found = await file.stat()
        except BaseException:
            await file.close()
            raise
        if is_folder(found):
            await file.close()
            return None
        return file, found.size or 0

    async def entries(self, sftp: SFTPClient, folder: str) -> list[Entry]:
        """What stands in a folder, unsorted, without partial files, symbolic links and the like; nothing where there is no folder."""
        return [
            Entry(f"{name.filename}/" if is_folder(name.attrs) else str(name.filename), name.attrs.size or 0, name.attrs.mtime)
            for name in await self._names(sftp, folder)
            if is_folder(name.attrs) or (_is_file(name.attrs) and not stem_of_partial(str(name.filename)))
        ]

    async def _names(self, sftp: SFTPClient, folder: str) -> list[SFTPName]:
        import asyncssh

        try:
            return [name async for name in sftp.scandir(folder) if name.filename not in (".", "..")]
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
            if folder == self.root:
                raise no_folder(self.place) from None
            return []

    async def delete(self, sftp: SFTPClient, targets: list[str]) -> None:
        """Remove files if they are there, and what killed writers left of exactly these."""
        for start in range(0, len(targets), _DELETES_AT_ONCE):
            await asyncio.gather(*(self._remove(sftp, target) for target in targets[start : start + _DELETES_AT_ONCE]))
        await self.delete_partials(sftp, targets)

    async def delete_partials(self, sftp: SFTPClient, targets: list[str]) -> None:
        """Remove what killed writers left of these files, and folders that are empty then."""
        stems: dict[str, set[str]] = {}
        for folder, name in map(posixpath.split, targets):
            stems.setdefault(folder, set()).add(partial_stem(name))
        for folder in sorted(stems, reverse=True):
            for name in await self._names(sftp, folder):
                if stem_of_partial(str(name.filename)) in stems[folder]:
                    await self._remove(sftp, posixpath.join(folder, str(name.filename)))
            await self.prune(sftp, folder)

    async def _remove(self, sftp: SFTPClient, path: str) -> None:
        import asyncssh

        try:
            await sftp.remove(path)
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory, asyncssh.SFTPFileIsADirectory):
            pass
        except asyncssh.SFTPError:
            found = await attributes(sftp, path)
            if found and not is_folder(found):
                raise

    async def prune(self, sftp: SFTPClient, folder: str) -> None:
        """Remove a folder and those above it that are empty, up to the root, which stays."""
        import asyncssh

        while folder != self.root:
            try:
                await sftp.rmdir(folder)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                pass
            except asyncssh.SFTPError:  # not empty, or not ours to remove
                return
            folder = posixpath.dirname(folder)

    async def _make_folder(self, sftp: SFTPClient, folder: str) -> None:
        import asyncssh

        if found := await attributes(sftp, folder):
            if is_folder(found):
                return
            raise in_the_way(self.place)
        if folder == self.root:
            raise no_folder(self.place)
        await self._make_folder(sftp, posixpath.dirname(folder))
        try:
            await sftp.mkdir(folder)
        except asyncssh.SFTPError:  # another made it meanwhile
            found = await attributes(sftp, folder)
            if found is None or not is_folder(found):
                raise

    async def _no_folder_has_the_name(self, sftp: SFTPClient, target: str) -> None:
        found = await attributes(sftp, target)
        if found and is_folder(found):
            raise in_the_way(self.place)


async def attributes(sftp: SFTPClient, path: str) -> SFTPAttrs | None:
    """What stands at a path, None for nothing."""
    import asyncssh

    try:
        return await sftp.stat(path)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
        return None


async def synchronize(file: SFTPClientFile) -> None:
    """Put a file on the server's disk, where it offers that."""
    import asyncssh

    with contextlib.suppress(asyncssh.SFTPOpUnsupported):
        await file.fsync()


def is_folder(found: SFTPAttrs) -> bool:
    from asyncssh.constants import FILEXFER_TYPE_DIRECTORY

    return found.type == FILEXFER_TYPE_DIRECTORY


def _is_file(found: SFTPAttrs) -> bool:
    from asyncssh.constants import FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN

    return found.type in (FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_UNKNOWN)


def block_size(limit: int) -> int:
    """Bytes of one request. Every server takes 32 KiB (draft-ietf-secsh-filexfer-02, section 3), which asyncssh does not count on where
    the server does not say what it takes; more than 256 KiB is not any faster.
    """
    return max(32 << 10, min(limit, 256 << 10))


async def read_ahead(sftp: SFTPClient, file: SFTPClientFile, size: int, patience: float) -> AsyncGenerator[bytes]:
    """The bytes up to `size`, or fewer where the file is shorter. Several requests are on their way at once, none waits for longer
    than `patience`, in seconds.
    """
    block = block_size(sftp.limits.max_read_len)
    at = asked = 0
    pending: deque[asyncio.Task[bytes]] = deque()
    try:
        while at < size:
            while asked < size and asked - at < WINDOW:
                length = min(block, size - asked)
                pending.append(asyncio.ensure_future(file.read(length, asked)))
                asked += length
            expected = min(block, size - at)
            async with asyncio.timeout(patience):
                chunk = await pending.popleft()
            if not chunk:
                return
            yield chunk
            at += len(chunk)
            if len(chunk) < expected:  # those that follow were asked for from further on
                _cancel(pending)
                asked = at
    finally:
        _cancel(pending)


def _cancel(tasks: deque[asyncio.Task[bytes]]) -> None:
    for task in tasks:
        task.cancel()
    tasks.clear()
