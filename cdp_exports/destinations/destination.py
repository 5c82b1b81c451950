"""What a file destination can do. Paths are relative to the connection's folder, with `/`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cdp_exports.entities.capabilities import Capabilities, Proof


@dataclass(frozen=True)
class StoredObject:
    """One object as the destination lists it. `size` in bytes."""

    path: str
    size: int
    modified: datetime | None


class FileWriter(Protocol):
    """One file on its way. Nothing is visible at its path before `close` returns."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...

    def close(self) -> Proof:
        """Complete the file and prove it. Raises NotIntact if what is stored is something else."""
        ...

    def abort(self) -> None:
        """Give up: leaves no file and no open upload. Never raises; may be called after a failed `close`."""
        ...


class FileDestination(Protocol):
    """A place for files. Raises DestinationRefused (terminal) or TransientError, nothing else."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def place(self) -> str:
        """The resolved store, bucket and folder as one URI without secrets; two connections that share it share folders."""
        ...

    def uri(self, path: str) -> str:
        """The full address of a path, as a person or another tool would type it."""
        ...

    def open(self, path: str) -> FileWriter:
        """Start writing a file. An existing one is replaced at `close`."""
        ...

    def create(self, path: str, content: bytes) -> bool:
        """Create a small object only where none is: True if this call created it, False if another stands there.

        A lost reply is resolved by looking: True if exactly this content stands there.
        """
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write a small object, replacing what is there, atomically."""
        ...

    def read(self, path: str) -> bytes | None:
        """A small object's content, None where there is none."""
        ...

    def stream(self, path: str) -> Iterator[bytes] | None:
        """A file's content in chunks, None where there is none."""
        ...

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[StoredObject]:
        """Objects below a folder in order of their path; those after `after` only, where given."""
        ...

    def delete(self, paths: Iterable[str]) -> None:
        """Remove files if they are there, and abort uploads to exactly these paths that were left open."""
        ...

    def abandon(self, paths: Iterable[str]) -> None:
        """Abort uploads to exactly these paths that were left open; files that stand there stay."""
        ...

    def probe(self) -> None:
        """Check that signing in, listing and writing are possible, leaving nothing behind."""
        ...
