"""What S3 stores keep of a file to be compared with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cdp_exports.destinations import object_writer
from cdp_exports.destinations.checksums import PART_SIZE
from cdp_exports.destinations.store_api import Stored
from cdp_exports.entities.capabilities import Proof
from cdp_exports.errors import DestinationRefused
from cdp_exports_tests.destinations.far import LONG, SHORT
from cdp_exports_tests.destinations.opened import open_bucket
from cdp_exports_tests.servers.seaweedfs import Bucket


@pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
def test_the_stored_checksum_is_known_at_every_boundary(bucket: Bucket, size: int) -> None:
    writer = open_bucket(bucket).open("f")
    writer.write((LONG + LONG)[:size])
    assert writer.close() is Proof.STORED
    head = bucket.client().head_object(Bucket=bucket.name, Key=f"{bucket.folder}/f", ChecksumMode="ENABLED")
    assert head["ContentLength"] == size
    assert head.get("ChecksumSHA256", "").partition("-")[2] == ("" if size < PART_SIZE else str(-(-size // PART_SIZE)))


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


def test_a_file_of_too_many_parts_is_refused(bucket: Bucket, monkeypatch) -> None:
    monkeypatch.setattr(object_writer, "MAX_PARTS", 1)
    writer = open_bucket(bucket).open("f")
    with pytest.raises(DestinationRefused, match="max_rows_per_file"):
        writer.write(LONG)
    writer.abort()
    assert bucket.keys() == []
    assert bucket.open_uploads() == []
