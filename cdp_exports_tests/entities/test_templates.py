"""Templates of folders and files: what is accepted is safe, and what is written can be read back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.templates import (
    FILE_NAME_VARIABLES,
    PATH_VARIABLES,
    TIME_PARTS,
    check_file_name,
    check_path,
    export_time_of,
    folder_pattern,
    holds_time,
    in_lower_case,
    member_folder,
    resolve_file_name,
    resolve_path,
)
from cdp_exports.errors import DeclarationError

AT = ExportTime.parse("202612010203")
VALUES = {
    "environment": "acme",
    "connection_id": "lake",
    "export_id": "to_lake",
    "dataset_id": "orders",
    "segment_id": "vip",
    "member_id": "orders",
}
ids = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
export_times = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)).map(ExportTime)
literals = st.text(st.characters(exclude_characters="{}/\\", exclude_categories=["Cc", "Cs"]), max_size=12)
pieces = literals | st.sampled_from([f"{{{name}}}" for name in PATH_VARIABLES])
parts = st.lists(pieces, min_size=1, max_size=4).map("".join)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
templates = paths | paths.map("{{export_time}}/{}".format) | paths.map("{{timestamp}}{}".format)


@settings(deadline=None, max_examples=200)
@given(template=templates, at=export_times, values=st.fixed_dictionaries(dict.fromkeys(VALUES, ids)))
def test_what_passes_the_check_can_be_read_back(template: str, at: ExportTime, values: dict[str, str]) -> None:
    if check_path(template) or not holds_time(template):
        return
    folder = resolve_path(template, values, at)
    assert export_time_of(template, values, folder) == at
    assert export_time_of(template, values, f"{folder}/x") is None
    assert not any(part in ("", ".", "..") for part in folder.split("/"))


@settings(deadline=None, max_examples=200)
@given(template=templates, at=export_times, later=export_times)
def test_two_times_never_share_a_folder(template: str, at: ExportTime, later: ExportTime) -> None:
    if check_path(template) or not holds_time(template):
        return
    same = resolve_path(template, VALUES, at) == resolve_path(template, VALUES, later)
    assert same == (at == later)


@settings(deadline=None, max_examples=200)
@given(template=templates, at=export_times, values=st.fixed_dictionaries(dict.fromkeys(VALUES, ids)))
def test_lower_case_stands_for_the_same_in_lower_case(template: str, at: ExportTime, values: dict[str, str]) -> None:
    lower = in_lower_case(template)
    if check_path(template) or check_path(lower) or "Σ" in template:  # a Σ at the end of a word becomes another letter
        return
    assert resolve_path(lower, values, at) == resolve_path(template, values, at).lower()
    assert holds_time(lower) == holds_time(template)


@settings(deadline=None, max_examples=200)
@given(name=st.lists(literals | st.sampled_from([f"{{{name}}}" for name in FILE_NAME_VARIABLES]), max_size=6).map("".join))
def test_names_of_split_files_differ(name: str) -> None:
    if check_file_name(name):
        return
    values = {**VALUES, "delivery": "d1", "attempt": "1"}
    try:
        names = [resolve_file_name(name, values, AT, index=index, extension=".csv") for index in range(3)]
    except DeclarationError as error:
        assert "255" in str(error)  # noqa: PT017 the only reason that is left
        return
    assert len(set(names)) == 3
    assert all(found.endswith(".csv") and "/" not in found and len(found.encode()) <= 255 for found in names)


def test_two_members_share_folders_only_where_their_patterns_agree() -> None:
    orders, events = {**VALUES}, {**VALUES, "dataset_id": "events", "member_id": "events"}
    for template in ("{export_id}/{export_time}", "{year}{month}{day}{hour}{minute}"):
        assert folder_pattern(template, orders) == folder_pattern(template, events)
    assert folder_pattern("{export_time}", orders) == folder_pattern("{year}{month}{day}{hour}{minute}", orders)
    assert folder_pattern("{export_time}/{member_id}", orders) != folder_pattern("{export_time}/{member_id}", events)


@pytest.mark.parametrize(
    ("template", "folder"),
    [
        ("{dataset_id}/exportTime={export_time}", "orders/exportTime=202612010203"),
        ("{environment}/{export_id}/{year}/{month}/{day}/{hour}{minute}/x", "acme/to_lake/2026/12/01/0203/x"),
        ("a b/é={export_time}", "a b/é=202612010203"),
        ("at={timestamp}", "at=1796090580"),
    ],
)
def test_folders(template: str, folder: str) -> None:
    assert check_path(template) == []
    assert resolve_path(template, VALUES, AT) == folder


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{dataset}/{export_time}", "did you mean {dataset_id}?"),
        ("{nonsense_entirely}/{export_time}", "known are"),
        ("{dataset_id/{export_time}", "braces"),
        ("{}/{export_time}", "braces"),
        ("{{dataset_id}}/{export_time}", "braces"),
        ("{DATASET_ID}/{export_time}", "braces"),
        ("{dataset_id!r}/{export_time}", "braces"),
        ("/{export_time}", "relative"),
        ("{export_time}/", "no / at its end"),
        ("a//{export_time}", "empty part"),
        ("../{export_time}", "'..'"),
        ("_x/{export_time}", "'_x'"),
        (".x/{export_time}", "'.x'"),
        ("a\\{export_time}", "backslashes"),
        ("a\n{export_time}", "control"),
        ("", "empty part"),
        ("{index}/{export_time}", "{index} is unknown"),
    ],
)
def test_wrong_folders(template: str, says: str) -> None:
    assert any(says in problem for problem in check_path(template))


@pytest.mark.parametrize(
    ("template", "holds"),
    [
        ("{export_time}", True),
        ("a{timestamp}", True),
        ("{day}.{month}.{year}/{hour}{minute}", True),
        ("{dataset_id}/{year}{month}{day}", False),
        ("{dataset_id}", False),
    ],
)
def test_templates_that_hold_the_time(template: str, holds: bool) -> None:
    assert holds_time(template) == holds


def test_a_folder_without_the_time_is_no_delivery() -> None:
    assert export_time_of("{dataset_id}/latest", VALUES, "orders/latest") is None


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("part-{index}-{delivery}-{attempt}", ["part-00000-d1-1.parquet", "part-00001-d1-1.parquet"]),
        ("{member_id}_{number}", ["orders_1.parquet", "orders_2.parquet"]),
        ("{dataset_id} {year}-{month}-{day}", ["orders 2026-12-01.parquet", "orders 2026-12-01_2.parquet"]),
    ],
)
def test_file_names(template: str, names: list[str]) -> None:
    assert check_file_name(template) == []
    values = {**VALUES, "delivery": "d1", "attempt": "1"}
    assert [resolve_file_name(template, values, AT, index=index, extension=".parquet") for index in range(2)] == names


@pytest.mark.parametrize(
    ("template", "says"),
    [("", "needs a name"), ("a/b", "no /"), ("_x", "hidden"), (".x", "hidden"), ("{indx}", "{index}"), ("a\0", "control")],
)
def test_wrong_file_names(template: str, says: str) -> None:
    assert any(says in problem for problem in check_file_name(template))


@pytest.mark.parametrize("hostile", ["..", ".", "", "a/b/../..", "/etc", "a\\b", "a\0b"])
def test_values_are_not_trusted(hostile: str) -> None:
    with pytest.raises(DeclarationError):
        resolve_path("{member_id}/{export_time}", {"member_id": hostile}, AT)
    with pytest.raises(DeclarationError):
        member_folder("{member_id}/{export_time}", {"member_id": hostile})


def test_too_long_a_name() -> None:
    with pytest.raises(DeclarationError, match="255 bytes"):
        resolve_file_name("é" * 126, {}, AT, index=0, extension=".json")
    assert resolve_file_name("é" * 125, {}, AT, index=0, extension=".json") == "é" * 125 + ".json"


def test_a_missing_value() -> None:
    with pytest.raises(DeclarationError, match="segment_id"):
        resolve_path("{segment_id}/{export_time}", {"dataset_id": "orders"}, AT)


@pytest.mark.parametrize(
    "folder", ["orders/exportTime=20261201020", "orders/exportTime=202613010203", "events/exportTime=202612010203", ""]
)
def test_folders_of_others_have_no_time(folder: str) -> None:
    assert export_time_of("{dataset_id}/exportTime={export_time}", VALUES, folder) is None


def test_a_time_said_twice_must_agree() -> None:
    template = "{year}/{export_time}"
    assert export_time_of(template, VALUES, "2026/202612010203") == AT
    assert export_time_of(template, VALUES, "2025/202612010203") is None
    assert set(TIME_PARTS) == {"year", "month", "day", "hour", "minute"}
