"""A folder on this machine or on a mounted share."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path

from cdp_exports.destinations import local_files as files
from cdp_exports.destinations.destination import StoredObject
from cdp_exports.destinations.local_errors import translated
from cdp_exports.destinations.paths import safe_parts
from cdp_exports.entities.capabilities import Capabilities, Proof, capabilities_of
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.errors import DestinationRefused, NotIntact


def open_local(connection: LocalConnection, root: Path, environ: Mapping[str, str]) -> LocalDestination:
    """The destination of a local connection. Relative folders count from `root`."""
    return LocalDestination(root / connection.folder)


class LocalDestination:
    """Files appear under their name complete and read back; until then they are hidden beside it."""

    capabilities: Capabilities = capabilities_of("local")

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))

    @property
    def place(self) -> str:
        return self._folder.as_uri()

    def uri(self, path: str) -> str:
        return str(self._folder.joinpath(*safe_parts(path)))

    def open(self, path: str) -> LocalWriter:
        with translated(self._folder):
            return LocalWriter(self._file(path), self._folder)

    def create(self, path: str, content: bytes) -> bool:
        with translated(self._folder):
            file = self._file(path)
            with _finished(file, content) as partial:
                created = files.link_new(partial, file)
            files.sync_folder(file.parent)
            return created

    def put(self, path: str, content: bytes) -> None:
        with translated(self._folder):
            file = self._file(path)
            with _finished(file, content) as partial:
                partial.replace(file)
            files.sync_folder(file.parent)

    def read(self, path: str) -> bytes | None:
        with translated(self._folder):
            try:
                return self._file(path).read_bytes()
            except files.NO_FILE:
                return None

    def stream(self, path: str) -> Iterator[bytes] | None:
        with translated(self._folder):
            try:
                file = self._file(path).open("rb", buffering=0)
            except files.NO_FILE:
                return None
        return self._chunks(file)

    def _chunks(self, file: io.FileIO) -> Iterator[bytes]:
        with file, translated(self._folder):
            while chunk := file.read(files.CHUNK):
                yield chunk

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[StoredObject]:
        with translated(self._folder):
            folder = self._file(prefix) if prefix else self._folder
            for found in files.walk(folder, f"{prefix}/" if prefix else ""):
                if after is None or found.path > after:
                    yield found

    def delete(self, paths: Iterable[str]) -> None:
        with translated(self._folder):
            gone = [self._file(path) for path in paths]
            files.delete_files(gone)
            for folder in {file.parent for file in gone}:
                files.prune(folder, self._folder)

    def abandon(self, paths: Iterable[str]) -> None:
        with translated(self._folder):
            files.delete_partials(self._file(path) for path in paths)

    def probe(self) -> None:
        path = f"_probe-{secrets.token_hex(8)}"
        try:
            if not self.create(path, b"probe") or path not in {found.path for found in self.list("")}:
                raise DestinationRefused(
                    f"What is written to {self._folder} does not stay there.", next_step="Check what is mounted at this folder."
                )
        finally:
            self.delete([path])

    def _file(self, path: str) -> Path:
        file = self._folder.joinpath(*safe_parts(path))
        if not Path(os.path.realpath(file)).is_relative_to(self._folder):
            raise DestinationRefused(
                f"{path!r} leads out of {self._folder} through a symbolic link.",
                next_step="Remove the link, or name the folder that it leads to in the connection.",
            )
        return file


class LocalWriter:
    """Writes a hidden file, reads it back at the end and gives it its name.

    Both ways are compared by size and CRC-32, which finds what disks and shares do to a file and costs next to nothing;
    the manifest's SHA-256 is the format's.
    """

    def __init__(self, file: Path, root: Path) -> None:
        self._file, self._root = file, root
        self._crc = self._size = 0
        self._fd: int | None
        self._fd, self._partial = files.new_partial(file)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        from isal import isal_zlib

        if self._fd is None:
            raise ValueError("the file is closed")
        with translated(self._root):
            length = files.write_all(self._fd, data)
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += length
        return length

    def close(self) -> Proof:
        if self._fd is None:
            raise ValueError("the file is closed")
        with translated(self._root):
            fd, self._fd = self._fd, None
            files.finish(fd)
            if files.crc_on_disk(self._partial) != (self._size, self._crc):
                self._partial.unlink()
                raise NotIntact(
                    f"What was read back of {self._file} is not what was written.",
                    next_step="Check the disk or share; nothing was left there. Then run it again.",
                )
            self._partial.replace(self._file)
            files.sync_folder(self._file.parent)
        return Proof.REREAD

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            if self._fd is not None:
                fd, self._fd = self._fd, None
                os.close(fd)
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)
            files.prune(self._file.parent, self._root)


@contextlib.contextmanager
def _finished(file: Path, content: bytes) -> Generator[Path]:
    """A complete hidden file on disk, gone at the end if it did not get a name."""
    fd, partial = files.new_partial(file)
    try:
        try:
            files.write_all(fd, content)
        finally:
            files.finish(fd)
        yield partial
    finally:
        partial.unlink(missing_ok=True)
