"""What disks and shares do to a delivery in a folder."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cdp_exports.destinations import local_files
from cdp_exports.destinations.local import LocalDestination
from cdp_exports.errors import DestinationRefused, NotIntact, TransientError


def _hidden(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def destination(tmp_path: Path) -> LocalDestination:
    return LocalDestination(tmp_path / "lake")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


class TestFullDisk:
    def test_a_file_that_does_not_fit_leaves_nothing(self, mounts, tmp_path: Path) -> None:
        disk = mounts.full(tmp_path / "disk", 8)
        writer = LocalDestination(disk).open("orders/part-0")
        writer.write(bytes(1 << 20))
        with pytest.raises(DestinationRefused, match="no space left"):
            writer.write(bytes(10 << 20))
        writer.abort()
        assert list(disk.iterdir()) == []

    def test_small_objects_that_do_not_fit_leave_nothing(self, mounts, tmp_path: Path) -> None:
        disk = mounts.full(tmp_path / "disk", 1)
        destination = LocalDestination(disk)
        for call in (destination.create, destination.put):
            with pytest.raises(DestinationRefused, match="no space left"):
                call("_manifest", bytes(2 << 20))
        assert list(disk.iterdir()) == []

    def test_what_stood_there_stays(self, mounts, tmp_path: Path) -> None:
        destination = LocalDestination(mounts.full(tmp_path / "disk", 1))
        destination.put("f", b"old")
        with pytest.raises(DestinationRefused):
            destination.put("f", bytes(2 << 20))
        assert destination.read("f") == b"old"


def test_a_read_only_folder(mounts, tmp_path: Path) -> None:
    disk = mounts.full(tmp_path / "disk", 8)
    destination = LocalDestination(disk)
    destination.put("f", b"x")
    mounts.read_only(disk)
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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DestinationRefused, match="may not write"):
        LocalDestination(tmp_path).put("f", b"")


def test_a_file_stands_where_a_folder_is_needed(destination: LocalDestination) -> None:
    destination.put("orders", b"")
    with pytest.raises(DestinationRefused, match="A file stands where a folder is needed"):
        destination.open("orders/part-0")
    destination.put("a/b", b"")
    with pytest.raises(DestinationRefused, match="A file stands where a folder is needed"):
        destination.put("a", b"")


def test_a_name_that_is_too_long(destination: LocalDestination) -> None:
    with pytest.raises(DestinationRefused, match="too long"):
        destination.put("x" * 300, b"")


def test_a_file_larger_than_the_process_may_write(destination: LocalDestination, lake: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        writer = destination.open("f")
        with pytest.raises(DestinationRefused, match="larger than is allowed"):
            writer.write(bytes(2 << 20))
        writer.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert _hidden(lake) == []


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EIO, TransientError), (errno.ESTALE, TransientError), (errno.EDQUOT, DestinationRefused)]
)
def test_a_disk_that_fails_at_the_end(destination: LocalDestination, lake: Path, monkeypatch, code: int, kind) -> None:
    def broken(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    writer = destination.open("a/f")
    writer.write(b"x")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(kind):
        writer.close()
    writer.abort()
    assert _hidden(lake) == []


@pytest.mark.parametrize("damage", [b"", b"hellO", b"hello!"])
def test_a_file_that_reads_back_otherwise_is_not_published(destination: LocalDestination, lake: Path, damage: bytes) -> None:
    writer = destination.open("f")
    writer.write(b"hello")
    next(lake.iterdir()).write_bytes(damage)
    with pytest.raises(NotIntact):
        writer.close()
    writer.abort()
    assert _hidden(lake) == []


def test_a_file_system_without_hard_links_is_refused(destination: LocalDestination, lake: Path, monkeypatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(DestinationRefused, match="hard links"):
        destination.create("_manifest", b"x")
    assert _hidden(lake) == []


def test_a_link_whose_reply_was_lost_was_made(destination: LocalDestination, monkeypatch) -> None:
    link = os.link

    def over_nfs(source, target) -> None:
        link(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", over_nfs)
    assert destination.create("_manifest", b"x") is True
    assert destination.read("_manifest") == b"x"


class TestSymbolicLinks:
    def test_a_folder_that_leads_out_is_refused(self, destination: LocalDestination, tmp_path: Path, lake: Path) -> None:
        (tmp_path / "outside").mkdir()
        lake.mkdir()
        (lake / "out").symlink_to(tmp_path / "outside")
        for call in (
            lambda: destination.open("out/f"),
            lambda: destination.create("out/f", b""),
            lambda: destination.put("out/f", b""),
            lambda: destination.read("out/f"),
            lambda: destination.delete(["out/f"]),
            lambda: list(destination.list("out")),
        ):
            with pytest.raises(DestinationRefused, match="symbolic link"):
                call()
        assert list(destination.list("")) == []

    def test_a_file_that_leads_out_is_refused(self, destination: LocalDestination, tmp_path: Path, lake: Path) -> None:
        (tmp_path / "secret").write_text("s")
        lake.mkdir()
        (lake / "f").symlink_to(tmp_path / "secret")
        with pytest.raises(DestinationRefused, match="symbolic link"):
            destination.read("f")
        with pytest.raises(DestinationRefused, match="symbolic link"):
            destination.put("f", b"x")
        assert (tmp_path / "secret").read_text() == "s"

    def test_the_connections_folder_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        linked = LocalDestination(tmp_path / "link")
        linked.put("f", b"x")
        assert LocalDestination(tmp_path / "real").read("f") == b"x"
        assert linked.place == LocalDestination(tmp_path / "real").place


class TestDelete:
    def test_it_cleans_up_after_a_killed_process(self, destination: LocalDestination, lake: Path) -> None:
        code = """
import os, signal, sys
from pathlib import Path
from cdp_exports.destinations.local import LocalDestination
destination = LocalDestination(Path(sys.argv[1]))
for path in ("a/f", "a/f", "a/f-2", "b"):
    writer = destination.open(path)
    writer.write(b"x" * 100)
    globals()[path + str(len(globals()))] = writer
os.kill(os.getpid(), signal.SIGKILL)
"""
        killed = subprocess.run([sys.executable, "-c", code, str(lake)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert len(_hidden(lake)) == 4
        assert list(destination.list("")) == []

        destination.delete(["a/f"])
        assert [name[:6] for name in _hidden(lake)] == [".b-3e2", "a/.f-2"]

        destination.delete(["a/f-2", "b"])
        assert list(lake.iterdir()) == []

    def test_it_prunes_only_what_it_emptied(self, destination: LocalDestination, lake: Path) -> None:
        destination.put("orders/one/f", b"")
        (lake / "orders/two").mkdir()
        (lake / "kept").mkdir()
        destination.delete(["orders/one/f"])
        assert sorted(path.name for path in lake.rglob("*")) == ["kept", "orders", "two"]

    def test_foreign_hidden_files_stay(self, destination: LocalDestination, lake: Path) -> None:
        lake.mkdir()
        (lake / ".f.partial").touch()
        (lake / ".f-0123456789abcdef.01234567.partial").touch()
        destination.delete(["f"])
        assert len(_hidden(lake)) == 2


def test_an_empty_folder_may_vanish_under_a_writer(destination: LocalDestination, lake: Path, monkeypatch) -> None:
    make, calls = local_files.make_folder, []

    def pruned_by_another(folder: Path) -> None:
        make(folder)
        calls.append(folder)
        if len(calls) == 1:
            folder.rmdir()

    monkeypatch.setattr(local_files, "make_folder", pruned_by_another)
    destination.put("orders/f", b"x")
    assert destination.read("orders/f") == b"x"


def test_addresses(tmp_path: Path) -> None:
    destination = LocalDestination(tmp_path / "my lake")
    assert destination.place == f"file://{tmp_path}/my%20lake"
    assert destination.uri("a/b") == f"{tmp_path}/my lake/a/b"
