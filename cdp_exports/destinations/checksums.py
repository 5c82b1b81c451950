"""Checksums of a file on its way, made as its store makes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, cast

PART_SIZE = 16 << 20
"""Bytes in every part but the last; a file shorter than this goes in one request."""


class Checksum(Protocol):
    """Of what went through `update` so far."""

    def update(self, data: memoryview, /) -> None: ...

    def text(self) -> str: ...


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class InParts:
    """The digest of a file in one part, else of its parts' digests."""

    def __init__(self, new: Callable[[], Digest]) -> None:
        self._new, self._part = new, new()
        self._room = PART_SIZE
        self._digests: list[bytes] = []

    def update(self, data: memoryview, /) -> None:
        while data:
            piece, data = data[: self._room], data[self._room :]
            self._part.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._digests.append(self._part.digest())
                self._part, self._room = self._new(), PART_SIZE

    def text(self) -> str:
        if not self._digests:
            return base64.b64encode(self._part.digest()).decode()
        return of_parts(self._digests + ([self._part.digest()] if self._room < PART_SIZE else []))


def of_parts(digests: Sequence[bytes]) -> str:
    """The SHA-256 of parts' digests, in base64, then their number: what Amazon S3 calls a composite checksum."""
    return f"{base64.b64encode(hashlib.sha256(b''.join(digests)).digest()).decode()}-{len(digests)}"


class Crc32c:
    """CRC-32C of the whole file, big-endian, in base64: what Google Cloud Storage computes of every object."""

    def __init__(self) -> None:
        self._value: int = 0

    def update(self, data: memoryview, /) -> None:
        import google_crc32c

        self._value = cast("int", google_crc32c.extend(self._value, bytes(data)))

    def text(self) -> str:
        return base64.b64encode(self._value.to_bytes(4, "big")).decode()
