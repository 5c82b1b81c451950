"""Whatever is wrong outside: one clear failure, and nothing half-delivered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, TransientError
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World
from cdp_exports_tests.destinations.opened import open_bucket
from cdp_exports_tests.servers.faults import Fault, FaultProxy
from cdp_exports_tests.servers.seaweedfs import EXPORTER, READER, Bucket, Identity


def refused(outcome: Outcome, code: str, *said: str) -> None:
    """Failed with this code, a sentence, a next step and whose it is; no secret of the tests in it."""
    assert outcome.status == "failed", outcome
    error = outcome.error
    assert error is not None
    assert error.code == code, error
    assert error.next_step
    for text in (f"{EXPORT}/orders at {outcome.export_time}", *said):
        assert text in str(error), str(error)
    assert "secret-" not in str(error)


def nothing_published(world: World) -> None:
    assert world.manifests() == []
    assert world.data_files() == set()


# -- the source
def test_no_such_table(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    refused(world.deliver(TIMES[0]), "source_unreadable", "orders")
    nothing_published(world)


def test_not_a_delta_table(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    Path(world.table).mkdir(parents=True)
    (Path(world.table) / "some.parquet").write_bytes(b"PAR1")
    refused(world.deliver(TIMES[0]), "source_unreadable", "orders")
    nothing_published(world)


def test_a_corrupt_data_file(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": n, "v": "x" * 50} for n in range(1000)])
    world.deliver(TIMES[0])
    world.write([{"id": n, "v": "y" * 50} for n in range(1000, 2000)])
    newest = max(Path(world.table).glob("*.parquet"), key=os.path.getmtime)
    content = bytearray(newest.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    newest.write_bytes(bytes(content))
    refused(world.deliver(TIMES[1]), "source_unreadable", "orders")
    assert len(world.manifests()) == 1


def test_a_truncated_data_file(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": n, "v": "x" * 50} for n in range(1000)])
    (only,) = Path(world.table).glob("*.parquet")
    only.write_bytes(only.read_bytes()[:200])
    refused(world.deliver(TIMES[0]), "source_unreadable", "orders")
    nothing_published(world)


def test_the_key_is_no_column(tmp_path: Path) -> None:
    world = World.create(tmp_path, dataset={"key": ["ids"]})
    world.write([{"id": 1, "v": "a"}])
    refused(world.deliver(TIMES[0]), "declaration", "did you mean 'id'?")
    nothing_published(world)


def test_the_key_is_not_unique(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    world.deliver(TIMES[0])
    world.write([{"id": 2, "v": "a"}, {"id": 2, "v": "b"}])
    refused(world.deliver(TIMES[1]), "key_not_unique", "id")
    assert len(world.manifests()) == 1


def test_the_format_cannot_hold_a_column(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={"format": {"type": "csv"}})
    world.write([{"id": 1, "v": "a", "tags": ["x"]}])
    refused(world.deliver(TIMES[0]), "format_cannot_hold", "tags", "nested")
    nothing_published(world)


def test_the_format_cannot_hold_a_value(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={"format": {"type": "json"}})
    world.write([{"id": 1, "v": "a", "score": 1.0}, {"id": 2, "v": "a", "score": float("nan")}])
    refused(world.deliver(TIMES[0]), "format_cannot_hold", "score")
    nothing_published(world)


# -- the export time
def test_an_export_time_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="YYYYMMDDHHMM"):
        ExportTime.parse("yesterday")
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    with pytest.raises(DeclarationError, match="in the future"):
        world.deliver("209901010000")
    nothing_published(world)


# -- a local destination
def test_the_disk_is_full(tmp_path: Path, mounts: Any) -> None:
    world = World.create(tmp_path)
    world.write([{"id": n, "v": os.urandom(300).hex()} for n in range(20_000)])
    (tmp_path / "out").mkdir()
    mounts.full(tmp_path / "out", 2)
    refused(world.deliver(TIMES[0]), "destination_refused", "space")
    nothing_published(world)
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_the_folder_is_read_only(tmp_path: Path, mounts: Any) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    (tmp_path / "out").mkdir()
    mounts.read_only(mounts.full(tmp_path / "out", 2))
    refused(world.deliver(TIMES[0]), "destination_refused", "read-only")
    nothing_published(world)


def test_the_folder_is_a_file(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    (tmp_path / "out").write_text("not a folder")
    refused(world.deliver(TIMES[0]), "destination_refused")


# -- S3
@pytest.fixture
def to_bucket(tmp_path: Path, bucket: Bucket) -> Callable[..., World]:
    """A world whose destination is the test server, seen by an identity, perhaps through a proxy."""

    def create(identity: Identity = EXPORTER, **changes: Any) -> World:
        world = World.create(tmp_path)
        world.write([{"id": n, "v": os.urandom(100).hex()} for n in range(20_000)])
        destination = open_bucket(bucket, identity=identity, **changes)
        world.__dict__["context"] = replace(world.context, open_destination=lambda _: destination)
        return world

    return create


@pytest.fixture
def proxy(bucket: Bucket) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", bucket.port) as proxy:
        yield proxy


def stored(bucket: Bucket) -> list[str]:
    return bucket.keys()


def test_the_secret_is_wrong(to_bucket: Callable[..., World], bucket: Bucket) -> None:
    world = to_bucket(Identity(EXPORTER.access_key_id, "wrong-secret"))
    refused(world.deliver(TIMES[0]), "destination_refused")
    assert bucket.keys() == []


def test_the_bucket_is_missing(to_bucket: Callable[..., World]) -> None:
    from cdp_exports_tests.servers.seaweedfs import ADMIN

    refused(to_bucket(ADMIN, bucket="no-such-bucket").deliver(TIMES[0]), "destination_refused", "no-such-bucket")


def test_there_is_no_right_to_write(to_bucket: Callable[..., World], bucket: Bucket) -> None:
    refused(to_bucket(READER).deliver(TIMES[0]), "destination_refused")
    assert bucket.keys() == []


def test_the_connection_is_refused(to_bucket: Callable[..., World]) -> None:
    outcome = to_bucket(url="http://127.0.0.1:9").deliver(TIMES[0])
    refused(outcome, "transient")
    assert isinstance(outcome.error, TransientError)


def test_the_connection_is_cut_in_the_upload_and_comes_back(to_bucket: Callable[..., World], bucket: Bucket, proxy: FaultProxy) -> None:
    world = to_bucket(url=proxy.url)
    proxy.faults = [Fault("reset", when=b"part-00000", after=500_000)]
    refused(world.deliver(TIMES[0]), "transient")
    assert proxy.fired
    assert bucket.open_uploads() == []
    assert all(key.endswith("_owner") for key in stored(bucket))
    proxy.faults = []
    world.write([{"id": -1, "v": "after the pin"}])
    outcome = world.deliver(TIMES[0])
    assert outcome.delivery is not None
    assert outcome.delivery.counts is not None
    assert outcome.delivery.counts.delivered == 20_000
    assert {file.verified_by for file in outcome.delivery.files} == {"stored"}


def test_the_reply_to_the_manifest_is_lost(to_bucket: Callable[..., World], proxy: FaultProxy) -> None:
    world = to_bucket(url=proxy.url)
    proxy.faults = [Fault("reset", "down", when=b"_manifest", after=0, times=1)]
    outcome = world.deliver(TIMES[0])
    assert outcome.status == "committed", outcome.error
    assert len(world.manifests()) == 1


def test_a_byte_is_changed_on_the_way(to_bucket: Callable[..., World], bucket: Bucket, proxy: FaultProxy) -> None:
    world = to_bucket(url=proxy.url)
    proxy.faults = [Fault("corrupt", when=b"part-00000", after=500_000)]
    assert world.deliver(TIMES[0]).status == "failed"
    assert all(key.endswith("_owner") for key in stored(bucket))
