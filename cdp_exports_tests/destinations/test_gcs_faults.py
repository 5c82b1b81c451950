"""Broken connections and lost replies: an object is complete and proved, or it is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import NotIntact, TransientError
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.opened_gcs import open_google
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.gcs import GoogleBucket

LONG = os.urandom(2 * PART_SIZE + 1000)
SHORT = os.urandom(100_000)
NO_RETRY = replace(IMPATIENT, retries=0)


@pytest.fixture
def proxy(google_bucket: GoogleBucket) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", google_bucket.port) as proxy:
        yield proxy


def _upload(bucket: GoogleBucket, proxy: FaultProxy, content: bytes, patience=IMPATIENT) -> Proof:
    writer = open_google(bucket, url=proxy.url, patience=patience).open("f")
    try:
        writer.write(content)
        return writer.close()
    finally:
        writer.abort()


def _left(bucket: GoogleBucket) -> tuple[list[str], list[str]]:
    return bucket.behind.keys(), bucket.behind.open_uploads()


def test_a_connection_cut_in_a_part_is_tried_again(google_bucket: GoogleBucket, proxy: FaultProxy) -> None:
    proxy.faults = [Fault("reset", when=b"partNumber=2", after=1_000_000, times=1)]
    assert _upload(google_bucket, proxy, LONG) is Proof.STORED
    assert len(proxy.fired) == 1
    assert open_google(google_bucket).read("f") == LONG
    assert google_bucket.behind.open_uploads() == []


@pytest.mark.parametrize("kind", ["reset", "stall"])
def test_a_connection_that_stays_bad_leaves_nothing(google_bucket: GoogleBucket, proxy: FaultProxy, kind) -> None:
    proxy.faults = [Fault(kind, when=b"partNumber=2", after=1_000_000)]
    with pytest.raises(TransientError, match="could not be reached or did not answer in time"):
        _upload(google_bucket, proxy, LONG, replace(IMPATIENT, request=2, retries=1))
    assert len(proxy.fired) == 2
    assert _left(google_bucket) == ([], [])


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"\r\n\r\n"), (LONG, b"partNumber=2")])
def test_a_byte_altered_on_the_way_is_found(google_bucket: GoogleBucket, proxy: FaultProxy, content: bytes, when: bytes) -> None:
    proxy.faults = [Fault("corrupt", when=when, after=50_000, times=1)]
    with pytest.raises(NotIntact):
        _upload(google_bucket, proxy, content)
    assert len(proxy.fired) == 1
    assert _left(google_bucket) == ([], [])


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"PUT /"), (LONG, b"<CompleteMultipartUpload")])
def test_an_upload_whose_reply_was_lost_is_found_by_looking(
    google_bucket: GoogleBucket, proxy: FaultProxy, content: bytes, when: bytes
) -> None:
    proxy.faults = [Fault("reset", "down", when=when, times=1)]
    assert _upload(google_bucket, proxy, content, NO_RETRY) is Proof.STORED
    assert len(proxy.fired) == 1
    assert open_google(google_bucket).read("f") == content


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"PUT /"), (LONG, b"<CompleteMultipartUpload")])
def test_an_upload_that_could_not_be_looked_at_is_removed_by_abort(
    google_bucket: GoogleBucket, proxy: FaultProxy, content: bytes, when: bytes
) -> None:
    proxy.faults = [Fault("reset", "down", when=when, times=1), Fault("reset", "down", when=b"HEAD /", times=1)]
    with pytest.raises(TransientError):
        _upload(google_bucket, proxy, content, NO_RETRY)
    assert len(proxy.fired) == 2
    assert _left(google_bucket) == ([], [])


@pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
def test_the_stored_checksum_is_compared_at_every_boundary(google_bucket: GoogleBucket, size: int) -> None:
    writer = open_google(google_bucket).open("f")
    writer.write(LONG[:size])
    assert writer.close() is Proof.STORED
    assert open_google(google_bucket).read("f") == LONG[:size]


@pytest.mark.parametrize("foreign", [b"x" * len(SHORT), SHORT + b"x", None], ids=["other", "longer", "none"])
def test_what_stands_there_in_the_end_is_compared(google_bucket: GoogleBucket, foreign: bytes | None, monkeypatch) -> None:
    """Another process replaces or removes the object just before it is looked at."""
    destination = open_google(google_bucket)
    look = destination.api.stored

    def meddle_and_look(path: str):
        if foreign is None:
            open_google(google_bucket).delete(["f"])
        else:
            open_google(google_bucket).put("f", foreign)
        return look(path)

    monkeypatch.setattr(destination.api, "stored", meddle_and_look)
    writer = destination.open("f")
    writer.write(SHORT)
    with pytest.raises(NotIntact):
        writer.close()
    assert google_bucket.behind.keys() == []


class TestConditionalCreate:
    def test_a_lost_reply_is_resolved_by_looking(self, google_bucket: GoogleBucket, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", "down", when=b"x-goog-if-generation-match", times=1)]
        assert open_google(google_bucket, url=proxy.url).create("_manifest", b"mine") is True
        assert len(proxy.fired) == 1
        assert open_google(google_bucket).read("_manifest") == b"mine"

    def test_a_lost_reply_does_not_make_anothers_ours(self, google_bucket: GoogleBucket, proxy: FaultProxy) -> None:
        open_google(google_bucket).create("_manifest", b"theirs")
        proxy.faults = [Fault("reset", "down", when=b"x-goog-if-generation-match", times=1)]
        assert open_google(google_bucket, url=proxy.url).create("_manifest", b"mine") is False
        assert len(proxy.fired) == 1

    def test_a_request_that_never_arrived_is_sent_again(self, google_bucket: GoogleBucket, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", when=b"PUT /", after=1, times=1)]
        assert open_google(google_bucket, url=proxy.url).create("_manifest", b"mine") is True
        assert len(proxy.fired) == 1

    def test_the_same_content_of_another_is_not_ours(self, google_bucket: GoogleBucket) -> None:
        open_google(google_bucket).create("_manifest", b"same")
        assert open_google(google_bucket).create("_manifest", b"same") is False


def test_delete_aborts_what_a_killed_process_left(google_bucket: GoogleBucket) -> None:
    """Uploads to other paths stay, neighbours with the same beginning among them."""
    code = """
import os, sys, time
from pathlib import Path
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.gcs import open_gcs
from cdp_exports.entities.gcs_connection import GcsConnection
declared = {"type": "gcs", "bucket": sys.argv[1], "folder": sys.argv[2], "endpoint_url": sys.argv[3], "service_account_key": {"env": "KEY"}}
for path in ("a/f", "a/f-2", "b"):
    writer = open_gcs(GcsConnection.model_validate(declared), Path(), os.environ).open(path)
    writer.write(os.urandom(2 * PART_SIZE))
    globals()[path] = writer
print("ready", flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", code, google_bucket.name, google_bucket.folder, google_bucket.url]
    environ = {**os.environ, "KEY": google_bucket.face.key_file()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    before = set(google_bucket.behind.open_uploads())
    assert before == {f"{google_bucket.folder}/{path}" for path in ("a/f", "a/f-2", "b")}

    open_google(google_bucket).delete(["a/f"])
    assert before - set(google_bucket.behind.open_uploads()) == {f"{google_bucket.folder}/a/f"}

    open_google(google_bucket).delete(["a/f-2", "b", "never/there"])
    assert _left(google_bucket) == ([], [])
