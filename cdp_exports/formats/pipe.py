"""A bounded pipe between the thread that encodes and the one that sends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")

_LISTEN_SECONDS = 0.2
"""How often a waiting reader looks up: while a Polars query runs, a wait without a limit does not notice SIGINT."""


class Abandoned(Exception):
    """The reader is gone: whoever still writes should stop."""


class Pipe(Generic[T]):
    """A queue of at most `size` items that either end can end: the writer with `close`, the reader with `abandon`.

    A full pipe holds the writer back, so a slow destination slows the query down instead of filling memory.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._abandoned = False

    def put(self, item: T) -> None:
        """Add an item, waiting for room. Raises Abandoned if nobody will read it."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._items) < self._size)
            if self._abandoned:
                raise Abandoned
            self._items.append(item)
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more will come; the reader gets `error` after what was put before."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nothing more will be read."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()

    def check(self) -> None:
        """Raises Abandoned if nobody will read what is put."""
        if self._abandoned:
            raise Abandoned

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not (self._items or self._closed):
                    self._changed.wait(_LISTEN_SECONDS)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error
