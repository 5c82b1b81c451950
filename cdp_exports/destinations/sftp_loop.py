"""One asyncio loop in a thread of its own, behind the synchronous face of all SFTP destinations of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_started: list[asyncio.AbstractEventLoop] = []


def loop() -> asyncio.AbstractEventLoop:
    """The loop; it is started when it is first asked for and ends with the process."""
    with _lock:
        if not _started:
            made = asyncio.new_event_loop()
            threading.Thread(target=made.run_forever, name="cdp-exports-sftp", daemon=True).start()
            _started.append(made)
        return _started[0]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine there and wait for it. An interrupt from the keyboard ends the wait, and the coroutine too."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
