"""A TCP proxy that breaks connections on purpose, and file systems that are full or read-only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import pytest

Direction = Literal["up", "down"]


@dataclass
class Fault:
    """One thing that goes wrong on a proxied connection.

    `when`: armed once these bytes went up on a connection; empty: at once.
    `after`: it strikes when this many bytes more went in its direction.
    `times`: how often it strikes over all connections; None: always.
    `reply`: what `answer` says in the server's place, at once when it is armed.
    `slow` waits for a moment before everything it passes on.
    """

    kind: Literal["refuse", "reset", "stall", "corrupt", "slow", "answer"]
    direction: Direction = "up"
    when: bytes = b""
    after: int = 0
    times: int | None = None
    reply: bytes = b""


@dataclass
class _Armed:
    """A fault on one connection: how many bytes may still pass, None until it is armed."""

    fault: Fault
    left: int | None = None


class FaultProxy:
    """Forwards TCP from a free port on loopback to `host:port`; `faults` may be changed at any time, `fired` says what struck.

    `tls`: it shows a certificate, and takes the encryption off. `sent`: bytes that came from clients.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = (host, port)
        self._tls = tls
        self.faults: list[Fault] = []
        self.fired: list[Fault] = []
        self.connections = self.sent = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break all connections that stand now."""
        self._run(self._cut())

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _close(self) -> None:
        self._server.close()
        for _ in range(3):  # connections that were just taken come to be served only now, and what is aborted closes a moment later
            await self._cut()
            await asyncio.sleep(0.02)

    async def _cut(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._serve(reader, writer)
        _reset(writer)
        self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if any(fault.kind == "refuse" and self._strikes(fault) for fault in self.faults):
            return
        up_reader, up_writer = await asyncio.open_connection(*self.target)
        armed = [_Armed(fault, None if fault.when else fault.after) for fault in self.faults if fault.kind != "refuse"]
        pumps = [
            asyncio.create_task(self._pump(reader, up_writer, "up", armed, writer)),
            asyncio.create_task(self._pump(up_reader, writer, "down", armed, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            _reset(up_writer)  # before anything that another cut could interrupt
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Direction,
        armed: list[_Armed],
        back: asyncio.StreamWriter,
    ) -> None:
        tail = b""
        while data := await reader.read(1 << 16):
            if direction == "up":
                self.sent += len(data)
                tail = _arm(armed, tail, data)
            for one in armed:
                if one.fault.direction != direction or one.left is None:
                    continue
                if one.fault.kind == "slow":
                    await asyncio.sleep(0.02)
                elif one.fault.kind == "answer":
                    if self._strikes(one.fault):
                        await _answer(reader, back, one.fault.reply)
                        return
                elif len(data) <= one.left:
                    one.left -= len(data)
                elif self._strikes(one.fault):
                    if one.fault.kind == "reset":
                        writer.write(data[: one.left])
                        return
                    if one.fault.kind == "stall":
                        await asyncio.sleep(3600)
                    data = data[: one.left] + bytes([data[one.left] ^ 0xFF]) + data[one.left + 1 :]
                    one.left = None
            writer.write(data)
            await writer.drain()

    def _strikes(self, fault: Fault) -> bool:
        if fault.times is not None:
            if fault.times == 0:
                return False
            fault.times -= 1
        self.fired.append(fault)
        return True


def _arm(armed: list[_Armed], tail: bytes, data: bytes) -> bytes:
    """Arm what waited for bytes that now went up; the tail is kept because they may be cut in two."""
    text = tail + data
    for one in armed:
        if one.left is None and one.fault.when and (at := text.find(one.fault.when)) >= 0:
            upward = one.fault.direction == "up"
            one.left = one.fault.after + (max(0, at + len(one.fault.when) - len(tail)) if upward else 0)
    return text[-256:]


async def _answer(reader: asyncio.StreamReader, back: asyncio.StreamWriter, reply: bytes) -> None:
    """Say this, and listen to the rest of what is sent: a client that is not heard out may not read the answer."""
    back.write(reply)
    await back.drain()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while await reader.read(1 << 16):
                pass


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a machine that went away does."""
    if (sock := writer.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class _Mounts:
    """Small file systems of their own, taken away at the end of the test."""

    mounted: list[Path] = field(default_factory=list)

    def full(self, folder: Path, megabytes: int) -> Path:
        """A disk with room for so many megabytes."""
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
        self.mounted.append(folder)
        return folder

    def read_only(self, folder: Path) -> None:
        """From now on nothing in this mounted folder can be changed, not even by root."""
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


@pytest.fixture
def mounts() -> Iterator[_Mounts]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount file systems")
    mounts = _Mounts()
    yield mounts
    for folder in mounts.mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
