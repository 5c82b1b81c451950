"""A receiver of the HTTP endpoint's contract (docs/http-endpoint.md), as a process of its own on loopback.

It checks signatures, timestamps and credentials, keeps audiences in memory, honours keys, and does on demand what goes
wrong elsewhere. It shares no code with what it tests. `python -m cdp_exports_tests.servers.endpoint_process [CERTIFICATE]`
prints its port, and ends when its standard input does. See `endpoint.py` for how tests use it.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import socket
import ssl
import struct
import sys
import time
from dataclasses import asdict, dataclass, field, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

TOLERANCE = 300
"""Seconds that a request's timestamp may be off."""


@dataclass
class Settings:
    secrets: list[str] = field(default_factory=list)  # whsec_...; any of them signs; none: signatures are not checked
    headers: dict[str, str] = field(default_factory=dict)  # what requests must bring, such as Authorization
    identity: list[str] = field(default_factory=lambda: ["id"])  # values that tell members apart
    by_key: bool = True  # a batch known by its key is answered as before and not applied again
    rejects: dict[str, str] = field(default_factory=dict)  # members with this value are rejected: its reason
    batch_max: int = 10_000
    skew: float = 0  # seconds that its clock is ahead


@dataclass
class Fault:
    """What happens to so many (`times`) requests of a kind (`on`), after so many (`skip`) were served.

    `answer` gives `status` and `headers`, `garbage` an answer that can't be read, `drop` none; `hold` waits until it is
    released or the server ends, then drops; `slow` waits for `seconds` and goes on. `applied`: the batch is applied first.
    """

    do: str
    applied: bool = False
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 1
    on: str = "batch"  # or `ping`, `outcome`
    skip: int = 0
    times: int = 1


@dataclass
class Book:
    """What it was sent and what it keeps."""

    settings: Settings = field(default_factory=Settings)
    faults: list[Fault] = field(default_factory=list)
    audiences: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)  # every change applied, in order
    answers: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # by key: hash of the content, what was said
    requests: list[dict[str, Any]] = field(default_factory=list)  # the newest
    served: dict[str, int] = field(default_factory=dict)  # number of authenticated requests by kind
    holding: int = 0
    released: int = 0
    changed: Condition = field(default_factory=Condition)

    def strikes(self, kind: str) -> Fault | None:
        with self.changed:
            self.served[kind] = self.served.get(kind, 0) + 1
            for fault in self.faults:
                if fault.on == kind and fault.times:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return replace(fault)
            return None

    def apply(self, key: str, audience: str, changes: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        content = hashlib.sha256(json.dumps([audience, changes]).encode()).hexdigest()
        with self.changed:
            before, answer = self.answers.get(key, (content, None))
            if self.settings.by_key and before != content:
                return 409, {}
            if self.settings.by_key and answer is not None:
                return 200, answer
            held = self.audiences.setdefault(audience, {})
            rejected: list[dict[str, Any]] = []
            for index, change in enumerate(changes):
                values = change["values"]
                if reason := next(
                    (self.settings.rejects[str(value)] for value in values.values() if str(value) in self.settings.rejects), None
                ):
                    rejected.append({"index": index, "reason": reason})
                    continue
                told_apart = {name: values[name] for name in self.settings.identity if name in values} or values
                one = next(iter(told_apart.values())) if len(told_apart) == 1 else list(told_apart.values())
                identity = one if isinstance(one, str) else json.dumps(one)
                if change["status"] == "exited":
                    held.pop(identity, None)
                else:
                    held[identity] = values
                self.log.append({"key": key, "audience": audience, "status": change["status"], "identity": identity})
            self.answers[key] = content, {"rejected": rejected}
            return 200, {"rejected": rejected}

    def make(self, audience: str, *, create: bool) -> int:
        with self.changed:
            if not create and audience not in self.audiences:
                return 410
            self.audiences.setdefault(audience, {})
            return 200

    def hold(self) -> None:
        with self.changed:
            mine = self.released
            self.holding += 1
            self.changed.wait_for(lambda: self.released > mine)
            self.holding -= 1

    def state(self) -> dict[str, Any]:
        with self.changed:
            shown = ("audiences", "log", "requests", "served", "holding")
            return {name: getattr(self, name) for name in shown} | {"faults": [asdict(fault) for fault in self.faults if fault.times]}

    def administer(self, verb: str, said: Any) -> None:
        with self.changed:
            if verb == "settings":
                self.settings = replace(self.settings, **said)
            elif verb == "faults":
                self.faults = [Fault(**fault) for fault in said]
            elif verb == "forget":
                self.audiences.pop(said, None)
            elif verb == "reset":
                fresh = Book()
                for one in fields(Book):
                    if one.name not in ("changed", "released", "holding"):
                        setattr(self, one.name, getattr(fresh, one.name))
            if verb in ("reset", "release"):
                self.released += 1
                self.changed.notify_all()


class Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    book: Book

    def log_message(self, format: str, *args: object) -> None: ...

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string((timestamp or time.time()) + self.book.settings.skew)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/_admin/"):
            self.book.administer(self.path.removeprefix("/_admin/"), json.loads(body or b"null"))
            self._answer(200, {})
            return
        self._contract(body)

    def do_GET(self) -> None:
        if self.path == "/_admin/state":
            self._answer(200, self.book.state())
            return
        self._contract(b"")

    def _contract(self, body: bytes) -> None:
        seen = {"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}}
        with self.book.changed:
            self.book.requests = [*self.book.requests[-49:], seen]
        try:
            key = self._authenticated(body)
            if self.command == "GET":
                self._outcome(key)
                return
            envelope, changes = self._read(body)
        except Refused as refused:
            self._answer(refused.status, {"error": str(refused)})
            return
        except (ValueError, KeyError, OSError, EOFError):
            self._answer(400, {"error": "unreadable"})
            return
        seen["text"] = (gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body).decode()
        ping = envelope["type"] == "ping"
        fault = self.book.strikes("ping" if ping else "batch")
        if fault and fault.do == "slow" and not fault.applied:
            time.sleep(fault.seconds)
        status, answer = 200, dict[str, Any]()
        if ping and envelope.get("audience"):
            status = self.book.make(envelope["audience"], create=envelope["create"])
        if not ping and (fault is None or fault.applied or fault.do == "slow"):
            status, answer = self.book.apply(key, envelope["audience"], changes)
        self._finish(fault, status, answer)

    def _outcome(self, key: str) -> None:
        fault = self.book.strikes("outcome")
        if self.path != f"/outcomes/{key}":
            self._answer(404, {})
            return
        with self.book.changed:
            known = self.book.answers.get(key)
        self._finish(fault, 200, {"applied": True, **known[1]} if known else {"applied": False})

    def _finish(self, fault: Fault | None, status: int, answer: dict[str, Any]) -> None:
        """Answer as it should be, or as the fault wants."""
        match fault.do if fault else "":
            case "hold":
                self.book.hold()
                self._drop()
            case "drop":
                self._drop()
            case "answer":
                assert fault
                self._answer(fault.status, {"error": "as told"}, fault.headers)
            case "garbage":
                self._answer(200, None)
            case "slow":
                assert fault
                if fault.applied:
                    time.sleep(fault.seconds)
                self._answer(status, answer)
            case _:
                self._answer(status, answer)

    def _authenticated(self, body: bytes) -> str:
        """The request's key. Standard Webhooks 1.0.0 is what the signature follows."""
        settings = self.book.settings
        if any(self.headers.get(name) != value for name, value in settings.headers.items()):
            raise Refused(401, "credentials")
        key, timestamp = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        if not key or "." in key or not timestamp.isdigit():
            raise Refused(400, "headers")
        if self.command == "POST" and self.headers.get("idempotency-key") != key:
            raise Refused(400, "key")
        if abs(int(timestamp) - time.time() - settings.skew) > TOLERANCE:
            raise Refused(401, "timestamp")
        signed = f"{key}.{timestamp}.".encode() + body
        told = [one.partition(",") for one in self.headers.get("webhook-signature", "").split()]
        good = [
            base64.b64encode(hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, "sha256")).decode()
            for secret in settings.secrets
        ]
        if good and not any(version == "v1" and hmac.compare_digest(text, one) for version, _, text in told for one in good):
            raise Refused(401, "signature")
        return key

    def _read(self, body: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        encoding = self.headers.get("Content-Encoding")
        if encoding not in (None, "gzip"):
            raise Refused(415, "encoding")
        text = (gzip.decompress(body) if encoding else body).decode()
        match self.headers.get("Content-Type"):
            case "application/x-ndjson":
                if not text.endswith("\n"):
                    raise Refused(400, "cut")
                envelope, *changes = map(json.loads, text.splitlines())
            case "application/json":
                envelope = json.loads(text)
                changes = envelope.pop("data")
            case _:
                raise Refused(415, "type")
        if len(changes) > self.book.settings.batch_max:
            raise Refused(413, "large")
        known = {"ping": ({"type"}, {"type", "audience", "create"}), "audience.changed": ({"type", "audience"},)}
        if set(envelope) not in known[envelope["type"]] or (envelope["type"] == "ping" and changes):
            raise Refused(422, "envelope")
        if any(set(change) != {"status", "values"} or change["status"] not in ("entered", "updated", "exited") for change in changes):
            raise Refused(422, "change")
        return envelope, changes

    def _answer(self, status: int, said: dict[str, Any] | None, headers: dict[str, str] | None = None) -> None:
        content = b"<html>?" if said is None else json.dumps(said).encode()
        with contextlib.suppress(OSError):  # clients that went away are what some tests are about
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def _drop(self) -> None:
        """Cut the connection as a machine that went away does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are what some tests are about."""


def main() -> None:
    book = Book()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"book": book}))
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
