"""One file on its way into an object store."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.store_api import StoreApi, Stored, translated
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import DestinationRefused, NotIntact, TransientError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

MAX_PARTS = 10_000  # of Amazon S3 and Google Cloud Storage; Azure takes more


class ObjectWriter:
    """Sends a file and compares what the store then holds."""

    def __init__(self, store: ObjectStore, api: StoreApi, path: str, uri: str) -> None:
        self._store, self._api, self._path, self._uri = store, api, path, uri
        with translated(api):
            self._upload = api.upload(store, path)
        self._size = 0
        self._state = "open"  # then "closing", where it is unknown what stands there, then "done"

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        piece = memoryview(data).cast("B")
        self._size += len(piece)
        if self._size > MAX_PARTS * PART_SIZE:
            raise DestinationRefused(
                f"{self._uri} grew to {MAX_PARTS * PART_SIZE >> 30} GiB, more than an object store takes in one file.",
                next_step="Split it with `max_rows_per_file`.",
            )
        with translated(self._api):
            self._upload.write(piece)
        return len(piece)

    def close(self) -> Proof:
        if self._state != "open":
            raise ValueError("the file is closed")
        self._state = "closing"
        try:
            with translated(self._api):
                self._upload.complete()
        except TransientError:
            stored = self._api.stored(self._path)
            if not self._is_ours(stored):  # else only the reply was lost
                raise
        else:
            stored = self._api.stored(self._path)
        if stored is None or not self._is_ours(stored):
            self._remove()
            raise NotIntact(f"What {self._uri} held was not what was written.", next_step="It was removed. Run it again.")
        self._state = "done"
        return stored.proof

    def abort(self) -> None:
        state, self._state = self._state, "done"
        if state == "open":
            try:
                self._upload.give_up()
            except Exception:  # noqa: BLE001 whatever happened, the uploads are looked for below
                state = "closing"
        if state == "closing":
            with contextlib.suppress(Exception):
                if self._is_ours(self._api.stored(self._path)):  # completed, and only the reply was lost
                    self._remove()
            with contextlib.suppress(Exception):
                self._api.abort_uploads({self._path})

    def _is_ours(self, stored: Stored | None) -> bool:
        return stored is not None and stored.agrees_with(self._size, self._upload.checksum())

    def _remove(self) -> None:
        import obstore

        with translated(self._api), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, self._path)
