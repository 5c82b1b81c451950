"""LinkedIn for tests: its sign-in and its Marketing API on loopback, with what goes wrong there.

`book` is what it knows (see `linkedin_book.py`); `book.held("vip")` is who is in an audience now. It runs in the tests' process, so it
lives on when a process that delivers is killed.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import pytest

from cdp_exports_tests.servers.linkedin_book import ACCESS, ACCOUNT, CLIENT, PLATFORM, REFRESH, SECRET, Book


@dataclass
class Trouble:
    """What happens to the next `times` requests whose path contains `path`, after so many (`skip`) were served.

    `answer` gives `status` and `headers`; `garbage` an answer that is no JSON; `drop` none; `hold` waits until it is released, then
    drops; `slow` waits for `seconds`, then goes on. `applied`: the request is served before that, and its answer lost.
    """

    do: str
    path: str = ""
    applied: bool = False
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 1
    skip: int = 0
    times: int = 1


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: str


class LinkedIn:
    """The server. `certificate`: a PEM file with key and chain, then it speaks TLS."""

    def __init__(self, certificate: Path | None = None, host: str = "127.0.0.1") -> None:
        self.book = Book()
        self.troubles: list[Trouble] = []
        self.seen: list[Seen] = []
        self.holding, self.released = Event(), Event()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"linkedin": self}))
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.server_port

    def reset(self) -> None:
        """As it was at its start."""
        self.released.set()
        self.book, self.troubles, self.seen = Book(), [], []
        self.holding, self.released = Event(), Event()

    def declared(self, kind: str = "contacts", *, renewable: bool = True, **changes: object) -> dict[str, object]:
        """A connection as a catalog declares it; `environ` has its secrets."""
        token = {"access_token": {"env": "LINKEDIN_ACCESS"}}
        renewal = {
            "client_id": {"env": "LINKEDIN_CLIENT"},
            "client_secret": {"env": "LINKEDIN_SECRET"},
            "refresh_token": {"env": "LINKEDIN_REFRESH"},
        }
        return {
            "type": f"linkedin_{kind}",
            "account_id": ACCOUNT,
            "source_platform": PLATFORM,
            "endpoint_url": self.url,
            **(renewal if renewable else token),
            **changes,
        }

    @property
    def environ(self) -> dict[str, str]:
        return {"LINKEDIN_ACCESS": ACCESS, "LINKEDIN_CLIENT": CLIENT, "LINKEDIN_SECRET": SECRET, "LINKEDIN_REFRESH": REFRESH}

    def strikes(self, path: str) -> Trouble | None:
        with self.book.lock:
            for trouble in self.troubles:
                if trouble.path in path and trouble.times:
                    if trouble.skip:
                        trouble.skip -= 1
                        continue
                    trouble.times -= 1
                    return trouble
        return None


class _Handler(BaseHTTPRequestHandler):
    linkedin: LinkedIn
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Tests look at `seen`."""

    def _serve(self) -> None:
        linkedin, url = self.linkedin, urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        linkedin.seen.append(Seen(self.command, self.path, headers, text))
        form = "urlencoded" in headers.get("content-type", "")
        body = dict(parse_qsl(text)) if form else json.loads(text) if text else None
        trouble = linkedin.strikes(url.path)
        if trouble and trouble.do == "slow":
            time.sleep(trouble.seconds)
            trouble = None
        if trouble is None or trouble.applied:
            status, more, said = linkedin.book.answer(self.command, url.path, url.query, headers, body)
            if trouble is None:
                self._say(status, more, json.dumps(said).encode() if said is not None else b"")
                return
        if trouble.do == "hold":
            released = linkedin.released
            linkedin.holding.set()
            released.wait(120)
        if trouble.do in ("hold", "drop"):
            self._drop()
        elif trouble.do == "garbage":
            self._say(200, {}, b"<html>Service Unavailable</html>", "text/html")
        else:
            self._say(trouble.status, trouble.headers, json.dumps({"status": trouble.status, "message": f"about {text}"}).encode())

    def _say(self, status: int, headers: dict[str, str], said: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def _drop(self) -> None:
        """Reset the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what some tests are about."""


@pytest.fixture(scope="session")
def linkedin_server() -> Iterator[LinkedIn]:
    """One for the whole session (one a worker under xdist)."""
    with LinkedIn() as server:
        yield server


@pytest.fixture
def linkedin(linkedin_server: LinkedIn) -> Iterator[LinkedIn]:
    """LinkedIn, with an ad account that has no audiences yet."""
    yield linkedin_server
    linkedin_server.reset()
