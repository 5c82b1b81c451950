"""What segments, their exports and their limits refuse and accept, each alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from cdp_exports.entities.capabilities import Capabilities, Proof
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.export import EXPORT, DatasetExport, SegmentExport
from cdp_exports.entities.limits import effective_limits
from cdp_exports.entities.mapping import E164, Bounds, Field, Limits, Status
from cdp_exports.entities.segment import MemberList, Segment

EXPORT_OF_VIPS = {"kind": "segment", "connection": "crm", "segments": ["vips"]}
LIST = {"uri": "vips.csv", "format": "csv"}


def test_the_kind_decides() -> None:
    assert isinstance(EXPORT.validate_python(EXPORT_OF_VIPS), SegmentExport)
    assert isinstance(EXPORT.validate_python({"kind": "dataset", "connection": "lake", "datasets": ["orders"]}), DatasetExport)


def test_plain_data_reads_back() -> None:
    """As the ledger keeps it: with the names of the fields, and as files have it: with those of the keys."""
    fields = [
        {"from": "email", "transforms": ["trim", {"e164": "FR"}], "identity": True},
        {"value": 1.5, "to": "x"},
        {"value": True, "to": "y"},
    ]
    export = EXPORT.validate_python(EXPORT_OF_VIPS | {"fields": fields, "limits": {"audience": {"max": 5}}})
    assert isinstance(export, SegmentExport)
    assert export.fields[0].transforms == ("trim", E164(e164="FR"))
    assert [type(field.value) for field in export.fields[1:]] == [float, bool]
    assert EXPORT.validate_python(export.model_dump(mode="json")) == export
    assert EXPORT.validate_python(export.model_dump(mode="json", by_alias=True)) == export


@pytest.mark.parametrize(
    ("model", "declared", "says"),
    [
        (SegmentExport, EXPORT_OF_VIPS | {"segments": ["a", "a"]}, "'a' is named twice"),
        (SegmentExport, EXPORT_OF_VIPS | {"path": "{dataset_id}/{export_time}"}, "write {segment_id}"),
        (SegmentExport, EXPORT_OF_VIPS | {"file_name": "{dataset_id}"}, "write {segment_id}"),
        (SegmentExport, EXPORT_OF_VIPS | {"send": []}, "at least 1 item"),
        (SegmentExport, EXPORT_OF_VIPS | {"send": ["exited", "exited"]}, "'exited' is named twice"),
        (SegmentExport, EXPORT_OF_VIPS | {"status": None}, "nobody can tell who left"),
        (SegmentExport, EXPORT_OF_VIPS | {"include_key": False, "fields": [{"from": "a"}]}, "need a field with `identity: true`"),
        (SegmentExport, EXPORT_OF_VIPS | {"include_key": False, "mode": "full"}, "there is nothing to send"),
        (SegmentExport, EXPORT_OF_VIPS | {"newest_by": "a"}, "`newest_by` goes with `dedupe_by`"),
        (SegmentExport, EXPORT_OF_VIPS | {"on_change": "different"}, "'difference'"),
        (Segment, {"of": "a"}, "in one way"),
        (Segment, {"of": "a", "where": "b", "all_of": ["c"]}, "in one way"),
        (Segment, {"where": "b"}, "`of` is missing"),
        (Segment, {"list": LIST}, "`of` is missing"),
        (Segment, {"of": "a", "where": ""}, "at least 1 character"),
        (Segment, {"none_of": ["a", "b", "a"]}, "'a' is named twice"),
        (MemberList, LIST | {"options": {"aws_secret_access_key": "hunter2"}}, "a credential is never written"),
        (MemberList, LIST | {"uri": "s3://key:hunter2@bucket/x"}, "no user name and no password"),
        (Field, {"from": "a", "value": 1}, "either `from` or `value`"),
        (Field, {"value": 1}, "a constant needs a name"),
        (Field, {"value": float("nan"), "to": "x"}, "must be text, a number"),
        (Field, {"value": ["a"], "to": "x"}, "must be text, a number"),
        (Field, {"from": "a", "transforms": [{"e164": "France"}]}, "two capital letters"),
        (Status, {"entered": "x", "updated": "x"}, "three different values"),
        (Status, {"column": "x", "reason": "x"}, "two names"),
        (Bounds, {"min": 2, "max": 1}, "nothing lies between them"),
        (Bounds, {"max": 0}, "greater than or equal to 1"),
        (Limits, {"over": "truncate"}, "go together"),
        (Limits, {"keep_by": "a"}, "go together"),
        (Limits, {"warn_at": 1.5}, "less than or equal to 1"),
        (Environment, {"name": "a", "state": {"type": "local", "folder": "x", "accepts": ["people"]}}, "belongs to a connection"),
    ],
)
def test_refused(model: type[BaseModel], declared: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(declared)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "declared"),
    [
        (SegmentExport, EXPORT_OF_VIPS | {"send": ["entered"], "status": None}),
        (SegmentExport, EXPORT_OF_VIPS | {"mode": "full", "status": None}),
        (SegmentExport, EXPORT_OF_VIPS | {"include_key": False, "fields": [{"from": "a", "identity": True}]}),
        (Segment, {"of": "a", "list": LIST}),
        (Segment, {"all_of": ["a"], "any_of": ["b", "c"], "none_of": ["a"]}),
        (Bounds, {"min": 1, "max": 1}),
        (Environment, {"name": "a", "state": {"type": "s3", "bucket": "acme-state"}}),
    ],
)
def test_accepted(model: type[BaseModel], declared: dict[str, Any]) -> None:
    assert model.model_validate(declared)


NUMBERS = st.none() | st.integers(1, 10)
BOUNDS = st.one_of(
    st.builds(Bounds, max=NUMBERS),
    st.builds(Bounds, min=NUMBERS),
    st.lists(st.integers(1, 10), min_size=2, max_size=2).map(sorted).map(lambda both: Bounds(min=both[0], max=both[1])),
)


@given(audience=BOUNDS, delivery=BOUNDS, taken=BOUNDS, delivery_max=NUMBERS, count=st.integers(0, 11))
def test_effective_limits_allow_what_both_allow(
    audience: Bounds, delivery: Bounds, taken: Bounds, delivery_max: int | None, count: int
) -> None:
    def allows(bounds: Bounds) -> bool:
        return (bounds.max is None or count <= bounds.max) and (bounds.min is None or count >= bounds.min)

    destination = Capabilities(
        proof=Proof.SIZE,
        formats=frozenset(),
        conditional_create=False,
        audience_max=taken.max,
        audience_min=taken.min,
        delivery_max=delivery_max,
    )
    found = effective_limits(Limits(audience=audience, delivery=delivery, over="fail"), destination)
    assert allows(found.audience) == (allows(audience) and allows(taken))
    assert allows(found.delivery) == (allows(delivery) and allows(Bounds(max=delivery_max)))
    assert found.over == "fail"
