"""What every file destination must do, as tests to inherit: derive a class named `Test...` from FileDestinationSuite and
define the fixture `destination`, which gives a destination over an empty folder of a real server.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from cdp_exports.destinations.destination import FileDestination
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import DestinationRefused

ODD_NAMES: Sequence[str] = (
    "with space",
    "é-ü-日本語-🙂",
    "a+b&c=d%e~f",
    "100%",
    "a%20b",
    "exportTime=202612010200",
    "{braces}[1]*?",
    "quote'\"`",
    "#fragment?query",
    "-dash",
    "...",
    ".hidden",
    "a:b;c,d",
    "x" * 200,
)


UNSAFE_PATHS: Sequence[str] = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "a/../b",
    "../a",
    "a//b",
    "a/",
    "./a",
    "a\\b",
    "a\0b",
    "a\nb",
    "\ud800",
)


class FileDestinationSuite:
    """Inherit it and define the fixture `destination`, over an empty folder."""

    long_file: ClassVar[int] = (40 << 20) + 12345
    """Bytes of a file that goes in several parts, where there are parts."""

    many: ClassVar[int] = 1005
    """Objects that need more than one page of a listing."""

    @pytest.fixture
    def destination(self) -> FileDestination:
        raise NotImplementedError

    def test_a_file_appears_at_close(self, destination: FileDestination) -> None:
        writer = destination.open("orders/part-0")
        assert writer.write(b"hello ") == 6
        assert writer.write(bytearray(b"wor")) == 3
        assert writer.write(memoryview(b"ld")) == 2
        assert destination.read("orders/part-0") is None
        assert list(destination.list("")) == []

        proof = writer.close()

        assert proof in Proof
        assert destination.read("orders/part-0") == b"hello world"
        assert [(found.path, found.size) for found in destination.list("")] == [("orders/part-0", 11)]

    def test_the_proof_is_the_declared_one(self, destination: FileDestination) -> None:
        writer = destination.open("f")
        writer.write(b"x")
        assert writer.close() is destination.capabilities.proof

    def test_an_existing_file_is_replaced_at_close(self, destination: FileDestination) -> None:
        _write(destination, "f", b"old")
        writer = destination.open("f")
        writer.write(b"newer")
        assert destination.read("f") == b"old"
        writer.close()
        assert destination.read("f") == b"newer"

    def test_an_aborted_file_leaves_nothing(self, destination: FileDestination) -> None:
        writer = destination.open("folder/f")
        writer.write(b"x")
        writer.abort()
        writer.abort()
        assert destination.read("folder/f") is None
        assert list(destination.list("")) == []

    def test_an_aborted_long_file_leaves_nothing(self, destination: FileDestination) -> None:
        writer = destination.open("f")
        writer.write(_noise(self.long_file))
        writer.abort()
        assert list(destination.list("")) == []

    def test_an_aborted_file_leaves_the_one_before(self, destination: FileDestination) -> None:
        _write(destination, "f", b"old")
        writer = destination.open("f")
        writer.write(b"new")
        writer.abort()
        assert destination.read("f") == b"old"

    def test_an_abort_after_close_changes_nothing(self, destination: FileDestination) -> None:
        writer = destination.open("f")
        writer.write(b"x")
        writer.close()
        writer.abort()
        assert destination.read("f") == b"x"

    def test_an_empty_file_is_a_file(self, destination: FileDestination) -> None:
        _write(destination, "empty", b"")
        assert destination.read("empty") == b""
        stream = destination.stream("empty")
        assert stream is not None
        assert b"".join(stream) == b""
        assert [found.size for found in destination.list("")] == [0]

    def test_a_long_file_keeps_every_byte(self, destination: FileDestination) -> None:
        content = _noise(self.long_file)
        writer = destination.open("long")
        for start in range(0, len(content), 1_000_003):  # never the size of a part
            writer.write(content[start : start + 1_000_003])
        writer.close()

        stream = destination.stream("long")

        assert stream is not None
        digest = hashlib.sha256()
        for chunk in stream:
            digest.update(chunk)
        assert digest.digest() == hashlib.sha256(content).digest()
        assert [found.size for found in destination.list("")] == [len(content)]

    def test_two_files_at_once(self, destination: FileDestination) -> None:
        one, other = destination.open("one"), destination.open("other")
        one.write(b"1")
        other.write(b"2")
        other.close()
        one.close()
        assert (destination.read("one"), destination.read("other")) == (b"1", b"2")

    def test_create_only_where_nothing_is(self, destination: FileDestination) -> None:
        assert destination.create("folder/_manifest", b"first") is True
        assert destination.create("folder/_manifest", b"second") is False
        assert destination.read("folder/_manifest") == b"first"
        destination.delete(["folder/_manifest"])
        assert destination.create("folder/_manifest", b"third") is True

    def test_of_many_who_create_one_wins(self, destination: FileDestination) -> None:
        contents = [f"writer {i}".encode() * 100 for i in range(32)]
        won = _at_once([lambda content=content: destination.create("race/_manifest", content) for content in contents])
        assert won.count(True) == 1
        assert destination.read("race/_manifest") == contents[won.index(True)]
        assert [found.path for found in destination.list("")] == ["race/_manifest"]

    def test_put_replaces(self, destination: FileDestination) -> None:
        destination.put("folder/f", b"one")
        destination.put("folder/f", b"three")
        assert destination.read("folder/f") == b"three"

    def test_what_is_not_there_reads_as_none(self, destination: FileDestination) -> None:
        destination.put("folder/f", b"x")
        for path in ("nothing", "nothing/at/all", "folder", "folder/f/below"):
            assert destination.read(path) is None
            assert destination.stream(path) is None
            assert list(destination.list(path)) == ([] if path != "folder" else list(destination.list("")))

    def test_a_listing_is_in_order_of_paths(self, destination: FileDestination) -> None:
        paths = ["a-x", "a.txt", "a/b", "a/c/d", "a/c.d", "a/c-", "b", "Z", "é", "a b/c", "ab"]
        for path in paths:
            destination.put(path, path.encode())
        assert [found.path for found in destination.list("")] == sorted(paths)
        for after in sorted(paths):
            assert [found.path for found in destination.list("", after=after)] == [path for path in sorted(paths) if path > after]

    def test_a_listing_is_of_one_folder(self, destination: FileDestination) -> None:
        for path in ("a/1", "a/b/2", "ab/3", "a.4", "5"):
            destination.put(path, b"")
        assert [found.path for found in destination.list("a")] == ["a/1", "a/b/2"]
        assert [found.path for found in destination.list("a/b")] == ["a/b/2"]
        assert [found.path for found in destination.list("a", after="a/1")] == ["a/b/2"]

    def test_many_objects(self, destination: FileDestination) -> None:
        paths = [f"many/{i:05d}" for i in range(self.many)]
        _at_once([lambda path=path: destination.put(path, b"x") for path in paths])
        assert [found.path for found in destination.list("many")] == paths
        assert [found.path for found in destination.list("many", after=paths[-3])] == paths[-2:]
        destination.delete(paths)
        assert list(destination.list("")) == []

    def test_deleting_twice_is_deleting_once(self, destination: FileDestination) -> None:
        destination.put("a/b", b"x")
        destination.put("a/c", b"y")
        destination.delete(["a/b", "never/there"])
        destination.delete(["a/b"])
        destination.delete([])
        assert [found.path for found in destination.list("")] == ["a/c"]

    def test_only_what_is_named_is_deleted(self, destination: FileDestination) -> None:
        for path in ("a", "ab", "b/c", "b/cd"):
            destination.put(path, b"x")
        destination.delete(["a", "b/c", "b"])
        assert [found.path for found in destination.list("")] == ["ab", "b/cd"]

    def test_what_was_left_open_is_abandoned_and_files_stay(self, destination: FileDestination) -> None:
        _write(destination, "a/b", b"old")
        left = destination.open("a/b")
        left.write(b"new" * 1000)
        destination.abandon(["a/b", "never/there"])
        destination.abandon([])
        assert destination.read("a/b") == b"old"
        left.abort()
        assert [found.path for found in destination.list("")] == ["a/b"]
        assert destination.read("a/b") == b"old"

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_odd_names(self, destination: FileDestination, name: str) -> None:
        path = f"odd/{name}/{name}"
        _write(destination, path, b"1")
        assert destination.create(f"{path}-created", b"2") is True
        assert destination.read(path) == b"1"
        assert [found.path for found in destination.list(f"odd/{name}")] == [path, f"{path}-created"]
        assert destination.uri(path)
        destination.delete([path, f"{path}-created"])
        assert list(destination.list("")) == []

    @pytest.mark.parametrize("path", UNSAFE_PATHS)
    def test_paths_that_lead_elsewhere_are_refused(self, destination: FileDestination, path: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: destination.open(path),
            lambda: destination.create(path, b""),
            lambda: destination.put(path, b""),
            lambda: destination.read(path),
            lambda: destination.stream(path),
            lambda: destination.delete([path]),
            lambda: destination.abandon([path]),
            lambda: destination.uri(path),
        ]
        for call in calls:
            with pytest.raises(DestinationRefused):
                call()

    def test_probing_leaves_nothing(self, destination: FileDestination) -> None:
        destination.probe()
        assert list(destination.list("")) == []

    def test_its_place_is_stable(self, destination: FileDestination) -> None:
        assert destination.place == destination.place
        assert destination.uri("a/b").endswith("a/b")


def _write(destination: FileDestination, path: str, content: bytes) -> None:
    writer = destination.open(path)
    writer.write(content)
    writer.close()


def _at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    with ThreadPoolExecutor(32) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


def _noise(size: int) -> bytes:
    return random.Random(0).randbytes(size)  # noqa: S311 the same bytes in every run
