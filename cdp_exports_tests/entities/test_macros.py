"""Templates in the spelling of the two suites say the same as in ours."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.entities.export import EXPORT
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.macros import DATETIME, MACROS, translated
from cdp_exports.entities.templates import FILE_NAME_VARIABLES, check_file_name, resolve_file_name, resolve_path

AT = ExportTime.parse("202612010203")
VALUES = {
    "environment": "acme",
    "connection_id": "lake",
    "export_id": "to_lake",
    "dataset_id": "orders",
    "segment_id": "vips",
    "member_id": "orders",
}


@pytest.mark.parametrize(
    ("template", "folder"),
    [
        ("%DATASET_ID%/exportTime=%EXPORT_TIME%", "orders/exportTime=202612010203"),
        ("%DESTINATION%/%DATASET_NAME%/%DATETIME(YYYYMMdd_HHmmss)%", "lake/orders/20261201_020300"),
        ("%DESTINATION_INSTANCE_ID%/%DESTINATION_INSTANCE_NAME%/%SANDBOX_NAME%/%TIMESTAMP%", "to_lake/to_lake/acme/1796090580"),
        ("%ORGANIZATION_NAME%/%SEGMENT_NAME%/%SEGMENT_ID%/%DATETIME(MMDDYYYY_HHMMSS)%", "acme/vips/vips/12012026_020300"),
        ("%datetime(yyyy-MM-dd)%/%DATETIME(HHmm)%", "2026-12-01/0203"),
        (
            "CustomerInsights_%instanceID%/%ExportDestinationName%/%Table%/%Year%/%Month%/%Day%/%HHMM%",
            "CustomerInsights_acme/to_lake/orders/2026/12/01/0203",
        ),
        ("{dataset_id}/100%/{export_time}", "orders/100%/202612010203"),
        ("a%20b%20c/{export_time}", "a%20b%20c/202612010203"),
    ],
)
def test_paths(template: str, folder: str) -> None:
    export = EXPORT.validate_python({"kind": "dataset", "connection": "lake", "datasets": ["orders"], "path": "{export_time}"})
    path = translated(template)
    assert resolve_path(path, VALUES, AT) == folder
    if "{segment_id}" not in path:
        declared = {**export.model_dump(exclude_unset=True), "path": template}
        assert EXPORT.validate_python(declared).path == path


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("%Table%_%PartitionId%", ["orders_1.csv", "orders_2.csv"]),
        ("%export%_%segment%_%timestamp%", ["to_lake_vips_1796090580.csv", "to_lake_vips_1796090580_2.csv"]),
        (
            "%DESTINATION_NAME%_segment%SEGMENT_ID%_%DATETIME(YYYYMMddHHmmss)%",
            ["lake_segmentvips_20261201020300.csv", "lake_segmentvips_20261201020300_2.csv"],
        ),
    ],
)
def test_file_names(template: str, names: list[str]) -> None:
    name = translated(template)
    assert check_file_name(name) == []
    assert [resolve_file_name(name, VALUES, AT, index=index, extension=".csv") for index in range(2)] == names


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("%DATASET_NMAE%", "%DATASET_NMAE% is unknown; did you mean %DATASET_NAME%?"),
        ("%Tabel%", "did you mean %Table%?"),
        ("%DATE_TIME(YYYY)%", "did you mean %DATETIME(YYYYMMdd_HHmmss)%?"),
        ("%zzzzzzzzzzzz%", "known are %DATETIME(YYYYMMdd_HHmmss)%, %DATASET_ID%"),
        ("%DATASET_ID(x)%", "is unknown"),
        ("%DATETIME%", "needs a pattern"),
        ("%DATETIME()%", "needs a pattern"),
        ("%DATETIME(YY)%", "'YY' is no part of a time"),
        ("%DATETIME(YYYYMMddTHHmm)%", "'THH"),
        ("%Container%", "leave the macro out"),
        ("%custom-text%", "write the text itself"),
        ("%MERGE_POLICY_NAME%", "no merge policies"),
    ],
)
def test_unknown_macros(template: str, says: str) -> None:
    with pytest.raises(ValueError, match="%") as caught:
        translated(template)
    assert says in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.sampled_from([f"%{name}%" for name in MACROS] + [f"{{{name}}}" for name in FILE_NAME_VARIABLES])
        | st.lists(st.sampled_from([*DATETIME, "_", "-", " "]), min_size=1, max_size=5).map("".join).map("%DATETIME({})%".format)
        | st.text(st.characters(categories=["L", "N"]), max_size=5),
        max_size=6,
    )
)
def test_what_is_translated_holds_variables_alone(pieces: list[str]) -> None:
    template = translated("".join(["x", *pieces]))
    assert "%" not in template
    assert check_file_name(template) == []
    assert translated(template) == template
