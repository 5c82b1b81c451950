"""One file on its way into an object store."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from typing import TYPE_CHECKING

from cdp_exports.destinations.store_api import StoreApi, Stored, translated
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import DestinationRefused, NotIntact

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PART_SIZE = 16 << 20
"""Bytes in every part but the last; a file shorter than this goes in one request."""

PARTS_AT_ONCE = 4
MAX_PARTS = 10_000  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


class ObjectWriter:
    """Streams a file in parts and keeps, from their boundaries, the checksum that the store will report."""

    def __init__(self, store: ObjectStore, api: StoreApi, path: str, uri: str) -> None:
        import obstore

        self._store, self._api, self._path, self._uri = store, api, path, uri
        with translated(api):
            self._file = obstore.open_writer(store, path, buffer_size=PART_SIZE, max_concurrency=PARTS_AT_ONCE)
        self._part = hashlib.sha256()
        self._room = PART_SIZE
        self._digests: list[bytes] = []
        self._size = 0
        self._state = "open"  # then "closing", where it is unknown what stands there, then "done"

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        rest = memoryview(data).cast("B")
        length = len(rest)
        with translated(self._api):
            self._file.write(rest)
        self._size += length
        while rest:
            piece, rest = rest[: self._room], rest[self._room :]
            self._part.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._next_part()
        return length

    def close(self) -> Proof:
        if self._state != "open":
            raise ValueError("the file is closed")
        self._state = "closing"
        with translated(self._api):
            self._file.close()
        stored = self._api.stored(self._path)
        if stored is None or not stored.agrees_with(self._written()):
            self._remove()
            raise NotIntact(f"What {self._uri} held was not what was written.", next_step="It was removed. Run it again.")
        self._state = "done"
        return Proof.STORED if stored.sha256 else Proof.TRANSPORT

    def abort(self) -> None:
        state, self._state = self._state, "done"
        if state == "open":
            try:
                self._file.__exit__(RuntimeError, RuntimeError("aborted"), None)  # without an error it would complete the file
            except Exception:  # noqa: BLE001 whatever happened, the uploads are looked for below
                state = "closing"
        if state == "closing":
            with contextlib.suppress(Exception):
                stored = self._api.stored(self._path)
                if stored and stored.agrees_with(self._written()):  # completed, and only the reply was lost
                    self._remove()
            with contextlib.suppress(Exception):
                self._api.abort_uploads({self._path})

    def _next_part(self) -> None:
        self._digests.append(self._part.digest())
        self._part, self._room = hashlib.sha256(), PART_SIZE
        if len(self._digests) >= MAX_PARTS:
            raise DestinationRefused(
                f"{self._uri} grew to {MAX_PARTS * PART_SIZE >> 30} GiB, more than an object store takes in one file.",
                next_step="Split it with `max_rows_per_file`.",
            )

    def _written(self) -> Stored:
        if not self._digests:
            return Stored(self._size, base64.b64encode(self._part.digest()).decode())
        digests = self._digests + ([self._part.digest()] if self._room < PART_SIZE else [])
        composite = hashlib.sha256(b"".join(digests)).digest()
        return Stored(self._size, f"{base64.b64encode(composite).decode()}-{len(digests)}")

    def _remove(self) -> None:
        import obstore

        with translated(self._api):
            obstore.delete(self._store, self._path)
