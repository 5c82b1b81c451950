"""What the errors of SSH and SFTP mean for a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

if TYPE_CHECKING:
    from asyncssh import SFTPClient

_READ_ONLY_FLAG = 1
_NO_RIGHT = ("the user has no right to do this", "Give the user the right to write, read and delete there.")
_NO_SPACE = ("there is no space left on the server", "Free some space there, or name a folder on another disk.")
_NO_FOLDER = ("there is no such folder", "Create it on the server, or correct the connection's `folder`.")
_READ_ONLY = ("the file system is read-only", "Ask the server's administrator to mount it writable.")
_BAD_NAME = ("the server cannot hold such a name", "Shorten or change the export's `path` or `file_name`.")
_IN_THE_WAY = (
    "a file stands where a folder is needed, or a folder where a file is",
    "Move it away, or change the export's `path`.",
)
_NO_SFTP = (
    "the user was let in, but got no SFTP",
    "Ask the server's administrator: the user needs the SFTP subsystem, and a password that has not expired.",
)
_NO_CHOICE = (
    "the server cannot decide who writes a file first",
    "It must offer hardlink@openssh.com on a file system with hard links, or refuse to rename onto a file that exists.",
)


def refused(place: str, what: tuple[str, str]) -> DestinationRefused:
    message, next_step = what
    return DestinationRefused(f"{place}: {message}.", next_step=next_step)


def no_folder(place: str) -> DestinationRefused:
    return refused(place, _NO_FOLDER)


def in_the_way(place: str) -> DestinationRefused:
    return refused(place, _IN_THE_WAY)


def no_sftp(place: str) -> DestinationRefused:
    return refused(place, _NO_SFTP)


def no_choice(place: str) -> DestinationRefused:
    return refused(place, _NO_CHOICE)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, or silent for too long, so that nobody knows what became of the request."""
    import asyncssh

    lost = (OSError, EOFError, asyncssh.DisconnectError, asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)
    return isinstance(error, lost)


async def asked_about_its_disk(sftp: SFTPClient, folder: str, place: str) -> DestinationRefused | None:
    """OpenSSH says only that something failed where a disk is full or read-only; here it says more, if it knows."""
    import asyncssh

    try:
        disk = await sftp.statvfs(folder)
    except (OSError, asyncssh.Error):  # it is gone, or does not offer this
        return None
    if disk.flags & _READ_ONLY_FLAG:
        return refused(place, _READ_ONLY)
    if not disk.bavail or (disk.files and not disk.favail):
        return refused(place, _NO_SPACE)
    return None


def translate(error: Exception, place: str) -> CdpExportsError:
    """What an error of asyncssh means, without what the server said: that may repeat anything."""
    import asyncssh

    if isinstance(error, CdpExportsError):
        return error
    for kinds, what in (
        ((asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete), _NO_RIGHT),
        ((asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded), _NO_SPACE),
        ((asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath), _NO_FOLDER),
        ((asyncssh.SFTPNotADirectory, asyncssh.SFTPFileIsADirectory), _IN_THE_WAY),
        ((asyncssh.SFTPBadMessage, asyncssh.SFTPInvalidFilename, asyncssh.SFTPInvalidParameter), _BAD_NAME),
    ):
        if isinstance(error, kinds):
            return refused(place, what)
    if isinstance(error, TimeoutError):
        return TransientError(
            f"{place} did not answer in time.", next_step="Run it again; if it stays, check the server and the way to it."
        )
    if is_lost(error):
        return TransientError(
            f"{place} could not be reached, or the connection was cut.",
            next_step="Run it again; if it stays, check `host` and `port`, the server, and the way to it.",
        )
    return TransientError(
        f"{place}: the server failed and did not say why.",
        next_step="Run it again; if it stays, look into the server's log: a quota may be used up.",
    )
