"""A list is read as it was pinned, whatever becomes of the file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cdp_exports.delivery.lists import pin_list, read_list
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.local import LocalDestination
from cdp_exports.entities.segment import MemberList
from cdp_exports.errors import HistoryLost, SourceUnreadable
from cdp_exports_tests.destinations.opened import open_bucket

VIP = MemberList(uri="vip.csv", format="csv", columns={"tier": "varchar"})
TYPES = {"id": "bigint", "tier": "varchar"}


@pytest.fixture(params=["local", "s3"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> FileDestination:
    return LocalDestination(tmp_path / "state") if request.param == "local" else open_bucket(request.getfixturevalue("bucket"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "temporary"
    made.mkdir()
    return made


def test_every_attempt_reads_the_same(state: FileDestination, tmp_path: Path, folder: Path) -> None:
    old, new = b"id,tier\n1,gold\n", b"id,tier\n1,gold\n2,silver\n"
    (tmp_path / "vip.csv").write_bytes(old)
    first = pin_list(state, "vip", VIP, TYPES, tmp_path, {})
    assert (first.dataset, first.table_id, first.upto_version, first.upto_commit) == ("vip", "list", 0, hashlib.sha256(old).hexdigest())
    (tmp_path / "vip.csv").write_bytes(new)
    second = pin_list(state, "vip", VIP, TYPES, tmp_path, {})
    (tmp_path / "vip.csv").unlink()
    assert read_list(state, first, VIP, TYPES, folder).collect().rows() == [(1, "gold")]
    assert read_list(state, second, VIP, TYPES, folder).collect().rows() == [(1, "gold"), (2, "silver")]
    assert [found.path for found in state.list("")] == sorted(f"lists/{pin.upto_commit}" for pin in (first, second))


def test_it_is_copied_once(state: FileDestination, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_bytes(b"id,tier\n1,gold\n")
    pin_list(state, "vip", VIP, TYPES, tmp_path, {})
    before = list(state.list(""))
    pin_list(state, "other", VIP, TYPES, tmp_path, {})
    assert list(state.list("")) == before  # the time of its writing among it


def test_a_plan_copies_nothing(state: FileDestination, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_bytes(b"id,tier\n1,gold\n")
    assert pin_list(state, "vip", VIP, TYPES, tmp_path, {}, keep=False).upto_commit
    assert list(state.list("")) == []


def test_a_list_that_cannot_be_read_is_not_pinned(state: FileDestination, tmp_path: Path) -> None:
    (tmp_path / "vip.csv").write_bytes(b"id,tier\nx,gold\n")
    with pytest.raises(SourceUnreadable, match="'id'"):
        pin_list(state, "vip", VIP, TYPES, tmp_path, {})
    assert list(state.list("")) == []


def test_a_copy_that_is_gone_or_damaged_is_lost(state: FileDestination, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "vip.csv").write_bytes(b"id,tier\n1,gold\n")
    pin = pin_list(state, "vip", VIP, TYPES, tmp_path, {})
    path = f"lists/{pin.upto_commit}"
    for spoil in (lambda: state.put(path, b"id,tier\n"), lambda: state.delete([path])):
        spoil()
        with pytest.raises(HistoryLost, match="vip") as lost:
            read_list(state, pin, VIP, TYPES, folder)
        assert lost.value.reason == "list_lost"
        pin_list(state, "vip", VIP, TYPES, tmp_path, {})
        assert read_list(state, pin, VIP, TYPES, folder).collect().height == 1
