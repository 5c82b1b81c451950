"""What a server refuses ends with a sentence and a next step, without secrets, and is told apart from what may pass."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.sftp import SftpDestination
from cdp_exports.destinations.sftp_files import SftpFiles
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError
from cdp_exports.testing.destinations import FileDestinationSuite
from cdp_exports_tests.destinations.opened_sftp import IMPATIENT, open_home
from cdp_exports_tests.destinations.test_faults import upload
from cdp_exports_tests.servers.openssh import PASSWORD, Home, OpensshServer, make_server

WRITING: Mapping[str, Callable[[SftpDestination], object]] = {
    "open": lambda destination: destination.open("f"),
    "put": lambda destination: destination.put("f", b"x"),
    "create": lambda destination: destination.create("f", b"x"),
    "probe": lambda destination: destination.probe(),
}
READING: Mapping[str, Callable[[SftpDestination], object]] = {
    "read": lambda destination: destination.read("f"),
    "stream": lambda destination: destination.stream("f"),
    "list": lambda destination: list(destination.list("")),
    "delete": lambda destination: destination.delete(["f"]),
}
CALLS = {**WRITING, **READING}


def _failure(call: Callable[[], object], kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.next_step
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_somebody_else_listens(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        destination = open_home(home, port=silent.getsockname()[1], patience=replace(IMPATIENT, connect=0.3))
        _failure(destination.probe, TransientError)


def test_a_host_that_does_not_exist(home: Home) -> None:
    assert "could not be reached" in _failure(open_home(home, host="no-such-host.invalid").probe, TransientError)


@pytest.mark.parametrize("call", [*WRITING.values(), READING["list"]], ids=[*WRITING, "list"])
def test_a_folder_that_does_not_exist(home: Home, call: Callable[[SftpDestination], object]) -> None:
    destination = open_home(home, folder=f"{home.folder}/nobody-made-this")
    message = _failure(lambda: call(destination), DestinationRefused)
    assert "there is no such folder" in message
    assert "nobody-made-this" in message
    assert home.files() == []


@pytest.mark.parametrize("call", WRITING.values(), ids=WRITING)
def test_no_right_to_write(home: Home, call: Callable[[SftpDestination], object]) -> None:
    destination = open_home(home, user="reader")
    assert "the user has no right to do this" in _failure(lambda: call(destination), DestinationRefused)
    assert home.files() == []


def test_a_reader_may_read(home: Home) -> None:
    open_home(home).put("a/f", b"x")
    reader = open_home(home, user="reader")
    assert reader.read("a/f") == b"x"
    assert [found.path for found in reader.list("")] == ["a/f"]
    assert "no right" in _failure(lambda: reader.delete(["a/f"]), DestinationRefused)


def test_nobody_leaves_the_chroot(home: Home) -> None:
    """/etc exists on this machine, not where the user is locked in; and its root is not the user's to write to."""
    assert "no such folder" in _failure(open_home(home, folder="/etc").probe, DestinationRefused)
    assert "no right" in _failure(open_home(home, folder="/").probe, DestinationRefused)
    assert not os.path.lexists("/etc/f")


@pytest.mark.parametrize("folder", ["", "upload", "/upload", "/"])
def test_folders_count_from_where_the_user_starts(home: Home, folder: str) -> None:
    destination = open_home(home, folder=folder)
    below = home.folder.removeprefix("/upload" if "upload" in folder else "").strip("/")
    destination.put(f"{below}/f", b"x")
    assert (home.path / "f").read_bytes() == b"x"
    assert [found.path for found in destination.list(below)] == [f"{below}/f"]
    destination.delete([f"{below}/f"])
    assert not home.path.exists()
    assert home.path.parent.is_dir()


def test_a_file_stands_where_a_folder_is_needed(home: Home) -> None:
    destination = open_home(home)
    destination.put("orders", b"")
    assert "a file stands where a folder is needed" in _failure(lambda: destination.open("orders/part-0"), DestinationRefused)
    destination.put("a/b", b"")
    for call in (destination.put, destination.create):
        assert "a file stands where a folder is needed" in _failure(lambda call=call: call("a", b""), DestinationRefused)
    assert home.files() == ["a/b", "orders"]


def test_a_name_that_is_too_long(home: Home) -> None:
    destination = open_home(home)
    assert "cannot hold such a name" in _failure(lambda: destination.put("x" * 300, b""), DestinationRefused)


def test_symbolic_links_are_not_listed(home: Home) -> None:
    destination = open_home(home)
    destination.put("f", b"x")
    (home.path / "link").symlink_to("f")
    (home.path / "loop").symlink_to(".")
    assert [found.path for found in destination.list("")] == ["f"]


def test_the_case_of_paths_is_kept(home: Home) -> None:
    destination = open_home(home)
    for path in ("Orders/PART.CSV", "orders/part.csv", "Orders/part.CSV"):
        upload(destination, path.encode(), path)
    assert home.files() == ["Orders/PART.CSV", "Orders/part.CSV", "orders/part.csv"]
    assert destination.read("Orders/part.CSV") == b"Orders/part.CSV"
    assert destination.read("ORDERS/part.csv") is None


@pytest.mark.parametrize("ciphers", ["chacha20-poly1305@openssh.com", "aes256-ctr"])
def test_a_server_without_the_fast_ciphers(ciphers: str) -> None:
    server = make_server(options=f"Ciphers {ciphers}")
    try:
        open_home(server.home()).probe()
    finally:
        server.stop()


def test_a_user_without_sftp(home: Home) -> None:
    server = make_server(options="ForceCommand /bin/echo hello")
    try:
        assert "got no SFTP" in _failure(open_home(server.home()).probe, DestinationRefused)
    finally:
        server.stop()


def test_its_address(home: Home) -> None:
    destination = open_home(home, folder="upload", user="exporter")
    assert destination.place == f"sftp://exporter@127.0.0.1:{home.server.port}/~/upload"
    assert destination.uri("a/b") == f"{destination.place}/a/b"
    assert open_home(home, folder="", port=22).place == "sftp://exporter@127.0.0.1/~"
    assert open_home(home, folder="/in", port=22, host="::1").place == "sftp://exporter@[::1]/in"


@pytest.fixture(scope="module")
def plain() -> Iterator[OpensshServer]:
    """It offers nothing but SFTP 3."""
    server = make_server(sftp="-P posix-rename,hardlink,fsync,statvfs,fstatvfs,limits,lsetstat")
    yield server
    server.stop()


class TestWithoutExtensions(FileDestinationSuite):
    @pytest.fixture
    def destination(self, plain: OpensshServer) -> FileDestination:
        return open_home(plain.home(), patience=replace(IMPATIENT, request=60))

    def test_one_that_renames_onto_files_is_not_trusted(self, plain: OpensshServer, monkeypatch) -> None:
        """Its promise is tried, with two hidden files."""
        home = plain.home()

        async def renames_onto_files(*_: object) -> bool:
            return False

        monkeypatch.setattr(SftpFiles, "_renames_onto_nothing_only", renames_onto_files)
        assert "hardlink@openssh.com" in _failure(lambda: open_home(home).create("_manifest", b"x"), DestinationRefused)
        assert home.files() == []
