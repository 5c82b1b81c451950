"""A folder of an object store's bucket; the bytes go through obstore."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cdp_exports.destinations.destination import StoredObject
from cdp_exports.destinations.object_writer import ObjectWriter
from cdp_exports.destinations.paths import safe_parts
from cdp_exports.destinations.store_api import StoreApi, translated
from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.errors import DestinationRefused, TransientError

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

_CHUNK = 8 << 20
_DELETED_AT_ONCE = 250
_CREATE_WAITS = (0.0, 0.2, 1.0, 3.0)  # seconds before each try


@dataclass(frozen=True)
class ObjectStoreDestination:
    """`store` reads and writes below the folder. `store_once` is the same without retries: a conditional create that
    is repeated unseen finds its own object and reports another's.
    """

    store: ObjectStore
    store_once: ObjectStore
    api: StoreApi
    capabilities: Capabilities
    place: str
    address: str  # the folder's, as other tools write it

    @property
    def credentials_expire(self) -> datetime | None:
        return self.api.credentials_expire

    def uri(self, path: str) -> str:
        return f"{self.address}/{_safe(path)}"

    def open(self, path: str) -> ObjectWriter:
        return ObjectWriter(self.store, self.api, _safe(path), self.uri(path))

    def create(self, path: str, content: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        perhaps_ours = False
        failure = TransientError(f"Others write {self.uri(path)} all the time.", next_step="Run it again.")
        for wait in _CREATE_WAITS:
            time.sleep(wait)
            try:
                with translated(self.api, but=AlreadyExistsError):
                    obstore.put(self.store_once, _safe(path), content, mode="create", use_multipart=False)
                return True
            except AlreadyExistsError:
                standing = self.read(path)
                if standing is not None:  # else it met a request that itself did not win
                    return perhaps_ours and standing == content
            except TransientError as error:  # the reply was lost: look what became of it
                perhaps_ours, failure = True, error
                with contextlib.suppress(TransientError):
                    standing = self.read(path)
                    if standing is not None:
                        return standing == content
        raise failure

    def put(self, path: str, content: bytes) -> None:
        import obstore

        with translated(self.api):
            obstore.put(self.store, _safe(path), content, use_multipart=False)

    def read(self, path: str) -> bytes | None:
        import obstore

        with translated(self.api):
            try:
                return bytes(obstore.get(self.store, _safe(path)).bytes())
            except FileNotFoundError as error:
                if self.api.no_bucket.search(str(error)):
                    raise
                return None

    def stream(self, path: str) -> Iterator[bytes] | None:
        import obstore
        from obstore.exceptions import PermissionDeniedError

        silent = (FileNotFoundError, PermissionDeniedError)
        try:
            with translated(self.api, but=silent):
                meta = obstore.head(self.store, _safe(path))
        except silent:  # the answer to HEAD does not say why: no file, no bucket, a wrong key
            content = self.read(path)
            return None if content is None else iter((content,))
        return self._chunks(meta)

    def _chunks(self, meta: ObjectMeta) -> Iterator[bytes]:
        """A request a chunk, so that no timeout bounds the whole; each asks for the very object that was found first."""
        import obstore

        for start in range(0, meta["size"], _CHUNK):
            chunk = (start, min(start + _CHUNK, meta["size"]))
            with translated(self.api):
                found = obstore.get(self.store, meta["path"], options={"range": chunk, "if_match": meta["e_tag"]})
                yield bytes(found.bytes())

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[StoredObject]:
        folder = _safe(prefix) if prefix else None
        if self.api.in_order:
            return self._listed(folder, after)
        found = sorted(self._listed(folder, None), key=lambda entry: entry.path)
        return (entry for entry in found if after is None or entry.path > after)

    def _listed(self, folder: str | None, after: str | None) -> Iterator[StoredObject]:
        import obstore

        with translated(self.api):
            for chunk in obstore.list(self.store, folder, offset=after, chunk_size=1000):
                for entry in chunk:
                    yield StoredObject(entry["path"], entry["size"], entry["last_modified"])

    def delete(self, paths: Iterable[str]) -> None:
        gone = [_safe(path) for path in paths]
        if gone:
            with translated(self.api):
                for start in range(0, len(gone), _DELETED_AT_ONCE):
                    self._delete(gone[start : start + _DELETED_AT_ONCE])
            self.api.abort_uploads(set(gone))

    def abandon(self, paths: Iterable[str]) -> None:
        if named := {_safe(path) for path in paths}:
            self.api.abort_uploads(named)

    def _delete(self, paths: Sequence[str]) -> None:
        """Some stores complain of one that is not there, and do not say what became of the others."""
        import obstore

        try:
            obstore.delete(self.store, paths)
        except FileNotFoundError as error:
            if self.api.no_bucket.search(str(error)):
                raise
            if len(paths) > 1:
                for path in paths:
                    self._delete([path])

    def probe(self) -> None:
        path = f"_probe-{secrets.token_hex(8)}"
        next(self._listed(path, None), None)
        try:
            if not self.create(path, b"probe"):
                raise DestinationRefused(f"{self.place} does not create objects as asked.", next_step="Check the store at `endpoint_url`.")
        finally:
            self.delete([path])


def _safe(path: str) -> str:
    return "/".join(safe_parts(path))
