"""What a format does: turn a lazy frame into files, counted and hashed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class ByteStream(Protocol):
    """Where the bytes of one file go; the delivery opens it at the destination and closes it."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int: ...


@dataclass(frozen=True)
class WrittenFile:
    """One file as it was written: `rows` and `bytes` counted, `sha256` (hex) of exactly those bytes."""

    index: int
    rows: int
    bytes: int
    sha256: str


OpenFile = Callable[[int], ByteStream]
"""Opens the file with this index (0, 1, ...); called just before its first byte, never for a file without rows."""

FileDone = Callable[[WrittenFile], None]
"""Called when all bytes of a file were written, before the next one is opened or after."""
