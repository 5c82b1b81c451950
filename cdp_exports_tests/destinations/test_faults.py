"""What networks, crashes and others do to a file on its way to any store: it is whole and proved, or it is not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_exports.destinations import object_store
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.local import LocalDestination
from cdp_exports.destinations.object_store import ObjectStoreDestination
from cdp_exports.destinations.store_api import Stored
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import NotIntact, TransientError
from cdp_exports_tests.destinations.far import LONG, SHORT, Far
from cdp_exports_tests.destinations.opened import IMPATIENT
from cdp_exports_tests.servers.faults import Fault, FaultProxy

NO_RETRY = replace(IMPATIENT, retries=0)


def upload(destination: FileDestination, content: bytes, path: str = "a/f") -> Proof:
    """As a delivery does it, in pieces that are no part's size."""
    writer = destination.open(path)
    try:
        for start in range(0, len(content), 1_000_003):
            writer.write(content[start : start + 1_000_003])
        return writer.close()
    finally:
        writer.abort()


def stands(far: Far, content: bytes | None) -> None:
    """Exactly this file is there, or nothing at all; and nothing is left of an upload."""
    assert far.files() == ([] if content is None else ["a/f"])
    assert far.hidden() == []
    assert far.open().read("a/f") == content


def _in_a_part(far: Far, kind, *, times: int | None = None) -> Fault:
    if far.web is None:  # nobody can tell what is in it
        return Fault(kind, after=3_000_000, times=times)
    return Fault(kind, when=far.web.part, after=1_000_000, times=times)


class TestConnections:
    def test_one_that_is_cut_in_the_middle_of_a_file(self, far: Far, way: FaultProxy) -> None:
        way.faults = [_in_a_part(far, "reset", times=1)]
        assert upload(far.open(way.url), LONG) is far.proof
        assert len(way.fired) == 1
        stands(far, LONG)

    @pytest.mark.parametrize("kind", ["reset", "stall"])
    def test_one_that_stays_bad(self, far: Far, way: FaultProxy, kind) -> None:
        destination = far.open(way.url, patience=replace(IMPATIENT, connect=1, request=2, retries=1))
        writer = destination.open("a/f")
        way.faults = [_in_a_part(far, kind) if far.web else Fault(kind)]
        way.cut()

        def go_on() -> None:
            writer.write(LONG + LONG)
            writer.close()

        with pytest.raises(TransientError, match=r"could not be reached|did not answer in time"):
            go_on()
        way.faults = []
        writer.abort()
        assert way.fired
        stands(far, None)

    def test_one_that_is_slow(self, far: Far, way: FaultProxy) -> None:
        way.faults = [Fault("slow", "down")]
        assert upload(far.open(way.url), SHORT) is far.proof
        stands(far, SHORT)

    def test_nobody_can_be_told_that_it_is_given_up(self, far: Far, way: FaultProxy) -> None:
        writer = far.open(way.url, patience=NO_RETRY).open("a/f")
        writer.write(LONG)
        way.faults = [Fault("refuse")]
        way.cut()
        writer.abort()
        writer.abort()
        assert far.files() == []
        far.open().delete(["a/f"])
        stands(far, None)

    def test_a_file_that_is_read_when_it_is_cut(self, far: Far, way: FaultProxy) -> None:
        upload(far.open(), LONG)
        chunks = far.open(way.url, patience=NO_RETRY).stream("a/f")
        assert chunks is not None
        first = next(iter(chunks))
        assert LONG.startswith(first)
        way.faults = [Fault("refuse")]
        way.cut()
        with pytest.raises(TransientError):
            b"".join(chunks)


class TestBytesThatAreAltered:
    @pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
    def test_on_the_way(self, web: Far, way: FaultProxy, content: bytes) -> None:
        """Without TLS nobody else finds it. Over SSH the connection breaks, and the upload goes on over another: test_sftp_faults."""
        of = web.object_store
        way.faults = [Fault("corrupt", when=of.part if content is LONG or web.name == "azure" else b"\r\n\r\n", after=50_000, times=1)]
        with pytest.raises(of.altered, match=r"what arrived was not what was sent|was not what was written"):
            upload(web.open(way.url), content)
        assert len(way.fired) == 1
        stands(web, None)

    def test_the_store_tells_another_checksum(self, web: Far, monkeypatch) -> None:
        destination = web.open()
        assert isinstance(destination, ObjectStoreDestination)
        look = destination.api.stored

        def look_wrong(path: str) -> Stored | None:
            stored = look(path)
            return stored and replace(stored, checksum="AAAA")

        monkeypatch.setattr(destination.api, "stored", look_wrong)
        with pytest.raises(NotIntact):
            upload(destination, SHORT)
        stands(web, None)

    @pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
    @pytest.mark.parametrize("another", ["other", "longer", "none"])
    def test_another_process_meddles_before_it_is_looked_at(self, web: Far, content: bytes, another: str, monkeypatch) -> None:
        destination = web.open()
        assert isinstance(destination, ObjectStoreDestination)
        look = destination.api.stored
        standing = {"other": content[:-1] + bytes([content[-1] ^ 1]), "longer": content + b"x", "none": None}[another]

        def meddle_and_look(path: str) -> Stored | None:
            monkeypatch.undo()
            web.object_store.put(path, standing)
            return look(path)

        monkeypatch.setattr(destination.api, "stored", meddle_and_look)
        with pytest.raises(NotIntact):
            upload(destination, content)
        stands(web, None)

    @pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
    def test_a_file_of_any_size_is_proved(self, web: Far, size: int) -> None:
        content = (LONG + LONG)[:size]
        assert upload(web.open(), content) is web.proof
        stands(web, content)


class TestLostReplies:
    """The store did what it was asked, and the connection broke before it could say so. For SFTP: test_sftp_faults."""

    @pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
    def test_to_the_last_request(self, web: Far, way: FaultProxy, content: bytes) -> None:
        way.faults = [Fault("reset", "down", when=_last(web, content), times=1)]
        assert upload(web.open(way.url, patience=NO_RETRY), content) is web.proof
        assert len(way.fired) == 1
        stands(web, content)

    def test_to_the_last_request_which_is_repeated(self, web: Far, way: FaultProxy) -> None:
        way.faults = [Fault("reset", "down", when=_last(web, LONG), times=1)]
        assert upload(web.open(way.url), LONG) is web.proof
        assert len(way.fired) == 1
        stands(web, LONG)

    @pytest.mark.parametrize("content", [SHORT, LONG], ids=["short", "long"])
    def test_and_nobody_can_look(self, web: Far, way: FaultProxy, content: bytes) -> None:
        last = _last(web, content)
        look = b"GET /" if web.name == "azure" else b"HEAD /"
        way.faults = [Fault("reset", "down", when=last, times=1), Fault("reset", "down", when=look, times=1)]
        with pytest.raises(TransientError):
            upload(web.open(way.url, patience=NO_RETRY), content)
        assert len(way.fired) == 2
        stands(web, None)


def _last(far: Far, content: bytes) -> bytes:
    return far.object_store.complete if content is LONG or far.name == "azure" else b"PUT /"


class TestOthers:
    def test_two_writers_of_one_path(self, far: Far) -> None:
        _two_writers(far.open(), far.open())
        assert far.files() == ["a/f"]
        assert far.hidden() == []

    def test_two_writers_of_one_path_in_a_folder(self, tmp_path: Path) -> None:
        _two_writers(LocalDestination(tmp_path), LocalDestination(tmp_path))
        assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["f"]

    def test_what_a_killed_process_left(self, far: Far) -> None:
        """Uploads to other paths stay, neighbours with the same beginning among them."""
        code = """
import json, os, sys, time
from cdp_exports_tests.destinations.far import LONG, reopened
destination = reopened(json.loads(sys.argv[1]), os.environ)
writers = [destination.open(path) for path in ("a/f", "a/f-2", "b")]
for writer in writers:
    writer.write(LONG)
print("ready", flush=True)
time.sleep(600)
"""
        command = [sys.executable, "-c", code, json.dumps(far.declared)]
        environ = {**dict(far.environ), "PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGKILL)
        destination, left = far.open(), far.hidden()
        assert far.files() == []
        assert list(destination.list("")) == []
        assert len(left) == (0 if far.name == "azure" else 3)
        destination.delete(["a/f"])
        assert len(far.hidden()) == max(0, len(left) - 1)
        destination.delete(["a/f-2", "b", "never/there"])
        assert far.hidden() == []
        assert upload(destination, SHORT) is far.proof
        stands(far, SHORT)


def _two_writers(*destinations: FileDestination) -> None:
    """They do not mix: who completes the file last has it."""
    one, other = (destination.open("a/f") for destination in destinations)
    for start in range(0, len(LONG), 10_000_000):
        one.write(LONG[start : start + 10_000_000])
        other.write(SHORT)
    one.close()
    assert destinations[1].read("a/f") == LONG
    other.close()
    assert destinations[0].read("a/f") == SHORT * 2
    late = destinations[0].open("a/f")
    late.write(LONG)
    late.abort()
    assert destinations[1].read("a/f") == SHORT * 2


class TestConditionalCreate:
    def test_a_lost_reply_is_resolved_by_looking(self, web: Far, way: FaultProxy) -> None:
        way.faults = [Fault("reset", "down", when=web.object_store.create, times=1)]
        assert web.open(way.url).create("a/f", b"mine") is True
        assert len(way.fired) == 1
        stands(web, b"mine")

    def test_a_lost_reply_does_not_make_anothers_ours(self, web: Far, way: FaultProxy) -> None:
        web.open().create("a/f", b"theirs")
        way.faults = [Fault("reset", "down", when=web.object_store.create, times=1)]
        assert web.open(way.url).create("a/f", b"mine") is False
        assert len(way.fired) == 1
        stands(web, b"theirs")

    def test_a_request_that_never_arrived_is_sent_again(self, web: Far, way: FaultProxy) -> None:
        way.faults = [Fault("reset", when=b"PUT /", after=1, times=1)]
        assert web.open(way.url).create("a/f", b"mine") is True
        assert len(way.fired) == 1
        stands(web, b"mine")

    def test_a_stalled_reply_is_resolved_by_looking(self, web: Far, way: FaultProxy) -> None:
        way.faults = [Fault("stall", "down", when=web.object_store.create, times=1)]
        assert web.open(way.url, patience=replace(IMPATIENT, request=2)).create("a/f", b"mine") is True
        stands(web, b"mine")

    def test_it_gives_up_saying_that_it_may_pass(self, far: Far, way: FaultProxy, monkeypatch) -> None:
        monkeypatch.setattr(object_store, "_CREATE_WAITS", (0, 0))
        way.faults = [Fault("refuse")]
        with pytest.raises(TransientError):
            far.open(way.url, patience=NO_RETRY).create("a/f", b"mine")
        stands(far, None)

    def test_the_same_content_of_another_is_not_ours(self, far: Far) -> None:
        assert far.open().create("a/f", b"same") is True
        assert far.open().create("a/f", b"same") is False
