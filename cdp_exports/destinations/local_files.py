"""Files that are complete or not there, on disk or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cdp_exports.destinations.destination import StoredObject
from cdp_exports.destinations.partial_names import new_partial_name, partial_stem, stem_of_partial
from cdp_exports.errors import DestinationRefused

CHUNK = 1 << 20

NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""No file has this name."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def new_partial(file: Path) -> tuple[int, Path]:
    """A hidden file beside `file`, open for writing."""
    partial = file.with_name(new_partial_name(file.name))
    for _ in range(10):
        with contextlib.suppress(FileNotFoundError):  # another process removed the folder again: it was empty
            make_folder(file.parent)
            return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), partial
    raise FileNotFoundError(errno.ESTALE, "the folder disappears again and again", str(file.parent))


def write_all(fd: int, data: bytes | bytearray | memoryview) -> int:
    """Write every byte; the system may take fewer at once."""
    rest = memoryview(data).cast("B")
    length = rest.nbytes
    while rest:
        rest = rest[os.write(fd, rest) :]
    return length


def finish(fd: int) -> None:
    """Put the file on disk and close it, even if that fails."""
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Put the folder's entries on disk; some network file systems cannot, and do it by themselves."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, on disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        sync_folder(folder.parent)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def link_new(partial: Path, file: Path) -> bool:
    """Let a finished file appear under its name, if nothing has that name; decided by the file system."""
    try:
        os.link(partial, file)
        return True
    except FileExistsError:
        # NFS repeats a request whose reply was lost, and then finds its own link
        return partial.stat().st_nlink > 1
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise DestinationRefused(
            f"The file system at {file.parent} has no hard links, so it cannot decide who writes a file first.",
            next_step="Name a folder on another file system, or a connection of another type.",
        ) from error


def crc_on_disk(file: Path) -> tuple[int, int]:
    """Size and CRC-32 of what a file holds, read from the disk where the system lets go of what it remembers."""
    from isal import isal_zlib

    crc = size = 0
    with file.open("rb", buffering=0) as stream:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        buffer = memoryview(bytearray(CHUNK))
        while count := stream.readinto(buffer):
            crc = isal_zlib.crc32(buffer[:count], crc)
            size += count
    return size, crc


def walk(folder: Path, prefix: str) -> Iterator[StoredObject]:
    """Files below a folder in order of their path. Symbolic links are not followed, partial files are not shown."""
    try:
        entries = [(entry.name + "/" * entry.is_dir(follow_symlinks=False), entry) for entry in os.scandir(folder)]
    except NO_FILE:
        return
    for name, entry in sorted(entries, key=lambda pair: pair[0]):
        if name.endswith("/"):
            yield from walk(folder / entry.name, prefix + name)
        elif entry.is_file(follow_symlinks=False) and not stem_of_partial(name):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                found = entry.stat(follow_symlinks=False)
                yield StoredObject(prefix + name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def delete_files(files: Iterable[Path]) -> None:
    """Remove files and what killed writers left of exactly these."""
    gone = list(files)
    for file in gone:
        with contextlib.suppress(*NO_FILE):
            file.unlink()
    delete_partials(gone)


def delete_partials(files: Iterable[Path]) -> None:
    """Remove what killed writers left of these files."""
    by_folder: dict[Path, set[str]] = {}
    for file in files:
        by_folder.setdefault(file.parent, set()).add(partial_stem(file.name))
    for folder, stems in by_folder.items():
        with contextlib.suppress(*NO_FILE):
            for beside in folder.iterdir():
                if stem_of_partial(beside.name) in stems:
                    beside.unlink(missing_ok=True)


def prune(folder: Path, root: Path) -> None:
    """Remove a folder and those above it that are empty, up to the root, which stays."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:  # not empty, or not ours to remove
            return
        folder = folder.parent
