"""What NDJSON and CSV have in common: batches encoded side by side, then joined in order, gzipped or plain."""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl

_LEVEL = 2
"""ISA-L's level: 1 is as fast and up to 3 % larger, 3 takes twice the time for 2 % less (measured on 5 million rows)."""

_CHUNK = 1 << 20
_WORKERS = min(os.cpu_count() or 1, 4)

_HEADER = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, 0, 0, 0xFF)  # RFC 1952: deflate, no name, no time, unknown system
_LAST_BLOCK = b"\x03\x00"  # an empty final deflate block


@dataclass(frozen=True)
class _Block:
    """One encoded batch; `crc` and `size` are of the text before compression."""

    data: bytes
    rows: int
    crc: int = 0
    size: int = 0


def encode(
    batches: Iterator[pl.DataFrame],
    to_text: Callable[[pl.DataFrame], bytes],
    compression: Literal["gzip", "none"],
    emit: Callable[[bytes], None],
    *,
    header: bytes = b"",
) -> int:
    """Encode one file. Returns the number of rows in the encoded batches.

    The gzip file is one member, as every reader knows it: each batch is a run of deflate blocks of its own (RFC 1951)
    that ends on a byte boundary, so that several threads can compress at once.
    """
    block = _deflated if compression == "gzip" else _plain
    rows, crc, size = 0, 0, 0
    if compression == "gzip":
        emit(_HEADER)
    for part in _in_order(batches, lambda batch: block(to_text(batch), batch.height), first=block(header, 0)):
        rows += part.rows
        crc, size = _crc32_combine(crc, part), size + part.size
        for start in range(0, len(part.data), _CHUNK):
            emit(part.data[start : start + _CHUNK])
    if compression == "gzip":
        emit(_LAST_BLOCK + struct.pack("<II", crc, size & 0xFFFFFFFF))
    return rows


def _in_order(batches: Iterator[pl.DataFrame], encoded: Callable[[pl.DataFrame], _Block], *, first: _Block) -> Iterator[_Block]:
    """Encode a few batches at a time; never more than one ahead of the threads."""
    yield first
    pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="cdp-exports-text")
    try:
        waiting: deque[Future[_Block]] = deque()
        for batch in batches:
            waiting.append(pool.submit(encoded, batch))
            if len(waiting) > _WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _plain(text: bytes, rows: int) -> _Block:
    return _Block(text, rows)


def _deflated(text: bytes, rows: int) -> _Block:
    from isal import isal_zlib

    compressor = isal_zlib.compressobj(_LEVEL, wbits=-15)
    data = compressor.compress(text) + compressor.flush(isal_zlib.Z_SYNC_FLUSH)
    return _Block(data, rows, isal_zlib.crc32(text), len(text))


def _crc32_combine(crc: int, part: _Block) -> int:
    from isal import isal_zlib

    return isal_zlib.crc32_combine(crc, part.crc, part.size)
