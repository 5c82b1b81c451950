"""What an object store must be asked in its own way, beside obstore."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from cdp_exports.errors import CdpExportsError


@dataclass(frozen=True)
class Stored:
    """An object's size in bytes and its SHA-256 (base64; of the parts' digests, `...-N`, where it went in N parts), None if unknown."""

    size: int
    sha256: str | None

    def agrees_with(self, written: Stored) -> bool:
        """Whether this, as the store reports it, is what was written. Some stores leave out the number of parts."""
        if self.sha256 is None or written.sha256 is None:
            return self.size == written.size
        return self.size == written.size and self.sha256.partition("-")[0] == written.sha256.partition("-")[0]


class StoreApi(Protocol):
    """A store's own interface. Paths are relative to the connection's folder."""

    in_order: bool
    """Whether listings come in the order of the UTF-8 bytes of their keys."""

    def stored(self, path: str) -> Stored | None:
        """What stands at a path, with the checksum that the store computed."""
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
