"""One file on its way into Azure, in blocks."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future
from threading import Event, Thread

from cdp_exports.destinations.azure_blocks import Block, Blocks
from cdp_exports.destinations.checksums import PART_SIZE, Digest, of_parts
from cdp_exports.destinations.object_upload import PARTS_AT_ONCE


class BlockUpload:
    """Blocks are hashed as they are filled; several are on their way at once, each in a thread that nobody waits for at the end."""

    def __init__(self, blocks: Blocks, path: str) -> None:
        self._blocks, self._path = blocks, path
        self._pieces: list[bytes] = []
        self._md5, self._room = _md5(), PART_SIZE
        self._sending: deque[Future[None]] = deque()
        self._begun: list[Block] = []
        self._given_up = Event()

    def write(self, piece: memoryview) -> None:
        while piece:
            part, piece = piece[: self._room], piece[self._room :]
            self._pieces.append(bytes(part))
            self._md5.update(part)
            self._room -= len(part)
            if not self._room:
                self._send()

    def complete(self) -> None:
        if self._pieces:
            self._send()
        try:
            for sent in self._sending:
                sent.result()
        except BaseException:
            self.give_up()
            raise
        self._blocks.commit(self._path, self._begun)

    def give_up(self) -> None:
        self._given_up.set()

    def checksum(self) -> str:
        return of_parts([block.md5 for block in self._begun])

    def _send(self) -> None:
        if len(self._sending) == PARTS_AT_ONCE:
            self._sending.popleft().result()
        block, content, sent = Block(len(self._begun), self._md5.digest()), b"".join(self._pieces), Future[None]()
        self._pieces, self._md5, self._room = [], _md5(), PART_SIZE
        Thread(target=self._put, args=(block, content, sent), name="azure-block", daemon=True).start()
        self._begun.append(block)
        self._sending.append(sent)

    def _put(self, block: Block, content: bytes, sent: Future[None]) -> None:
        try:
            sent.set_result(self._blocks.put(self._path, block, content, self._given_up))
        except BaseException as error:  # noqa: BLE001 it is raised where the result is asked for
            sent.set_exception(error)


def _md5() -> Digest:
    return hashlib.md5(usedforsecurity=False)
