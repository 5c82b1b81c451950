"""What networks, disks and crashes do to a file on its way: it is whole and proved, or it is not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from subprocess import PIPE

import psutil
import pytest

from cdp_exports.destinations.sftp import SftpDestination
from cdp_exports.destinations.sftp_files import SftpFiles
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import DestinationRefused, NotIntact, TransientError
from cdp_exports_tests.destinations.far import sftp
from cdp_exports_tests.destinations.opened_sftp import IMPATIENT, open_home
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.openssh import PASSWORD, Home, OpensshServer, make_server

LONG = os.urandom(12 << 20)


@pytest.fixture
def proxy(home: Home) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", home.server.port) as proxy:
        yield proxy


def _through(proxy: FaultProxy, home: Home, **changes) -> SftpDestination:
    return open_home(home, port=proxy.port, **changes)


def _upload(destination: SftpDestination, content: bytes = LONG) -> Proof:
    writer = destination.open("a/f")
    try:
        for start in range(0, len(content), 1_000_003):
            writer.write(content[start : start + 1_000_003])
        return writer.close()
    finally:
        writer.abort()


class TestACut:
    @pytest.mark.parametrize("after", [3_000_000, 9_000_000, len(LONG) + 20_000])
    def test_the_upload_goes_on_where_it_was(self, home: Home, proxy: FaultProxy, after: int) -> None:
        proxy.faults = [Fault("reset", after=after, times=1)]
        assert _upload(_through(proxy, home)) is Proof.REREAD
        assert len(proxy.fired) == 1
        assert home.files() == ["a/f"]
        assert (home.path / "a/f").read_bytes() == LONG

    def test_again_and_again_while_something_arrives(self, home: Home, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", after=3_000_000, times=7)]
        assert _upload(_through(proxy, home)) is Proof.REREAD
        assert len(proxy.fired) > 3
        assert (home.path / "a/f").read_bytes() == LONG

    def test_while_it_is_read_back(self, home: Home, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("reset", "down", after=5_000_000, times=1)]
        assert _upload(_through(proxy, home)) is Proof.REREAD
        assert len(proxy.fired) == 1
        assert home.files() == ["a/f"]

    def test_a_silent_server_is_not_waited_for(self, home: Home, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("stall", after=100_000)]
        with pytest.raises(TransientError, match="did not answer in time"):
            _upload(_through(proxy, home, patience=replace(IMPATIENT, request=1, connect=1)))

    def test_a_byte_altered_on_the_way_is_sent_again(self, home: Home, proxy: FaultProxy) -> None:
        proxy.faults = [Fault("corrupt", after=4_000_000, times=1)]
        assert _upload(_through(proxy, home)) is Proof.REREAD
        assert len(proxy.fired) == 1
        assert (home.path / "a/f").read_bytes() == LONG

    def test_the_servers_process_is_killed(self, home: Home) -> None:
        destination = open_home(home)
        writer = destination.open("a/f")
        writer.write(LONG)
        _kill_sessions(home.server)
        writer.write(LONG)
        assert writer.close() is Proof.REREAD
        assert (home.path / "a/f").read_bytes() == LONG * 2

    def test_steps_that_may_be_done_twice_are(self, home: Home, proxy: FaultProxy) -> None:
        destination = _through(proxy, home)
        calls: list[Callable[[], object]] = [
            lambda: destination.put("f", b"x"),
            lambda: destination.create("g", b"x"),
            lambda: destination.read("f"),
            lambda: b"".join(destination.stream("f") or ()),
            lambda: list(destination.list("")),
            lambda: destination.delete(["f"]),
            destination.probe,
        ]
        for call in calls:
            proxy.cut()
            call()


class TestLostReplies:
    """The server did what it was asked, and the connection broke before it could say so."""

    @pytest.fixture
    def lose(self, monkeypatch) -> Callable[..., list[str]]:
        def lose(name: str, error: type[Exception] = ConnectionResetError) -> list[str]:
            done, lost = getattr(SftpFiles, name), []

            async def do_and_lose(self, sftp, *arguments):
                answer = await done(self, sftp, *arguments)
                if not lost:
                    lost.append(name)
                    raise error
                return answer

            monkeypatch.setattr(SftpFiles, name, do_and_lose)
            return lost

        return lose

    def test_of_create(self, home: Home, lose) -> None:
        lost = lose("name_new")
        assert open_home(home).create("_manifest", b"mine") is True
        assert lost
        assert home.files() == ["_manifest"]

    def test_does_not_make_anothers_ours(self, home: Home, lose) -> None:
        open_home(home).create("_manifest", b"theirs")
        lost = lose("name_new")
        assert open_home(home).create("_manifest", b"mine") is False
        assert lost
        assert home.files() == ["_manifest"]

    def test_of_renaming(self, home: Home, lose) -> None:
        lost = lose("publish")
        assert _upload(open_home(home)) is Proof.REREAD
        assert lost
        assert home.files() == ["a/f"]

    def test_of_renaming_is_undone_by_abort(self, home: Home, lose) -> None:
        lost = lose("publish", RuntimeError)
        with pytest.raises(RuntimeError):
            _upload(open_home(home))
        assert lost
        assert home.files() == []


class TestProof:
    @pytest.mark.parametrize("damage", [b"", b"hellO", b"hello!", None])
    def test_a_file_that_reads_back_otherwise_is_not_published(self, home: Home, monkeypatch, damage: bytes | None) -> None:
        destination = open_home(home)
        writer = destination.open("a/f")
        writer.write(b"hello")
        opened = SftpFiles.open_existing

        async def damage_and_open(self, sftp, path):
            [partial] = home.path.glob("a/.*.partial")
            partial.unlink() if damage is None else partial.write_bytes(damage)
            return await opened(self, sftp, path)

        monkeypatch.setattr(SftpFiles, "open_existing", damage_and_open)
        with pytest.raises(NotIntact):
            writer.close()
        writer.abort()
        assert list(home.path.iterdir()) == []

    @pytest.mark.parametrize("size", [1, 261_119, 261_120, 261_121, 1 << 20])
    def test_at_every_boundary(self, home: Home, size: int) -> None:
        assert _upload(open_home(home), LONG[:size]) is Proof.REREAD
        assert (home.path / "a/f").read_bytes() == LONG[:size]


class TestCreate:
    def test_readers_never_see_a_part_of_it(self, home: Home) -> None:
        content = os.urandom(2 << 20)
        seen: set[int] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                for file in home.path.glob("_manifest-*"):
                    seen.add(file.stat().st_size)

        with ThreadPoolExecutor(1) as reader:
            looking = reader.submit(look)
            for i in range(10):
                assert open_home(home).create(f"_manifest-{i}", content) is True
            time.sleep(0.05)
            done.set()
            looking.result()
        assert seen == {len(content)}

    def test_of_two_processes_one_wins(self, home: Home) -> None:
        code = """
import json, sys
from cdp_exports_tests.destinations.far import reopened
destination = reopened(json.loads(sys.argv[1]), {"PASSWORD": sys.argv[2]})
destination.probe()
print("ready", flush=True)
sys.stdin.readline()
print(destination.create("race/_manifest", sys.argv[3].encode()))
"""
        declared, contents = json.dumps(sftp(home).declared), ["one", "other"]
        racers = [
            subprocess.Popen([sys.executable, "-c", code, declared, PASSWORD, content], stdin=PIPE, stdout=PIPE, text=True)
            for content in contents
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        won = [racer.communicate()[0].strip() for racer in racers]
        assert sorted(won) == ["False", "True"]
        assert open_home(home).read("race/_manifest") == contents[won.index("True")].encode()
        assert home.files() == ["race/_manifest"]


def test_an_interrupt_ends_the_wait(home: Home, proxy: FaultProxy) -> None:
    destination = _through(proxy, home, patience=replace(IMPATIENT, request=60))
    writer = destination.open("f")
    proxy.faults = [Fault("stall")]
    proxy.cut()
    threading.Timer(0.3, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        writer.write(LONG)
    proxy.faults = []
    proxy.cut()
    writer.abort()
    assert home.files() == []


class TestSeveralConnections:
    def test_writers_at_once_have_their_own(self, home: Home, proxy: FaultProxy) -> None:
        destination = _through(proxy, home)
        writers = [destination.open(f"f{i}") for i in range(6)]
        for _ in range(3):
            for i, writer in enumerate(writers):
                writer.write(LONG[i : i + 1_000_000])
        for writer in writers:
            writer.close()
        assert proxy.connections == 4
        for i in range(6):
            assert destination.read(f"f{i}") == LONG[i : i + 1_000_000] * 3

    def test_a_server_that_allows_one_gets_one(self, home: Home, proxy: FaultProxy) -> None:
        destination = _through(proxy, home)
        one = destination.open("one")
        proxy.faults = [Fault("refuse")]
        other = destination.open("other")
        for writer in (one, other):
            writer.write(LONG)
            writer.close()
        assert home.files() == ["one", "other"]
        assert len(proxy.fired) == 1


def _kill_sessions(server: OpensshServer) -> None:
    for session in psutil.Process(server._process.pid).children(recursive=True):
        session.kill()


class TestDisks:
    @pytest.fixture
    def disk(self) -> Iterator[Home]:
        server = make_server()
        server.mount("/upload", 8)
        yield Home(server, "/upload")
        server.stop()

    def test_one_that_is_full(self, disk: Home) -> None:
        destination = open_home(disk)
        with pytest.raises(DestinationRefused, match="no space left"):
            _upload(destination)
        assert disk.server.on_disk("/upload") == []
        destination.put("small", b"old")
        for call in (destination.create, destination.put):
            with pytest.raises(DestinationRefused, match="no space left"):
                call("_manifest", LONG)
        with pytest.raises(DestinationRefused, match="no space left"):
            destination.put("small", LONG)
        assert destination.read("small") == b"old"
        assert [found.path for found in destination.list("")] == ["small"]
        assert len(disk.server.on_disk("/upload")) == 1

    def test_one_that_is_read_only(self, disk: Home) -> None:
        destination = open_home(disk)
        destination.put("f", b"x")
        disk.server.mount_again_read_only("/upload")
        for call in (
            lambda: destination.open("g"),
            lambda: destination.create("g", b""),
            lambda: destination.put("f", b"y"),
            lambda: destination.delete(["f"]),
            destination.probe,
        ):
            with pytest.raises(DestinationRefused, match="read-only"):
                call()
        assert destination.read("f") == b"x"
