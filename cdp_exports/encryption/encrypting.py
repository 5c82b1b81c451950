"""One file encrypted on its way, in bounded memory, whatever its size."""

from __future__ import annotations

import hashlib
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from cdp_exports.encryption import worker
from cdp_exports.encryption.keys import PublicKey
from cdp_exports.errors import DestinationRefused, TransientError, Unexpected

_CHUNK = 1 << 20


class Encrypting:
    """Takes a file's bytes and gives what they become to `sink`; `size` and `sha256` are those of what it gave.

    Another process encrypts. If this one dies, it ends too, and what it says then reaches nobody.

    Raises:
        DestinationRefused: this machine does not pass streams by path.
        TransientError: the process was killed.
        Unexpected: it failed.
    """

    def __init__(self, keys: Sequence[PublicKey], sink: Callable[[bytes], object]) -> None:
        if not Path("/dev/fd").exists():
            raise DestinationRefused("This machine has no /dev/fd, which encrypting needs.", next_step="Run exports on Linux or macOS.")
        self.size = 0
        self._sink, self._digest = sink, hashlib.sha256()
        self._process = subprocess.Popen(  # noqa: S603  the package's own file
            [sys.executable, "-P", worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its traceback may show what it read
            bufsize=0,
            start_new_session=True,  # an interrupt from the keyboard is this process's to handle
        )
        os.set_blocking(self._stdin.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self.write(b"".join(len(key.content).to_bytes(4, "big") + key.content for key in keys) + bytes(4))

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Encrypt more; gives on what came out so far."""
        left = memoryview(data).cast("B")
        total = len(left)
        while left:
            for ready, _ in self._selector.select():
                if ready.fileobj is self._stdout:
                    if not self._give():
                        raise self._ended()
                else:
                    left = left[self._feed(left) :]
        return total

    def finish(self) -> None:
        """The last bytes. Only after this the file is a whole message."""
        self._selector.unregister(self._stdin)
        self._stdin.close()
        while self._give():
            pass
        if self._process.wait() != 0:
            raise self._ended()
        self.stop()

    def stop(self) -> None:
        """End the process, whatever it does. Never raises; may be called again."""
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._stdin.close()
        self._stdout.close()

    def _feed(self, left: memoryview) -> int:
        try:
            return os.write(self._stdin.fileno(), left[:_CHUNK])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            raise self._ended() from None

    def _give(self) -> bool:
        chunk = os.read(self._stdout.fileno(), _CHUNK)
        self.size += len(chunk)
        self._digest.update(chunk)
        if chunk:
            self._sink(chunk)
        return bool(chunk)

    def _ended(self) -> TransientError | Unexpected:
        code = self._process.wait()
        if code < 0:
            return TransientError(
                f"The process that encrypts was killed (signal {-code}).", next_step="Run it again; mind the machine's memory."
            )
        return Unexpected(f"The process that encrypts failed (exit status {code}).", next_step="Report it; `plan` shows the keys.")

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout
