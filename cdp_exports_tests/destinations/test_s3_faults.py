"""What networks and crashes do to an upload: it is whole and proved, or it is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cdp_exports.destinations import object_store, object_writer
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.store_api import Stored
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import DestinationRefused, NotIntact, TransientError
from cdp_exports_tests.destinations.opened import IMPATIENT, open_bucket
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.seaweedfs import ADMIN, EXPORTER, REGION, Bucket

LONG = os.urandom(2 * PART_SIZE + 1000)
SHORT = os.urandom(100_000)
NO_RETRY = replace(IMPATIENT, retries=0)


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", bucket.port) as proxy:
        yield proxy


def _upload(bucket: Bucket, proxy: FaultProxy, content: bytes, patience=IMPATIENT) -> Proof:
    writer = open_bucket(bucket, url=proxy.url, patience=patience).open("f")
    try:
        writer.write(content)
        return writer.close()
    finally:
        writer.abort()


def _left(bucket: Bucket) -> tuple[list[str], list[str]]:
    return bucket.keys(), bucket.open_uploads()


def test_a_connection_cut_in_a_part_is_tried_again(bucket: Bucket, proxy: FaultProxy) -> None:
    proxy.faults = [Fault("reset", when=b"partNumber=2", after=1_000_000, times=1)]
    assert _upload(bucket, proxy, LONG) is Proof.STORED
    assert len(proxy.fired) == 1
    assert open_bucket(bucket).read("f") == LONG
    assert bucket.open_uploads() == []


@pytest.mark.parametrize("kind", ["reset", "stall"])
def test_a_connection_that_stays_bad_leaves_nothing(bucket: Bucket, proxy: FaultProxy, kind) -> None:
    proxy.faults = [Fault(kind, when=b"partNumber=2", after=1_000_000)]
    with pytest.raises(TransientError, match="could not be reached or did not answer in time"):
        _upload(bucket, proxy, LONG, replace(IMPATIENT, request=2, retries=1))
    assert len(proxy.fired) == 2
    assert _left(bucket) == ([], [])


@pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
def test_abort_never_raises(bucket: Bucket, proxy: FaultProxy, content: bytes) -> None:
    writer = open_bucket(bucket, url=proxy.url, patience=NO_RETRY).open("f")
    writer.write(content)
    proxy.faults = [Fault("refuse")]
    proxy.cut()
    writer.abort()
    writer.abort()
    assert bucket.keys() == []


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"\r\n\r\n"), (LONG, b"partNumber=2")])
def test_a_byte_altered_on_the_way_is_refused(bucket: Bucket, proxy: FaultProxy, content: bytes, when: bytes) -> None:
    proxy.faults = [Fault("corrupt", when=when, after=50_000, times=1)]
    with pytest.raises(TransientError, match="what arrived was not what was sent"):
        _upload(bucket, proxy, content)
    assert len(proxy.fired) == 1
    assert _left(bucket) == ([], [])


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"PUT /"), (LONG, b"<CompleteMultipartUpload")])
def test_an_upload_whose_reply_was_lost_is_found_by_looking(bucket: Bucket, proxy: FaultProxy, content: bytes, when: bytes) -> None:
    proxy.faults = [Fault("reset", "down", when=when, times=1)]
    assert _upload(bucket, proxy, content, NO_RETRY) is Proof.STORED
    assert len(proxy.fired) == 1
    assert open_bucket(bucket).read("f") == content


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"PUT /"), (LONG, b"<CompleteMultipartUpload")])
def test_an_upload_that_could_not_be_looked_at_is_removed_by_abort(bucket: Bucket, proxy: FaultProxy, content: bytes, when: bytes) -> None:
    proxy.faults = [Fault("reset", "down", when=when, times=1), Fault("reset", "down", when=b"HEAD /", times=1)]
    with pytest.raises(TransientError):
        _upload(bucket, proxy, content, NO_RETRY)
    assert len(proxy.fired) == 2
    assert _left(bucket) == ([], [])


@pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
def test_the_stored_checksum_is_known_at_every_boundary(bucket: Bucket, size: int) -> None:
    writer = open_bucket(bucket).open("f")
    writer.write(LONG[:size])
    assert writer.close() is Proof.STORED
    head = bucket.client().head_object(Bucket=bucket.name, Key=f"{bucket.folder}/f", ChecksumMode="ENABLED")
    assert head["ContentLength"] == size
    assert head.get("ChecksumSHA256", "").partition("-")[2] == ("" if size < PART_SIZE else str(-(-size // PART_SIZE)))


@pytest.mark.parametrize("foreign", [b"x" * len(SHORT), SHORT + b"x", None])
def test_what_stands_there_in_the_end_is_compared(bucket: Bucket, foreign: bytes | None, monkeypatch) -> None:
    """Another process replaces or removes the object just before it is looked at."""
    destination = open_bucket(bucket)
    look = destination.api.stored
    admin, key = bucket.client(), f"{bucket.folder}/f"

    def meddle_and_look(path: str):
        if foreign is None:
            admin.delete_object(Bucket=bucket.name, Key=key)
        else:
            admin.put_object(Bucket=bucket.name, Key=key, Body=foreign, ChecksumAlgorithm="SHA256")
        return look(path)

    monkeypatch.setattr(destination.api, "stored", meddle_and_look)
    writer = destination.open("f")
    writer.write(SHORT)
    with pytest.raises(NotIntact):
        writer.close()
    assert bucket.keys() == []


def test_a_store_without_checksums_proves_the_transport(bucket: Bucket, monkeypatch) -> None:
    destination = open_bucket(bucket)
    look = destination.api.stored

    def look_without_checksum(path: str) -> Stored | None:
        stored = look(path)
        return stored and replace(stored, checksum=None, proof=Proof.TRANSPORT)

    monkeypatch.setattr(destination.api, "stored", look_without_checksum)
    writer = destination.open("f")
    writer.write(SHORT)
    assert writer.close() is Proof.TRANSPORT


class TestConditionalCreate:
    def test_a_lost_reply_is_resolved_by_looking(self, bucket: Bucket, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", "down", when=b"if-none-match", times=1)]
        assert open_bucket(bucket, url=proxy.url).create("_manifest", b"mine") is True
        assert len(proxy.fired) == 1
        assert open_bucket(bucket).read("_manifest") == b"mine"

    def test_a_lost_reply_does_not_make_anothers_ours(self, bucket: Bucket, proxy: FaultProxy) -> None:
        open_bucket(bucket).create("_manifest", b"theirs")
        proxy.faults = [Fault("reset", "down", when=b"if-none-match", times=1)]
        assert open_bucket(bucket, url=proxy.url).create("_manifest", b"mine") is False
        assert len(proxy.fired) == 1

    def test_a_request_that_never_arrived_is_sent_again(self, bucket: Bucket, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", when=b"PUT /", after=1, times=1)]
        assert open_bucket(bucket, url=proxy.url).create("_manifest", b"mine") is True
        assert len(proxy.fired) == 1

    def test_a_stalled_reply_is_resolved_by_looking(self, bucket: Bucket, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("stall", "down", when=b"if-none-match", times=1)]
        assert open_bucket(bucket, url=proxy.url, patience=replace(IMPATIENT, request=2)).create("_manifest", b"mine") is True

    def test_it_gives_up_saying_that_it_may_pass(self, bucket: Bucket, proxy: FaultProxy, monkeypatch) -> None:
        monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))
        proxy.faults = [Fault("refuse")]
        with pytest.raises(TransientError):
            open_bucket(bucket, url=proxy.url, patience=NO_RETRY).create("_manifest", b"mine")
        assert bucket.keys() == []

    def test_the_same_content_of_another_is_not_ours(self, bucket: Bucket) -> None:
        open_bucket(bucket).create("_manifest", b"same")
        assert open_bucket(bucket).create("_manifest", b"same") is False


def test_delete_aborts_what_a_killed_process_left(bucket: Bucket) -> None:
    """A process is killed in a multipart upload; uploads to other paths stay, neighbours with the same beginning among them."""
    code = """
import os, sys, time
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports_tests.destinations.opened import open_bucket
from cdp_exports_tests.servers.seaweedfs import Bucket
for path in ("a/f", "a/f-2", "b"):
    writer = open_bucket(Bucket(*sys.argv[1:])).open(path)
    writer.write(os.urandom(2 * PART_SIZE))
    globals()[path] = writer
print("ready", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code, bucket.url, bucket.name, bucket.folder], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    before = set(bucket.open_uploads())
    assert before == {f"{bucket.folder}/{path}" for path in ("a/f", "a/f-2", "b")}

    open_bucket(bucket).delete(["a/f"])
    assert before - set(bucket.open_uploads()) == {f"{bucket.folder}/a/f"}

    open_bucket(bucket).delete(["a/f-2", "b", "never/there"])
    assert _left(bucket) == ([], [])


def test_a_file_of_too_many_parts_is_refused(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setattr(object_writer, "MAX_PARTS", 2)
    writer = open_bucket(bucket).open("f")
    with pytest.raises(DestinationRefused, match="max_rows_per_file"):
        writer.write(LONG)
    writer.abort()
    assert _left(bucket) == ([], [])


def test_the_environment_does_not_leak_into_a_connection(bucket: Bucket, monkeypatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": ADMIN.access_key_id,
        "AWS_SECRET_ACCESS_KEY": "other",
        "AWS_SESSION_TOKEN": "bogus",
        "AWS_REGION": "eu-west-9",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_BUCKET": "other",
        "AWS_CHECKSUM_ALGORITHM": "crc64nvme",
    }.items():
        monkeypatch.setenv(name, value)
    open_bucket(bucket).probe()
    open_bucket(bucket).put("f", b"x")
    assert bucket.keys() == [f"{bucket.folder}/f"]


def test_credentials_of_the_environment_are_used_where_none_are_declared(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", EXPORTER.secret_access_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    open_bucket(bucket, access_key_id=None, secret_access_key=None, region=None).probe()
