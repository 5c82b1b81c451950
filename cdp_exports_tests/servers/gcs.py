"""Google Cloud Storage for tests: its XML interface in front of SeaweedFS, and its sign-in, on loopback only.

No emulator that can be installed answers all of obstore's requests. This face checks service accounts' assertions and
access tokens, translates the condition of a create, computes CRC-32C over what is stored, and answers 404 to the delete
of what is not there, all as Google documents; storage, multipart uploads, listings and rights are SeaweedFS's.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

import pytest

from cdp_exports_tests.servers.crc32c import crc32c, header, joined
from cdp_exports_tests.servers.seaweedfs import ADMIN, EXPORTER, EXPORTS, READER, Bucket, Identity, SeaweedServer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ACCOUNTS = {
    "exporter@acme.iam.gserviceaccount.com": EXPORTER,
    "reader@acme.iam.gserviceaccount.com": READER,
    "admin@acme.iam.gserviceaccount.com": ADMIN,
}
_PASSED_BACK = ("etag", "last-modified", "content-range", "content-type", "content-length")
_PASSED_ON = ("content-type", "range", "if-match", "if-none-match")


@dataclass
class Refusal:
    """An answer given instead of the store's, so many times, to requests whose first line holds a text."""

    to: str
    status: int
    code: str
    times: int = 1


@dataclass
class GoogleFace:
    """`refusals` and `skew` (seconds that its clock is ahead) may be changed at any time."""

    store: SeaweedServer
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    skew: float = 0
    sign_ins: int = 0
    url: str = ""
    _tokens: dict[str, Identity] = field(default_factory=dict)
    _keys: dict[str, RSAPrivateKey] = field(default_factory=dict)
    _parts: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    _crcs: dict[tuple[str, str], int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def key_file(self, account: str = "exporter@acme.iam.gserviceaccount.com", *, known: bool = True) -> str:
        """The JSON text of a key of a service account; `known`: the face knows it."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        with self._lock:
            key = self._keys.get(account) if known else None
            key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if known:
                self._keys[account] = key
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return json.dumps(
            {
                "type": "service_account",
                "client_email": account,
                "private_key_id": "1",
                "private_key": pem.decode(),
                "token_uri": f"{self.url}/token",
            }
        )

    def tokens(self) -> list[str]:
        """All that were given."""
        return list(self._tokens)

    def revoke(self) -> None:
        """No token given so far is accepted any more."""
        self._tokens.clear()

    def sign_in(self, assertion: str) -> tuple[int, dict[str, object]]:
        """https://developers.google.com/identity/protocols/oauth2/service-account#httprest."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        self.sign_ins += 1
        signed, _, signature = assertion.rpartition(".")
        said = json.loads(_decoded(signed.partition(".")[2]))
        key = self._keys.get(said["iss"])
        if key is None:
            return 400, {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
        try:
            key.public_key().verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        if abs(time.time() + self.skew - said["iat"]) > 600:
            text = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            return 400, {"error": "invalid_grant", "error_description": text}
        token = secrets.token_urlsafe(20)
        self._tokens[token] = ACCOUNTS[said["iss"]]
        return 200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def identity(self, authorization: str) -> Identity | None:
        return self._tokens.get(authorization.removeprefix("Bearer "))

    def took(self, path: str, query: dict[str, str], content: bytes, tag: str) -> None:
        """Remember the checksum of what arrived: Google knows that of all that it stores without reading it again. `tag`: the object's."""
        if "partNumber" in query:
            self._parts.setdefault(query["uploadId"], {})[int(query["partNumber"])] = (crc32c(content), len(content))
        elif "uploadId" in query:
            parts = self._parts.pop(query["uploadId"])
            self._crcs[path, tag] = joined([parts[number] for number in sorted(parts)])
        else:
            self._crcs[path, tag] = crc32c(content)

    def checksum(self, path: str, tag: str) -> int | None:
        """None of what did not come through here."""
        return self._crcs.get((path, tag))

    def refusal(self, line: str) -> Refusal | None:
        with self._lock:
            for refusal in self.refusals:
                if refusal.times and refusal.to in line:
                    refusal.times -= 1
                    self.refused += 1
                    return refusal
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    face: GoogleFace

    def log_message(self, format: str, *args: object) -> None: ...

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection("127.0.0.1", self.face.store.port, timeout=60)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client went away
            self.close_connection = True
            return
        if self.path == "/token":
            status, said = self.face.sign_in(parse_qs(body.decode())["assertion"][0])
            self._reply(status, json.dumps(said).encode(), {"Content-Type": "application/json"})
            return
        if refusal := self.face.refusal(self.requestline):
            self._refuse(refusal.status, refusal.code)
            return
        identity = self.face.identity(self.headers.get("Authorization", ""))
        if identity is None:
            self._refuse(401, "AuthenticationRequired")
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
        if (generation := self.headers.get("x-goog-if-generation-match")) is not None:
            if generation != "0":
                self._refuse(412, "PreconditionFailed")
                return
            headers["If-None-Match"] = "*"
        if self.command == "DELETE" and "uploadId=" not in self.path and self._ask("HEAD", identity, {}, b"")[0] == 404:
            self._refuse(404, "NoSuchKey")
            return
        status, reply, content = self._ask(self.command, identity, headers, body)
        url = urlsplit(self.path)
        tag = {name.lower(): value for name, value in reply.items()}.get("etag", "").strip('"')
        if self.command in ("PUT", "POST") and status == 200 and "uploads" not in url.query:
            done = re.search(rb"<ETag>(?:&#34;|&quot;|\")?([^&<\"]+)", content)
            self.face.took(url.path, dict(parse_qsl(url.query)), body, done[1].decode() if done else tag)
        elif self.command == "HEAD" and status == 200:
            crc = self.face.checksum(url.path, tag)
            reply["x-goog-hash"] = header(crc32c(self._ask("GET", identity, {}, b"")[2]) if crc is None else crc)
        self._reply(status, content, reply)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 http.server calls them by these names

    def _ask(self, method: str, identity: Identity, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The same of SeaweedFS, signed as it wants."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        url = urlsplit(self.path)
        path = quote(unquote(url.path), safe="/~")
        query = urlencode(parse_qsl(url.query, keep_blank_values=True), quote_via=quote, safe="~")
        request = AWSRequest(method, f"{self.face.store.url}{path}{query and '?'}{query}", headers=headers, data=body)
        S3SigV4Auth(Credentials(identity.access_key_id, identity.secret_access_key), "s3", "us-east-1").add_auth(request)
        self._upstream.request(method, f"{path}{query and '?'}{query}", body or None, dict(request.headers.items()))
        reply = self._upstream.getresponse()
        content = reply.read()
        kept = {name: value for name, value in reply.getheaders() if name.lower() in _PASSED_BACK}
        return reply.status, kept | {"x-goog-generation": "1"}, content

    def _refuse(self, status: int, code: str) -> None:
        self._reply(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode(), {})

    def _reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are what some tests are about."""


def serve(face: GoogleFace) -> ThreadingHTTPServer:
    """A server that shows the face on a free port, once it is told to."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"face": face}))
    face.url = f"http://127.0.0.1:{server.server_port}"
    return server


@pytest.fixture(scope="session")
def google(seaweedfs: SeaweedServer) -> Iterator[GoogleFace]:
    """A face for the whole session (one a worker under xdist)."""
    face = GoogleFace(seaweedfs)
    server = serve(face)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield face
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass(frozen=True)
class GoogleBucket:
    """Where a test may write: `folder` is its own. `behind`: the same as SeaweedFS sees it."""

    face: GoogleFace
    name: str
    folder: str

    @property
    def url(self) -> str:
        return self.face.url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def behind(self) -> Bucket:
        return Bucket(self.face.store.url, self.name, self.folder)


@pytest.fixture
def google_bucket(google: GoogleFace) -> Iterator[GoogleBucket]:
    """A folder of one's own in a bucket that exists."""
    yield GoogleBucket(google, EXPORTS, f"test-{uuid.uuid4().hex[:12]}")
    google.refusals, google.refused, google.skew = [], 0, 0
