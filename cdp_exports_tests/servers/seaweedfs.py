"""A real S3 server: SeaweedFS, from its wheel, on loopback only.

It checks signatures, rights per bucket, checksums of parts, and conditional writes as Amazon does.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


@dataclass(frozen=True)
class Identity:
    """A user of the server."""

    access_key_id: str
    secret_access_key: str


ADMIN = Identity("AKIDADMIN0000000", "secret-of-admin")
EXPORTER = Identity("AKIDEXPORTER0000", "secret-of-exporter")
READER = Identity("AKIDREADER000000", "secret-of-reader")

EXPORTS = "exports"
"""The bucket that the exporter may write to and the reader may read. Nobody but the admin may touch any other."""

_ACTIONS = {
    ADMIN: ["Admin", "Read", "Write", "List", "Tagging"],
    EXPORTER: [f"Read:{EXPORTS}", f"List:{EXPORTS}", f"Write:{EXPORTS}"],
    READER: [f"Read:{EXPORTS}", f"List:{EXPORTS}"],
}


@dataclass(frozen=True)
class Bucket:
    """Where a test may write: `folder` is its own."""

    url: str
    name: str
    folder: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, identity: Identity = ADMIN) -> S3Client:
        return s3_client(self.url, identity)

    def keys(self) -> list[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=f"{self.folder}/")
        return [entry.get("Key", "") for page in pages for entry in page.get("Contents", [])]

    def open_uploads(self) -> list[str]:
        reply = self.client().list_multipart_uploads(Bucket=self.name, Prefix=f"{self.folder}/")
        return [upload.get("Key", "") for upload in reply.get("Uploads", [])]


def s3_client(url: str, identity: Identity = ADMIN) -> S3Client:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=identity.access_key_id,
        aws_secret_access_key=identity.secret_access_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=30),
    )


class SeaweedServer:
    """One server with its data in a temporary folder; `start` after `kill` finds what was stored."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="weed-"))
        identities = [
            {
                "name": identity.access_key_id.lower(),
                "credentials": [{"accessKey": identity.access_key_id, "secretKey": identity.secret_access_key}],
                "actions": actions,
            }
            for identity, actions in _ACTIONS.items()
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (self.folder / "data").mkdir()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        for _ in range(5):  # another process may take a port between the look and the start
            self._launch()
            if self._comes_up():
                return
            self._process.kill()
            self._process.wait()
        raise RuntimeError(f"SeaweedFS did not start:\n{(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """As a power cut does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """It is not asked to end in good order, which takes seconds: its data goes too."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _launch(self) -> None:
        self.port, master, volume, filer, admin = _free_ports(5)
        weed = Path(sysconfig.get_path("scripts")) / "weed"
        arguments = {
            "dir": self.folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.port": master,
            "volume.port": volume,
            "filer.port": filer,
            "admin.port": admin,  # bound even without its page
            "admin.ui": "false",
            "webdav": "false",
            "s3.port": self.port,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": self.folder / "s3.json",
            "s3.autoCreateBucket": "false",
        }
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [weed, "mini", *(f"-{name}={value}" for name, value in arguments.items())],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "GOMEMLIMIT": "256MiB"},
                start_new_session=True,  # an interrupt from the keyboard is for the tests, which then stop it
            )

    def _comes_up(self) -> bool:
        client = s3_client(self.url)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                if EXPORTS not in [bucket.get("Name") for bucket in client.list_buckets()["Buckets"]]:
                    client.create_bucket(Bucket=EXPORTS)
                client.put_object(Bucket=EXPORTS, Key="ready", Body=b"1")  # the volume server comes last
                client.delete_object(Bucket=EXPORTS, Key="ready")
                return True
            except Exception:  # noqa: BLE001 any error means not yet
                time.sleep(0.1)
        return False


def _free_ports(count: int) -> list[int]:
    """Ports below the ephemeral range that are free together with their gRPC twin (+10000)."""
    found: list[int] = []
    start = 12000 + (os.getpid() * 37) % 8000
    for port in range(start, start + 2000):
        with socket.socket() as one, socket.socket() as twin:
            try:
                one.bind(("127.0.0.1", port))
                twin.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedServer]:
    """A server for the whole session (one a worker under xdist)."""
    server = SeaweedServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def bucket(seaweedfs: SeaweedServer) -> Bucket:
    """A folder of one's own in a bucket that exists."""
    return Bucket(seaweedfs.url, EXPORTS, f"test-{uuid.uuid4().hex[:12]}")
