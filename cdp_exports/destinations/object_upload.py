"""The bytes of one file on their way into an object store, in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cdp_exports.destinations.checksums import PART_SIZE, Checksum

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PARTS_AT_ONCE = 4


class Upload(Protocol):
    """Nothing is visible before `complete` returns."""

    def write(self, piece: memoryview) -> None: ...

    def complete(self) -> None: ...

    def give_up(self) -> None:
        """Stop sending. May raise; parts may stay that nobody sees."""
        ...

    def checksum(self) -> str:
        """Of all that was written, as the store will tell it."""
        ...


class ObstoreUpload:
    """By obstore, which knows how each store takes parts."""

    def __init__(self, store: ObjectStore, path: str, checksum: Checksum) -> None:
        import obstore

        self._file = obstore.open_writer(store, path, buffer_size=PART_SIZE, max_concurrency=PARTS_AT_ONCE)
        self._checksum = checksum

    def write(self, piece: memoryview) -> None:
        self._file.write(piece)
        self._checksum.update(piece)

    def complete(self) -> None:
        self._file.close()

    def give_up(self) -> None:
        self._file.__exit__(RuntimeError, RuntimeError("given up"), None)  # without an error it would complete the file

    def checksum(self) -> str:
        return self._checksum.text()
