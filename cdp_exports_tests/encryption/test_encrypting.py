"""The stream: whatever goes in comes out at GnuPG; nothing is whole before the end."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdp_exports.encryption.encrypting import Encrypting
from cdp_exports.encryption.keys import PublicKey, read_keys
from cdp_exports.errors import DestinationRefused, TransientError, Unexpected
from cdp_exports_tests.servers.gnupg import Keyring


@pytest.fixture
def keys(keyring: Keyring, tmp_path: Path) -> tuple[PublicKey, ...]:
    (tmp_path / "both.asc").write_bytes(keyring.public("curve", "rsa"))
    return read_keys(["both.asc"], tmp_path, {}, datetime.now(UTC))


@pytest.mark.parametrize("sizes", [[], [0], [1], [65_536, 1, 0, 65_535], [3_000_000, 7]], ids=str)
def test_what_goes_in_comes_out(keyring: Keyring, keys: tuple[PublicKey, ...], sizes: list[int]) -> None:
    pieces: list[bytes] = []
    encrypting = Encrypting(keys, pieces.append)
    contents = [random.Random(size).randbytes(size) for size in sizes]
    for content, kind in zip(contents, (bytes, bytearray, memoryview, bytes), strict=False):
        assert encrypting.write(kind(content)) == len(content)
    encrypting.finish()
    message = b"".join(pieces)
    assert (encrypting.size, encrypting.sha256) == (len(message), hashlib.sha256(message).hexdigest())
    for name in ("curve", "rsa"):
        assert keyring.without(name).decrypt(message) == b"".join(contents)
    assert b"".join(contents)[:100] not in message or not contents or len(contents[0]) < 100


def test_it_gives_on_what_it_has_before_the_end(keys: tuple[PublicKey, ...]) -> None:
    pieces: list[bytes] = []
    encrypting = Encrypting(keys, pieces.append)
    for _ in range(20):
        encrypting.write(bytes(1 << 20))
    given = sum(map(len, pieces))
    encrypting.stop()
    assert given > 15 << 20, "more is on its way than pipes and the process hold"


def test_a_destination_that_fails_ends_it(keys: tuple[PublicKey, ...]) -> None:
    def full(_chunk: bytes) -> None:
        raise DestinationRefused("full", next_step="")

    encrypting = Encrypting(keys, full)
    with pytest.raises(DestinationRefused):
        encrypting.write(bytes(10 << 20))
    encrypting.stop()
    encrypting.stop()
    assert encrypting._process.returncode == -signal.SIGKILL


def test_a_process_that_is_killed(keys: tuple[PublicKey, ...]) -> None:
    for end in ("write", "finish"):
        encrypting = Encrypting(keys, lambda chunk: None)
        encrypting.write(bytes(100))
        os.kill(encrypting._process.pid, signal.SIGKILL)
        with pytest.raises(TransientError, match="was killed"):
            encrypting.write(bytes(10 << 20)) if end == "write" else encrypting.finish()
        encrypting.stop()


def test_a_process_that_fails() -> None:
    """A key that Sequoia refuses after all: it must not end in a file that is short or plain."""
    pieces: list[bytes] = []
    encrypting = Encrypting([PublicKey("00", None, b"no key")], pieces.append)
    with pytest.raises(Unexpected, match="exit status 1"):
        encrypting.finish()
    encrypting.stop()
    assert pieces == []
