"""Names that could be equal are found, whatever the templates, the export time and the file's number."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.catalog.file_names import file_names, that_could_be_equal
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.templates import resolve_file_name

DECLARED = {"kind": "dataset", "connection": "out", "datasets": ["orders"], "path": "drop", "overwrite": True, "file_name": "latest"}
VALUES = {"member_id": "top_10", "export_id": "to_crm"}

pieces = st.sampled_from(
    ["a", "1", "_2", "-", "{member_id}", "{export_id}", "{export_time}", "{timestamp}", "{year}", "{month}{day}", "{hour}", "{minute}"]
)
templates = st.lists(pieces | st.sampled_from(["{index}", "{number}"]), min_size=1, max_size=5).map("".join)
export_times = st.integers(1_000_000_000, 4_000_000_000).map(lambda seconds: ExportTime(datetime.fromtimestamp(seconds, UTC)))


def named(template: str) -> DatasetExport:
    return DatasetExport.model_validate(DECLARED).model_copy(update={"file_name": template})


@settings(deadline=None, max_examples=300)
@given(template=templates, at=export_times, index=st.integers(0, 12), cut=st.integers(0, 40), other_index=st.integers(0, 12))
def test_a_name_that_another_really_has_is_found(template: str, at: ExportTime, index: int, cut: int, other_index: int) -> None:
    name = resolve_file_name(template, VALUES, at, index=index, extension="")
    # another template that gives this name: as it stands, or with the number of a file at its end
    other = name[: cut % len(name)] + "{number}" if name[cut % len(name) :] == str(other_index + 1) else name
    assert resolve_file_name(other, VALUES, at, index=other_index if "{number}" in other else 0, extension="") == name
    found = [(file_names(named(one), VALUES), one) for one in (template, other)]
    assert list(that_could_be_equal([(names, one) for names, one in found if names is not None])) == [(other, template)]


@settings(deadline=None, max_examples=200)
@given(one=templates, other=templates, at=export_times, later=export_times, numbers=st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_what_is_not_found_never_meets(one: str, other: str, at: ExportTime, later: ExportTime, numbers: tuple[int, int]) -> None:
    names = [file_names(named(template), VALUES) for template in (one, other)]
    told = list(that_could_be_equal([(found, template) for found, template in zip(names, (one, other), strict=True) if found is not None]))
    first, second = (
        resolve_file_name(template, VALUES, time, index=index, extension="")
        for template, time, index in zip((one, other), (at, later), numbers, strict=True)
    )
    assert told or first != second


def test_names_that_no_two_files_ever_share_are_not_judged() -> None:
    assert file_names(named("part-{index}-{delivery}"), VALUES) is None
    assert file_names(named("{attempt}"), VALUES) is None
