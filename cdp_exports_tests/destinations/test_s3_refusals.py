"""What a store refuses ends with a sentence and a next step, without secrets, and is told apart from what may pass."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest

from cdp_exports.destinations import object_store
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError
from cdp_exports_tests.destinations.opened import IMPATIENT, open_bucket
from cdp_exports_tests.servers.seaweedfs import ADMIN, EXPORTER, READER, Bucket, Identity

WRITING: dict[str, Callable[[ObjectStoreDestination], object]] = {
    "put": lambda destination: destination.put("f", b"x"),
    "create": lambda destination: destination.create("f", b"x"),
    "delete": lambda destination: destination.delete(["f"]),
    "a short file": lambda destination: _write(destination, 1),
    "a long file": lambda destination: _write(destination, PART_SIZE + 1),
}
READING: dict[str, Callable[[ObjectStoreDestination], object]] = {
    "read": lambda destination: destination.read("f"),
    "stream": lambda destination: destination.stream("f"),
    "list": lambda destination: list(destination.list("")),
}
CALLS = {**WRITING, **READING}


def _write(destination: ObjectStoreDestination, size: int) -> None:
    writer = destination.open("f")
    try:
        writer.write(b"x" * size)
        writer.close()
    finally:
        writer.abort()


def _failure(call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.next_step
    for secret in (EXPORTER.secret_access_key, "wrong-secret", "Signature=", "StringToSign", "security-token"):
        assert secret not in shown
    return str(caught.value)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_secret(bucket: Bucket, call: Callable[[ObjectStoreDestination], object]) -> None:
    destination = open_bucket(bucket, identity=replace(EXPORTER, secret_access_key="wrong-secret"))
    assert "the secret access key is wrong" in _failure(lambda: call(destination), DestinationRefused)


def test_an_unknown_key_id(bucket: Bucket) -> None:
    destination = open_bucket(bucket, identity=Identity("NOSUCHKEY", "x"))
    assert "the access key id is unknown" in _failure(destination.probe, DestinationRefused)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_missing_bucket(bucket: Bucket, call: Callable[[ObjectStoreDestination], object]) -> None:
    destination = open_bucket(bucket, identity=ADMIN, bucket="nobody-made-this")
    message = _failure(lambda: call(destination), DestinationRefused)
    assert "there is no such bucket" in message
    assert "nobody-made-this" in message


@pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
def test_no_right_to_write(bucket: Bucket, call: Callable[[ObjectStoreDestination], object]) -> None:
    destination = open_bucket(bucket, identity=READER)
    assert "no right" in _failure(lambda: call(destination), DestinationRefused)
    assert bucket.keys() == []
    assert bucket.open_uploads() == []


def test_a_reader_may_read(bucket: Bucket) -> None:
    open_bucket(bucket).put("f", b"x")
    reader = open_bucket(bucket, identity=READER)
    assert reader.read("f") == b"x"
    assert "no right" in _failure(reader.probe, DestinationRefused)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nobody_listens(bucket: Bucket, call: Callable[[ObjectStoreDestination], object], monkeypatch) -> None:
    monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))
    with socket.socket() as taken:  # bound, but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        destination = open_bucket(bucket, url=url, patience=replace(IMPATIENT, retries=0))
        assert "could not be reached" in _failure(lambda: call(destination), TransientError)


def test_a_server_that_does_not_speak_tls(bucket: Bucket) -> None:
    destination = open_bucket(bucket, url=bucket.url.replace("http:", "https:"), patience=replace(IMPATIENT, retries=0))
    _failure(destination.probe, TransientError)
