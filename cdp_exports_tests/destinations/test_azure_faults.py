"""Broken connections and lost replies: a blob is complete and proved, or it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import NotIntact, TransientError
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.destinations.opened_azure import open_container
from cdp_exports_tests.servers.azurite import Container
from cdp_exports_tests.servers.faults import Fault, FaultProxy

LONG = os.urandom(2 * PART_SIZE + 1000)
SHORT = os.urandom(100_000)
NO_RETRY = replace(IMPATIENT, retries=0)


@pytest.fixture
def proxy(container: Container) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", container.port) as proxy:
        yield proxy


def _upload(container: Container, proxy: FaultProxy, content: bytes, patience=IMPATIENT) -> Proof:
    writer = open_container(container, url=container.via(proxy.url), patience=patience).open("f")
    try:
        writer.write(content)
        return writer.close()
    finally:
        writer.abort()


def test_a_connection_cut_in_a_block_is_tried_again(container: Container, proxy: FaultProxy) -> None:
    proxy.faults = [Fault("reset", when=b"comp=block&", after=1_000_000, times=1)]
    assert _upload(container, proxy, LONG) is Proof.REREAD
    assert len(proxy.fired) == 1
    assert open_container(container).read("f") == LONG


@pytest.mark.parametrize("kind", ["reset", "stall"])
def test_a_connection_that_stays_bad_leaves_nothing(container: Container, proxy: FaultProxy, kind) -> None:
    proxy.faults = [Fault(kind, when=b"comp=block&", after=1_000_000)]
    with pytest.raises(TransientError, match="could not be reached or did not answer in time"):
        _upload(container, proxy, LONG, replace(IMPATIENT, request=2, retries=1))
    assert proxy.fired
    assert container.names() == []


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"\r\n\r\n"), (LONG, b"comp=block&")])
def test_a_byte_altered_on_the_way_is_found(container: Container, proxy: FaultProxy, content: bytes, when: bytes) -> None:
    """Without TLS, and without a checksum of the request, the store takes it."""
    proxy.faults = [Fault("corrupt", when=when, after=50_000, times=1)]
    with pytest.raises(NotIntact):
        _upload(container, proxy, content)
    assert len(proxy.fired) == 1
    assert container.names() == []


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"PUT /"), (LONG, b"comp=blocklist")])
def test_an_upload_whose_reply_was_lost_is_found_by_looking(container: Container, proxy: FaultProxy, content: bytes, when: bytes) -> None:
    proxy.faults = [Fault("reset", "down", when=when, times=1)]
    assert _upload(container, proxy, content, NO_RETRY) is Proof.REREAD
    assert len(proxy.fired) == 1
    assert open_container(container).read("f") == content


@pytest.mark.parametrize(("content", "when"), [(SHORT, b"PUT /"), (LONG, b"comp=blocklist")])
def test_an_upload_that_could_not_be_looked_at_is_removed_by_abort(
    container: Container, proxy: FaultProxy, content: bytes, when: bytes
) -> None:
    proxy.faults = [Fault("reset", "down", when=when, times=1), Fault("reset", "down", when=b"HEAD /", times=1)]
    with pytest.raises(TransientError):
        _upload(container, proxy, content, NO_RETRY)
    assert len(proxy.fired) == 2
    assert container.names() == []


def test_committing_twice_is_committing_once(container: Container, proxy: FaultProxy) -> None:
    proxy.faults = [Fault("reset", "down", when=b"comp=blocklist", times=1)]
    assert _upload(container, proxy, LONG) is Proof.REREAD
    assert len(proxy.fired) == 1
    assert open_container(container).read("f") == LONG


@pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
def test_what_is_read_back_is_what_was_written_at_every_boundary(container: Container, size: int) -> None:
    writer = open_container(container).open("f")
    writer.write(LONG[:size])
    assert writer.close() is Proof.REREAD
    assert open_container(container).read("f") == LONG[:size]


@pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("foreign", ["other", "longer", "none"])
def test_what_stands_there_in_the_end_is_compared(container: Container, content: bytes, foreign: str, monkeypatch) -> None:
    """Another process replaces or removes the blob just before it is looked at."""
    destination = open_container(container)
    look = destination.api.stored

    def meddle_and_look(path: str):
        if foreign == "none":
            container.delete("f")
        else:
            container.put("f", content + b"x" if foreign == "longer" else content[:-1] + bytes([content[-1] ^ 1]))
        return look(path)

    monkeypatch.setattr(destination.api, "stored", meddle_and_look)
    writer = destination.open("f")
    writer.write(content)
    with pytest.raises(NotIntact):
        writer.close()
    assert container.names() == []


def test_two_writers_of_one_blob_do_not_mix(container: Container) -> None:
    """Their blocks have names of their own; who commits last has the file."""
    one, other = open_container(container).open("f"), open_container(container).open("f")
    one.write(LONG)
    other.write(SHORT)
    other.write(LONG)
    assert one.close() is Proof.REREAD
    assert open_container(container).read("f") == LONG
    other.abort()
    assert open_container(container).read("f") == LONG


def test_blocks_that_were_never_committed_are_not_seen(container: Container) -> None:
    """As a killed process leaves them. The next upload to the same path drops them."""
    destination = open_container(container)
    left = destination.open("a/f")
    left.write(LONG)  # neither closed nor aborted
    assert destination.read("a/f") is None
    assert list(destination.list("")) == []
    destination.delete(["a/f"])

    writer = open_container(container).open("a/f")
    writer.write(SHORT)
    writer.close()
    assert container.names(uncommitted=True) == [f"{container.folder}/a/f"]
    assert destination.read("a/f") == SHORT


class TestConditionalCreate:
    def test_a_lost_reply_is_resolved_by_looking(self, container: Container, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", "down", when=b"if-none-match", times=1)]
        assert open_container(container, url=container.via(proxy.url)).create("_manifest", b"mine") is True
        assert len(proxy.fired) == 1
        assert open_container(container).read("_manifest") == b"mine"

    def test_a_lost_reply_does_not_make_anothers_ours(self, container: Container, proxy: FaultProxy) -> None:
        open_container(container).create("_manifest", b"theirs")
        proxy.faults = [Fault("reset", "down", when=b"if-none-match", times=1)]
        assert open_container(container, url=container.via(proxy.url)).create("_manifest", b"mine") is False
        assert len(proxy.fired) == 1

    def test_a_request_that_never_arrived_is_sent_again(self, container: Container, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", when=b"PUT /", after=1, times=1)]
        assert open_container(container, url=container.via(proxy.url)).create("_manifest", b"mine") is True
        assert len(proxy.fired) == 1

    def test_the_same_content_of_another_is_not_ours(self, container: Container) -> None:
        open_container(container).create("_manifest", b"same")
        assert open_container(container).create("_manifest", b"same") is False


def test_the_environment_does_not_leak_into_a_connection(container: Container, monkeypatch) -> None:
    for name, value in {
        "AZURE_STORAGE_ACCOUNT_NAME": "other",
        "AZURE_STORAGE_ACCOUNT_KEY": "b3RoZXI=",
        "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x",
        "AZURE_STORAGE_TOKEN": "bogus",
        "AZURE_CONTAINER_NAME": "other",
        "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1/other",
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURE_SKIP_SIGNATURE": "true",
        "AZURE_TENANT_ID": "other",
        "AZURE_CLIENT_ID": "other",
        "AZURE_CLIENT_SECRET": "other",
        "AZURE_CREDENTIAL_TYPE": "managed_identity",
        "AZURE_USE_AZURE_CLI": "true",
    }.items():
        monkeypatch.setenv(name, value)
    open_container(container).probe()
    open_container(container).put("f", b"x")
    assert container.names() == [f"{container.folder}/f"]
