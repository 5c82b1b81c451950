"""CRC-32C, as Google computes it of what it stores."""

from __future__ import annotations

import base64
from collections.abc import Sequence

_POLYNOMIAL = 0x82F63B78  # reversed: https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4


def crc32c(content: bytes) -> int:
    import google_crc32c

    return google_crc32c.value(content)


def joined(parts: Sequence[tuple[int, int]]) -> int:
    """Of a whole, from the CRC and the length of each part: that of those before is carried through as many zero bytes.

    >>> joined([(crc32c(b"hello "), 6), (crc32c(b"world"), 5)]) == crc32c(b"hello world")
    True
    """
    whole = 0
    for crc, length in parts:
        whole = _through_zeros(whole, length) ^ crc
    return whole


def header(crc: int) -> str:
    return f"crc32c={base64.b64encode(crc.to_bytes(4, 'big')).decode()}"


def _through_zeros(crc: int, length: int) -> int:
    """One zero bit is a matrix over the field of two elements; squared it is two, and so on."""
    matrix = [_POLYNOMIAL, *(1 << bit for bit in range(31))]
    for _ in range(3):
        matrix = [_times(matrix, column) for column in matrix]
    while length:
        if length & 1:
            crc = _times(matrix, crc)
        matrix = [_times(matrix, column) for column in matrix]
        length >>= 1
    return crc


def _times(matrix: Sequence[int], vector: int) -> int:
    found = 0
    for column in matrix:
        if vector & 1:
            found ^= column
        vector >>= 1
    return found
