"""The same bytes sent to the same server: by this project as a delivery sends them, proof included, and by the bare client library."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a server of the tests takes files; `client`: what the bare library is called."""

    declared: Mapping[str, Any]
    environ: Mapping[str, str]
    client: str


def content() -> list[bytes]:
    """What is sent, again and again: of no pattern that a server could make use of."""
    return [random.Random(number).randbytes(1 << 20) for number in range(8)]


def digest(chunks: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()


@contextmanager
def places() -> Generator[dict[str, Place]]:
    """A server of each kind, started; the names are those of the types of connections."""
    from threading import Thread

    from cdp_exports_tests.destinations import far
    from cdp_exports_tests.servers import azurite, gcs, openssh, seaweedfs

    weed, azure, ssh = seaweedfs.SeaweedServer(), azurite.AzuriteServer(), openssh.OpensshServer()
    face = gcs.GoogleFace(weed)
    try:
        for server in (weed, azure, ssh):
            server.start()
        google = gcs.serve(face)
        Thread(target=google.serve_forever, daemon=True).start()
        stores = {
            "s3": far.s3(seaweedfs.Bucket(weed.url, seaweedfs.EXPORTS, "s3")),
            "gcs": far.gcs(gcs.GoogleBucket(face, seaweedfs.EXPORTS, "gcs")),
            "azure": far.azure(azurite.Container(azure.url, azurite.EXPORTS, "azure")),
            "sftp": far.sftp(ssh.home()),
        }
        yield {name: Place(store.declared, store.environ, "asyncssh" if name == "sftp" else "obstore") for name, store in stores.items()}
        google.shutdown()
    finally:
        for server in (weed, azure, ssh):
            server.stop()


def opened(declared: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    from cdp_exports.destinations.open import open_files
    from cdp_exports.entities.connection import CONNECTION

    return open_files(CONNECTION.validate_python(dict(declared)), Path(), environ)


def upload_here(declared: Mapping[str, Any], environ: Mapping[str, str], path: str, megabytes: int) -> Callable[[], object]:
    """Through the writer of a destination, which is open and signed in."""
    destination = opened(declared, environ)
    destination.put("ready", b"")
    pieces = content()

    def work() -> None:
        writer = destination.open(path)
        for number in range(megabytes):
            writer.write(pieces[number % len(pieces)])
        writer.close()

    return work


def upload_bare(declared: Mapping[str, Any], environ: Mapping[str, str], path: str, megabytes: int) -> Callable[[], object]:
    """By the library's own call for a whole file, with its defaults."""
    whole = b"".join(content() * (megabytes // 8))
    if declared["type"] == "sftp":
        return _by_asyncssh(declared, environ, path, whole)
    import obstore

    store = _bare_store(declared, environ)
    obstore.put(store, "ready", b"")
    return lambda: obstore.put(store, path, whole)


def _bare_store(declared: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    from obstore.store import AzureStore, GCSStore, S3Store

    options: Any = {"prefix": declared["folder"], "client_options": {"allow_http": True}}
    url = declared["endpoint_url"]
    if declared["type"] == "s3":
        keys: Any = {"region": "us-east-1", "access_key_id": environ["KEY_ID"], "secret_access_key": environ["SECRET"]}
        return S3Store(declared["bucket"], endpoint=url, config=keys, **options)
    if declared["type"] == "gcs":
        from cdp_exports.destinations.gcs_session import Tokens
        from cdp_exports.entities.gcs_connection import GcsConnection

        tokens = Tokens(GcsConnection.model_validate(declared), environ)
        return GCSStore(declared["bucket"], config={"base_url": url}, credential_provider=tokens, **options)
    key: Any = {"account_name": declared["account"], "account_key": environ["KEY"], "endpoint": url}
    return AzureStore(declared["container"], config=key, **options)


def _by_asyncssh(declared: Mapping[str, Any], environ: Mapping[str, str], path: str, whole: bytes) -> Callable[[], object]:
    """Of a file, as its `put` wants it; it lies in memory."""
    import asyncio
    import tempfile

    import asyncssh

    file = tempfile.NamedTemporaryFile(dir="/dev/shm")  # noqa: SIM115 it lives as long as the process
    file.write(whole)
    file.flush()
    loop = asyncio.new_event_loop()

    async def sign_in() -> Any:
        connection = await asyncssh.connect(
            declared["host"], declared["port"], username=declared["user"], password=environ["PASSWORD"], known_hosts=None, config=None
        )
        return connection, await connection.start_sftp_client()

    connection, sftp = loop.run_until_complete(sign_in())

    async def put() -> None:
        await sftp.put(file.name, f"{declared['folder']}/{path}")
        connection.close()
        await connection.wait_closed()

    return lambda: loop.run_until_complete(put())
