"""A process of its own that encrypts its input to its output, started by `encrypting.py`.

Sequoia's encryption of files streams, takes paths only, and holds Python's lock while it runs: beside a thread that feeds it,
it would never end. Input: the size of each key in four bytes, then the key; four zero bytes; then what is to be encrypted.
"""

from __future__ import annotations

import os
import sys


def read_exactly(size: int) -> bytes:
    """So many bytes of the input and none more: the rest is not Python's to buffer."""
    content = b""
    while len(content) < size:
        chunk = os.read(0, size - len(content))
        if not chunk:
            sys.exit(2)  # whoever started this is gone
        content += chunk
    return content


def encrypt_input() -> None:
    """Encrypt to the keys, without another layer of compression: the formats bring their own."""
    from pysequoia import Cert, encrypt_file

    keys: list[Cert] = []
    while size := int.from_bytes(read_exactly(4), "big"):
        keys.append(Cert.from_bytes(read_exactly(size)))
    encrypt_file("/dev/fd/0", "/dev/fd/1", recipients=keys, armor=False)


if __name__ == "__main__":
    encrypt_input()
