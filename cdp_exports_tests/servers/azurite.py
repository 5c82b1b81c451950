"""A real Blob Storage server: Microsoft's Azurite, from its npm package, on loopback only.

It checks signatures, shared access signatures with their rights and times, and conditional writes as Azure does. It has
no data lake endpoint; Azure's data lakes answer the blob requests that it answers.
`python -m cdp_exports_tests.servers.azurite` installs it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from trustme import LeafCert

VERSION = "3.35.0"  # the newest for Node 18 and 20
ACCOUNT = "acmestore"
KEY = base64.b64encode(b"the key of the test account".ljust(64, b"=")).decode()
EXPORTS = "exports"
"""The container that exists."""

_API = "2021-12-02"


def installed() -> Path:
    """The server's script, in the user's cache folder; installed there if it is not yet."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdp-exports" / f"azurite-{VERSION}"
    script = folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # workers ask at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error", f"azurite@{VERSION}"]
            subprocess.run(command, check=True, cwd=folder, stdin=subprocess.DEVNULL)
            (folder / "complete").touch()
    return script


@dataclass(frozen=True)
class Container:
    """Where a test may write: `folder` is its own."""

    url: str  # the account's
    name: str
    folder: str

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].partition("/")[0])

    def names(self, *, uncommitted: bool = False) -> list[str]:
        query = {"restype": "container", "comp": "list", "prefix": f"{self.folder}/"}
        if uncommitted:
            query["include"] = "uncommittedblobs"
        found = ET.fromstring(request(self.url, "GET", f"/{self.name}", query))
        return [entry.text or "" for entry in found.iter("Name")]

    def put(self, name: str, content: bytes) -> None:
        """As somebody else does."""
        request(self.url, "PUT", f"/{self.name}/{self.folder}/{name}", {}, {"x-ms-blob-type": "BlockBlob"}, content)

    def delete(self, name: str) -> None:
        request(self.url, "DELETE", f"/{self.name}/{self.folder}/{name}", {})

    def lease(self, name: str) -> None:
        headers = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1"}
        request(self.url, "PUT", f"/{self.name}/{self.folder}/{name}", {"comp": "lease"}, headers)

    def via(self, proxy: str) -> str:
        """The account's address behind a proxy."""
        return f"{proxy}/{ACCOUNT}"


def request(
    url: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None, content: bytes = b""
) -> bytes:
    """A request signed with the account's key:
    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key.
    """
    signed = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": _API, **(headers or {})}
    lines = [method, "", "", str(len(content) or ""), "", "application/octet-stream" if content else "", *[""] * 6]
    lines += [f"{name}:{value}" for name, value in sorted(signed.items())]
    lines += [f"/{ACCOUNT}/{ACCOUNT}{quote(path)}", *(f"{name}:{value}" for name, value in sorted(query.items()))]
    signature = _signature("\n".join(lines), KEY)
    asked = urllib.request.Request(
        f"{url}{quote(path)}?{urlencode(query)}",
        method=method,
        data=content or None,
        headers={**signed, "Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Type": "application/octet-stream"}
        if content
        else {**signed, "Authorization": f"SharedKey {ACCOUNT}:{signature}"},
    )
    with urllib.request.urlopen(asked, timeout=30) as reply:
        return reply.read()


def shared_access_signature(
    rights: str = "rcwdl", *, start: timedelta | None = None, end: timedelta = timedelta(hours=1), key: str = KEY, container: str = EXPORTS
) -> str:
    """For a container: https://learn.microsoft.com/rest/api/storageservices/create-service-sas. Times count from now."""

    def moment(after: timedelta) -> str:
        return (datetime.now(UTC) + after).strftime("%Y-%m-%dT%H:%M:%SZ")

    said = {"sv": _API, "sp": rights, "st": moment(start) if start else "", "se": moment(end), "sr": "c"}
    text = [said["sp"], said["st"], said["se"], f"/blob/{ACCOUNT}/{container}", "", "", "", _API, "c", *[""] * 7]
    return urlencode({**{name: value for name, value in said.items() if value}, "sig": _signature("\n".join(text), key)})


def _signature(text: str, key: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


class AzuriteServer:
    """One server with its data in a temporary folder. With a certificate it speaks TLS, and takes the tokens of Microsoft Entra ID."""

    def __init__(self, certificate: LeafCert | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="azurite-"))
        self._scheme = "https" if certificate else "http"
        self._options = self._by_tls(certificate) if certificate else []

    def _by_tls(self, certificate: LeafCert) -> list[str]:
        files = self.folder / "certificate.pem", self.folder / "key.pem"
        certificate.cert_chain_pems[0].write_to_path(files[0])
        certificate.private_key_pem.write_to_path(files[1])
        return ["--cert", str(files[0]), "--key", str(files[1]), "--oauth", "basic"]

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/{ACCOUNT}"

    def start(self) -> None:
        script = installed()
        for _ in range(5):  # another process may take the port between the look and the start
            self._launch(script)
            if self._comes_up():
                return
            self._end()
        said = (self.folder / "log").read_text()[-2000:]
        shutil.rmtree(self.folder)
        raise RuntimeError(f"Azurite did not start:\n{said}")

    def stop(self) -> None:
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self, script: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        options = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(self.folder / "data"), *self._options]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["node", script, *options, "--disableTelemetry", "--silent", "--skipApiVersionCheck"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
                start_new_session=True,  # an interrupt from the keyboard is for the tests, which then stop it
            )

    def _comes_up(self) -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                request(self.url, "PUT", f"/{EXPORTS}", {"restype": "container"})
            except OSError:  # not yet
                time.sleep(0.1)
            else:
                return True
        return False

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session")
def azurite() -> Iterator[AzuriteServer]:
    """A server for the whole session (one a worker under xdist)."""
    yield from served(AzuriteServer())


def served(server: AzuriteServer) -> Iterator[AzuriteServer]:
    """A server, started and stopped. Skips the test where there can be none, except in continuous integration."""
    if not (shutil.which("node") and shutil.which("npm")) and "CI" not in os.environ:
        pytest.skip("Azurite needs Node.js and npm")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def container(azurite: AzuriteServer) -> Container:
    """A folder of one's own in a container that exists."""
    return Container(azurite.url, EXPORTS, f"test-{uuid.uuid4().hex[:12]}")


if __name__ == "__main__":
    print(installed())
