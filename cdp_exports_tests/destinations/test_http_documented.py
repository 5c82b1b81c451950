"""The receiver that docs/http-endpoint.md shows does what the page asks of receivers."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cdp_exports.destinations.audience import Answered, AudienceDestination, Batch, Change, Rejected, Value
from cdp_exports.destinations.http import open_http
from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.http_connection import HTTP, HttpConnection
from cdp_exports.errors import DestinationRefused
from cdp_exports.testing.audiences import AudienceDestinationSuite, Held
from cdp_exports_tests.destinations.opened_http import IMPATIENT
from cdp_exports_tests.servers.endpoint import OLD_SECRET, SECRET

PAGE = (Path(__file__).parents[2] / "docs" / "http-endpoint.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Receiver:
    port: int
    folder: Path

    def opened(self, secret: str = SECRET) -> AudienceDestination:
        declared = {"type": "http", "url": f"http://localhost:{self.port}/", "signing_secret": {"env": "SECRET"}, "repeat": "by_key"}
        return open_http(HttpConnection.model_validate(declared), Path(), {"SECRET": secret}, IMPATIENT)

    def held(self, audience: str) -> dict[str, Any]:
        with closing(sqlite3.connect(self.folder / "audiences.db")) as database:
            rows = database.execute("SELECT id, entry FROM members WHERE audience = ?", (audience,)).fetchall()
        return {name: json.loads(entry) for name, entry in rows}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """The page's program, running in a folder of its own."""
    folder = tmp_path_factory.mktemp("receiver")
    [code] = re.findall(r"<!-- snippet: receiver -->\n```python\n(.*?)\n```", PAGE, re.DOTALL)
    (folder / "receiver.py").write_text(code, encoding="utf-8")
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    environ = {**os.environ, "SIGNING_SECRET": SECRET, "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "receiver.py"], cwd=folder, env=environ, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Receiver(port, folder)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the receiver does not listen")


@pytest.fixture
def receiver(program: Receiver) -> Receiver:
    """It holds nobody; the keys of earlier tests it knows."""
    with closing(sqlite3.connect(program.folder / "audiences.db")) as database, database:
        database.execute("DELETE FROM members")
    return program


class TestDocumented(AudienceDestinationSuite):
    declared: ClassVar[Capabilities | None] = HTTP

    def identity(self, number: int) -> dict[str, Value]:
        return {"id": f"member-{number}"}

    def values(self, number: int) -> dict[str, Value]:
        return {"id": f"member-{number}", "name": f"Zoë\u2028{number}"}

    @pytest.fixture
    def destination(self, receiver: Receiver) -> AudienceDestination:
        return receiver.opened()

    @pytest.fixture
    def held(self, receiver: Receiver) -> Held:
        return receiver.held

    @pytest.fixture
    def wrong(self, receiver: Receiver) -> AudienceDestination:
        return receiver.opened(OLD_SECRET)


def test_it_says_whom_it_does_not_take(receiver: Receiver) -> None:
    changes = [Change("entered", {"id": "1"}), Change("entered", {"id": None, "name": "Ann"})]
    assert receiver.opened().send("a", Batch("documented-1", changes)) == Answered((Rejected(1, "no_id"),))


def test_it_refuses_a_key_with_other_content(receiver: Receiver) -> None:
    receiver.opened().send("a", Batch("documented-2", [Change("entered", {"id": "1"})]))
    with pytest.raises(DestinationRefused, match="with other content"):
        receiver.opened().send("a", Batch("documented-2", [Change("entered", {"id": "2"})]))
    assert set(receiver.held("a")) == {"1"}
