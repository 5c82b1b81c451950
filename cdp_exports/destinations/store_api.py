"""What an object store must be asked in its own way, beside obstore."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from cdp_exports.destinations.object_upload import Upload
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@dataclass(frozen=True)
class Stored:
    """What a store holds at a path, and what it proves if it agrees with what was written."""

    size: int
    checksum: str | None
    """Made as that of the upload is; None if the store tells none."""

    proof: Proof

    def agrees_with(self, size: int, checksum: str) -> bool:
        """Whether this is what was written. Some stores leave out the number of parts, `-N`."""
        same = self.checksum is None or self.checksum.partition("-")[0] == checksum.partition("-")[0]
        return same and self.size == size


class StoreApi(Protocol):
    """A store's own interface. Paths are relative to the connection's folder."""

    in_order: bool
    """Whether listings come in the order of the UTF-8 bytes of their keys."""

    no_bucket: re.Pattern[str]
    """What its answers hold where there is no bucket."""

    @property
    def credentials_expire(self) -> datetime | None:
        """When a person must renew the credentials, as far as they say so themselves."""
        ...

    def upload(self, store: ObjectStore, path: str) -> Upload:
        """Begin to send a file. Raises DestinationRefused, TransientError, or what obstore raises."""
        ...

    def stored(self, path: str) -> Stored | None:
        """What stands at a path, with the strongest checksum of it that is to be had."""
        ...

    def abort_uploads(self, paths: Collection[str]) -> None:
        """Give up uploads to exactly these paths that were left open."""
        ...

    def translate(self, error: Exception) -> CdpExportsError:
        """What an error of obstore means: DestinationRefused or TransientError, without secrets."""
        ...


@contextmanager
def translated(api: StoreApi, *, but: type[Exception] | tuple[type[Exception], ...] = ()) -> Generator[None]:
    """Raise obstore's errors as ours. The original is left out: a store's answer may quote signed headers, tokens among them."""
    from obstore.exceptions import BaseError

    try:
        yield
    except but:
        raise
    except (BaseError, OSError) as error:
        raise api.translate(error) from None


def common_folder(keys: Collection[str]) -> str:
    """The deepest folder that holds all the keys: one listing finds their uploads."""
    first, last = min(keys), max(keys)
    if first == last:
        return first
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first.rfind("/", 0, same) + 1]
