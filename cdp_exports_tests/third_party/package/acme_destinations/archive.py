"""Files in a SQLite database. A file's parts are written as they come, and its name is given to them at the end."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

from acme_destinations import ARCHIVE, ArchiveConnection
from acme_destinations.database import transaction
from cdp_exports.destinations.destination import StoredObject
from cdp_exports.destinations.paths import safe_parts
from cdp_exports.entities.capabilities import Capabilities, Proof
from cdp_exports.errors import CdpExportsError, NotIntact

_TABLES = """
    CREATE TABLE IF NOT EXISTS parts (upload TEXT, number INTEGER, path TEXT, content BLOB, PRIMARY KEY (upload, number)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, upload TEXT, size INTEGER, modified TEXT) WITHOUT ROWID;
"""
_PART = 1 << 20


def open_archive(connection: ArchiveConnection, root: Path, environ: Mapping[str, str]) -> Archive:
    """Nothing is sent yet. Secrets, had it any, would be read here: `connection.password.reveal(environ)`."""
    return Archive(root / connection.database)


class Archive:
    """A FileDestination."""

    capabilities: Capabilities = ARCHIVE.capabilities

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def place(self) -> str:
        return f"acme-archive://{self._file.resolve()}"

    def uri(self, path: str) -> str:
        return f"{self.place}#{_safe(path)}"

    def open(self, path: str) -> ArchiveWriter:
        return ArchiveWriter(self, _safe(path))

    def create(self, path: str, content: bytes) -> bool:
        with self.transaction() as database:
            if self.upload(database, _safe(path)):
                return False
            self._store(database, path, content)
            return True

    def put(self, path: str, content: bytes) -> None:
        with self.transaction() as database:
            self._store(database, _safe(path), content)

    def read(self, path: str) -> bytes | None:
        found = self.stream(path)
        return None if found is None else b"".join(found)

    def stream(self, path: str) -> Iterator[bytes] | None:
        with self.transaction() as database:
            upload = self.upload(database, _safe(path))
        return None if upload is None else self.parts(upload)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[StoredObject]:
        folder = f"{_safe(prefix)}/" if prefix else ""
        query = "SELECT path, size, modified FROM files WHERE substr(path, 1, length(?1)) = ?1 AND path > ?2 ORDER BY path"
        with self.transaction() as database:
            rows = database.execute(query, (folder, after or "")).fetchall()
        return (StoredObject(path, size, datetime.fromisoformat(modified)) for path, size, modified in rows)

    def delete(self, paths: Iterable[str]) -> None:
        gone = [(_safe(path),) for path in paths]
        with self.transaction() as database:
            database.executemany("DELETE FROM files WHERE path = ?", gone)
            database.executemany("DELETE FROM parts WHERE path = ?", gone)

    def abandon(self, paths: Iterable[str]) -> None:
        left = [(_safe(path),) for path in paths]
        with self.transaction() as database:
            database.executemany("DELETE FROM parts WHERE path = ? AND upload NOT IN (SELECT upload FROM files)", left)

    def probe(self) -> None:
        path = f"_probe-{secrets.token_hex(8)}"
        try:
            self.create(path, b"probe")
        finally:
            self.delete([path])

    def transaction(self) -> AbstractContextManager[Connection]:
        return transaction(self._file, _TABLES)

    def upload(self, database: Connection, path: str) -> str | None:
        """Under which id a file's parts stand."""
        found = database.execute("SELECT upload FROM files WHERE path = ?", (path,)).fetchone()
        return found and found[0]

    def parts(self, upload: str) -> Iterator[bytes]:
        number = 0
        while True:
            with self.transaction() as database:
                found = database.execute("SELECT content FROM parts WHERE upload = ? AND number = ?", (upload, number)).fetchone()
            if found is None:
                return
            yield found[0]
            number += 1

    def _store(self, database: Connection, path: str, content: bytes) -> None:
        upload = secrets.token_hex(8)
        database.execute("INSERT INTO parts VALUES (?, 0, ?, ?)", (upload, path, content))
        self.name(database, path, upload, len(content))

    def name(self, database: Connection, path: str, upload: str, size: int) -> None:
        """From now on the parts are the file; those of the one before go."""
        database.execute("DELETE FROM parts WHERE path = ?1 AND upload = (SELECT upload FROM files WHERE path = ?1)", (path,))
        database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (path, upload, size, datetime.now(UTC).isoformat()))


class ArchiveWriter:
    """A FileWriter."""

    def __init__(self, archive: Archive, path: str) -> None:
        self._archive, self._path, self._upload = archive, path, secrets.token_hex(8)
        self._waiting, self._number, self._size = bytearray(), 0, 0
        self._written = hashlib.sha256()
        self._closed = False

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._waiting += data
        self._written.update(data)
        self._size += len(data)
        while len(self._waiting) >= _PART:
            self._send(_PART)
        return len(data)

    def close(self) -> Proof:
        self._send(len(self._waiting))
        stored = hashlib.sha256()
        for part in self._archive.parts(self._upload):
            stored.update(part)
        if stored.digest() != self._written.digest():
            self.abort()
            raise NotIntact(f"{self._path} is not stored as it was written.", next_step="Check the disk, then run it again.")
        with self._archive.transaction() as database:
            self._archive.name(database, self._path, self._upload, self._size)
        self._closed = True
        return Proof.REREAD

    def abort(self) -> None:
        if not self._closed:
            with suppress(CdpExportsError), self._archive.transaction() as database:
                database.execute("DELETE FROM parts WHERE upload = ?", (self._upload,))

    def _send(self, size: int) -> None:
        part, self._waiting = bytes(self._waiting[:size]), self._waiting[size:]
        with self._archive.transaction() as database:
            database.execute("INSERT INTO parts VALUES (?, ?, ?, ?)", (self._upload, self._number, self._path, part))
        self._number += 1


def _safe(path: str) -> str:
    """The path, if it stays below the connection's folder; else DestinationRefused."""
    return "/".join(safe_parts(path))
