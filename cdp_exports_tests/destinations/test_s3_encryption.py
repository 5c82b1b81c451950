"""Everything that is written asks for the declared encryption: on SeaweedFS, and on a store of the test's own, which has keys of KMS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.s3 import open_s3
from cdp_exports.errors import DestinationRefused
from cdp_exports_tests.destinations.opened import IMPATIENT, open_bucket, s3_connection
from cdp_exports_tests.servers.seaweedfs import Bucket

KEY = "arn:aws:kms:eu-west-3:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def _write_everything(destination: ObjectStoreDestination) -> None:
    for path, size in (("short", 10), ("long", PART_SIZE + 1)):
        writer = destination.open(path)
        writer.write(bytes(size))
        writer.close()
    destination.put("put", b"x")
    assert destination.create("_manifest", b"x")


@dataclass
class KmsStore:
    """Takes what it is sent, and notes the headers of each request."""

    url: str = ""
    refusal: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)


@pytest.fixture
def store() -> Iterator[KmsStore]:
    store = KmsStore()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def _serve(self) -> None:
            url = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            self.rfile.read(length)
            kind = "part" if "partNumber=" in url.query else "begin" if url.query.startswith("uploads") else "complete" if url.query else ""
            store.asked.append((f"{self.command} {kind}".strip(), {name.lower(): value for name, value in self.headers.items()}))
            if store.refusal and self.command == "PUT":
                self._answer(400, f"<Error><Code>{store.refusal}</Code><Message>m</Message></Error>")
                return
            if self.command == "PUT":
                store.sizes[url.path] = store.sizes.get(url.path, 0) + length
            answer = {
                "begin": "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
                "complete": '<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>',
            }.get(kind, "")
            self._answer(200, answer, store.sizes.get(url.path, 0) if self.command == "HEAD" else None)

        do_PUT = do_POST = do_HEAD = do_GET = do_DELETE = _serve  # noqa: N815 http.server calls them by these names

        def _answer(self, status: int, body: str, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield store
        server.shutdown()
        thread.join()


def _open(store: KmsStore, key: str) -> ObjectStoreDestination:
    connection = s3_connection(Bucket(store.url, "exports", "f"), server_side_encryption={"kms_key": key})
    return open_s3(connection, Path(), {"KEY_ID": "x", "SECRET": "y"}, IMPATIENT)


def test_by_the_stores_own_keys(bucket: Bucket) -> None:
    _write_everything(open_bucket(bucket, server_side_encryption="aes256"))
    client = bucket.client()
    written = bucket.keys()
    assert len(written) == 4
    for key in written:
        assert client.head_object(Bucket=bucket.name, Key=key).get("ServerSideEncryption") == "AES256"


def test_none_is_asked_for_where_none_is_declared(bucket: Bucket) -> None:
    open_bucket(bucket).put("f", b"x")
    assert "ServerSideEncryption" not in bucket.client().head_object(Bucket=bucket.name, Key=f"{bucket.folder}/f")


def test_by_a_key_of_kms(store: KmsStore) -> None:
    _write_everything(_open(store, KEY))
    beginning = [headers for what, headers in store.asked if what in ("PUT", "POST begin")]
    assert len(beginning) == 4
    for headers in beginning:
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == KEY
        assert "x-amz-server-side-encryption-aws-kms-key-id" in headers["authorization"], "it is signed"
    parts = [headers for what, headers in store.asked if what in ("PUT part", "POST complete")]
    assert len(parts) == 3
    assert not any("x-amz-server-side-encryption" in headers for headers in parts), "Amazon refuses it there"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("KMS.NotFoundException", "there is no such KMS key"),
        ("KMS.DisabledException", "the KMS key is disabled"),
        ("KMS.AccessDeniedException", "may not use the KMS key"),
    ],
)
def test_a_key_that_cannot_be_used(store: KmsStore, code: str, said: str) -> None:
    store.refusal = code
    with pytest.raises(DestinationRefused, match=said):
        _open(store, KEY).put("f", b"x")


@pytest.mark.parametrize("wrong", ["aws:kms", {"kms_key": "my key"}, {"kms_key": "1234abcd"}, {"env": "KEY"}, {}], ids=str)
def test_wrong_declarations(wrong: object) -> None:
    with pytest.raises(ValidationError):
        s3_connection(Bucket("http://127.0.0.1:1", "exports", "f"), server_side_encryption=wrong)
