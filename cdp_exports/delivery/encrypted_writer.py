"""A file that is encrypted before it reaches the destination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cdp_exports.encryption.encrypting import Encrypting
from cdp_exports.encryption.keys import PublicKey

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileWriter
    from cdp_exports.entities.capabilities import Proof


class EncryptedWriter:
    """A FileWriter before another one. `bytes` and `sha256` are those of what is stored, once it is closed."""

    def __init__(self, writer: FileWriter, keys: Sequence[PublicKey]) -> None:
        self._writer = writer
        self._encrypting = Encrypting(keys, writer.write)

    @property
    def bytes(self) -> int:
        return self._encrypting.size

    @property
    def sha256(self) -> str:
        return self._encrypting.sha256

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        return self._encrypting.write(data)

    def close(self) -> Proof:
        self._encrypting.finish()
        return self._writer.close()

    def abort(self) -> None:
        self._encrypting.stop()
        self._writer.abort()
