"""Layouts and presets are defaults: whatever is declared wins, and what comes out is a complete export."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cdp_exports.entities.export import EXPORT, DatasetExport, SegmentExport
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.file_format import CsvFormat, JsonFormat, ParquetFormat
from cdp_exports.entities.layouts import LAYOUTS, LayoutName
from cdp_exports.entities.macros import translated
from cdp_exports.entities.presets import PRESETS, PresetName
from cdp_exports.entities.templates import holds_time, resolve_file_name, resolve_path

DATASETS: dict[str, Any] = {"kind": "dataset", "connection": "lake", "datasets": ["orders"]}
SEGMENTS: dict[str, Any] = {"kind": "segment", "connection": "crm", "segments": ["vips"]}
AT = ExportTime.parse("202612010203")
PLAIN = {"type": "csv", "compression": "none"}

layouts = st.sampled_from(get_args(LayoutName)).map(lambda name: {"layout": name})
presets = st.sampled_from(get_args(PresetName)).map(lambda name: {"preset": name})
declared = st.tuples(st.sampled_from([DATASETS, SEGMENTS]), layouts) | st.tuples(st.just(SEGMENTS), presets)
own = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from(["{export_id}/{export_time}", "%DESTINATION%/{timestamp}"]),
        "file_name": st.sampled_from(["a{timestamp}", "x_{export_time}_{number}"]),
        "format": st.sampled_from([{"type": "json"}, {"type": "csv", "delimiter": ";"}, {"type": "parquet", "max_files": 5}]),
        "description": st.just("said"),
    },
)


def read(values: dict[str, Any]) -> DatasetExport | SegmentExport:
    return EXPORT.validate_python(values, by_alias=True, by_name=False)


def places(export: DatasetExport | SegmentExport, **ids: str) -> list[str]:
    values = {
        "environment": "acme",
        "connection_id": export.connection,
        "export_id": "e",
        f"{export.kind}_id": "m",
        "member_id": "m",
        **ids,
    }
    folder = resolve_path(export.path, values, AT)
    values |= {"delivery": "d", "attempt": "a"}
    names = [resolve_file_name(export.file_name, values, AT, index=index, extension=".csv") for index in range(2)]
    return [f"{folder}/{name}" for name in names]


def test_every_name_has_its_defaults() -> None:
    kinds = {(name, kind) for name in get_args(LayoutName) for kind in ("dataset", "segment")}
    assert set(LAYOUTS) == {key for key in kinds if key[0] != "default"}
    assert set(PRESETS) == set(get_args(PresetName))


@pytest.mark.parametrize(
    ("values", "files", "format"),
    [
        (DATASETS, ["m/exportTime=202612010203/part-00000-d-a.csv", "m/exportTime=202612010203/part-00001-d-a.csv"], ParquetFormat()),
        (
            DATASETS | {"layout": "adobe"},
            ["m/exportTime=202612010203/part-00000-d-a.csv", "m/exportTime=202612010203/part-00001-d-a.csv"],
            ParquetFormat(compression="gzip"),
        ),
        (
            SEGMENTS | {"layout": "adobe"},
            ["e/crm_segmentm_20261201020300.csv", "e/crm_segmentm_20261201020300_2.csv"],
            CsvFormat(type="csv", compression="none", escape="\\", null="null", empty="", max_rows_per_file=5_000_000),
        ),
        (
            DATASETS | {"layout": "customer_insights"},
            ["e/m/2026/12/01/0203/m_1.csv", "e/m/2026/12/01/0203/m_2.csv"],
            CsvFormat(type="csv", compression="none"),
        ),
        (
            SEGMENTS | {"preset": "adobe_campaign"},
            ["e/e_m_1796090580.csv", "e/e_m_1796090580_2.csv"],
            CsvFormat(type="csv", compression="none"),
        ),
        (
            SEGMENTS | {"preset": "oracle_responsys"},
            ["e/e_m_202612010203.csv", "e/e_m_202612010203_2.csv"],
            CsvFormat(type="csv", compression="none"),
        ),
    ],
)
def test_defaults(values: dict[str, Any], files: list[str], format: object) -> None:
    export = read(values)
    assert places(export) == files
    assert export.format == format


@settings(deadline=None, max_examples=150)
@given(base=declared, said=own)
def test_what_is_declared_wins(base: tuple[dict[str, Any], dict[str, Any]], said: dict[str, Any]) -> None:
    export, defaults = read({**base[0], **base[1], **said}), read({**base[0], **base[1]})
    for key in ("path", "file_name", "description"):
        assert getattr(export, key) == (translated(said[key]) if key in said else getattr(defaults, key))
    for key, value in said.get("format", {}).items():
        assert getattr(export.format, key) == value
    if "format" not in said:
        assert export.format == defaults.format
    assert holds_time(f"{export.path}/{export.file_name}")
    assert read(export.model_dump(mode="json", by_alias=True)) == export  # it is complete: reading it again changes nothing


@pytest.mark.parametrize(
    ("said", "format"),
    [
        ({**PLAIN, "compression": "gzip"}, CsvFormat(type="csv", escape="\\", null="null", empty="", max_rows_per_file=5_000_000)),
        (
            {"type": "csv", "null": "NULL"},
            CsvFormat(type="csv", compression="none", escape="\\", null="NULL", empty="", max_rows_per_file=5_000_000),
        ),
        ({"type": "json"}, JsonFormat(type="json")),
    ],
)
def test_a_format_of_the_same_type_is_completed(said: dict[str, Any], format: object) -> None:
    assert read(SEGMENTS | {"layout": "adobe", "format": said}).format == format


@pytest.mark.parametrize("more", [{"layout": "adobe"}, {"layout": "customer_insights"}, *({"preset": name} for name in PRESETS)])
def test_names_fit_into_255_bytes(more: dict[str, str]) -> None:
    ids = "a" * 63
    longest = read(SEGMENTS | more | {"connection": ids})
    for place in places(longest, export_id=ids, segment_id=ids, member_id=ids, environment=ids):
        assert all(len(part) + len("-12345678.gz.pgp") <= 255 for part in place.split("/"))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (SEGMENTS | {"layout": "adobee"}, "'adobe'"),
        (SEGMENTS | {"layout": ["adobe"]}, "'adobe'"),
        (SEGMENTS | {"preset": "mailchimp"}, "'adobe_campaign'"),
        (DATASETS | {"preset": "adobe_campaign"}, "Extra inputs"),
        (SEGMENTS | {"preset": "adobe_campaign", "layout": "adobe"}, "leave one of them out"),
        (SEGMENTS | {"layout": "adobe", "format": None}, "format"),
        (SEGMENTS | {"preset": "oracle_eloqua", "overwrite": True}, "`overwrite` has no meaning"),
        (SEGMENTS | {"preset": "oracle_eloqua", "file_name": "latest"}, "would share a folder"),
    ],
)
def test_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(values)
    assert says in str(caught.value)


def test_a_fixed_name_for_an_import_job() -> None:
    export = read(SEGMENTS | {"preset": "oracle_eloqua", "file_name": "{segment_id}", "overwrite": True, "mode": "full"})
    assert places(export)[0] == "e/m.csv"
