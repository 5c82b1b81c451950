"""One file on its way into Azure, in blocks."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future
from threading import Event, Thread

from cdp_exports.destinations.azure_blocks import Block, Blocks
from cdp_exports.destinations.checksums import PART_SIZE, of_parts
from cdp_exports.destinations.object_upload import PARTS_AT_ONCE


class BlockUpload:
    """Several blocks are on their way at once, each hashed and sent in a thread of its own, which nobody waits for at the end."""

    def __init__(self, blocks: Blocks, path: str) -> None:
        self._blocks, self._path = blocks, path
        self._pieces: list[bytes] = []
        self._room = PART_SIZE
        self._sending: deque[Future[Block]] = deque()
        self._sent: list[Block] = []
        self._begun = 0
        self._given_up = Event()

    def write(self, piece: memoryview) -> None:
        while piece:
            part, piece = piece[: self._room], piece[self._room :]
            self._pieces.append(bytes(part))
            self._room -= len(part)
            if not self._room:
                self._send()

    def complete(self) -> None:
        if self._pieces:
            self._send()
        try:
            while self._sending:
                self._wait_for_one()
        except BaseException:
            self.give_up()
            raise
        self._blocks.commit(self._path, self._sent)

    def give_up(self) -> None:
        self._given_up.set()

    def checksum(self) -> str:
        return of_parts([block.md5 for block in self._sent])

    def _send(self) -> None:
        if len(self._sending) == PARTS_AT_ONCE:
            self._wait_for_one()
        content, self._pieces, self._room = b"".join(self._pieces), [], PART_SIZE
        sent: Future[Block] = Future()
        Thread(target=self._put, args=(self._begun, content, sent), name="azure-block", daemon=True).start()
        self._sending.append(sent)
        self._begun += 1

    def _wait_for_one(self) -> None:
        self._sent.append(self._sending.popleft().result())

    def _put(self, index: int, content: bytes, sent: Future[Block]) -> None:
        try:
            block = Block(index, hashlib.md5(content, usedforsecurity=False).digest())
            self._blocks.put(self._path, block, content, self._given_up)
            sent.set_result(block)
        except BaseException as error:  # noqa: BLE001 it is raised where the result is asked for
            sent.set_exception(error)
