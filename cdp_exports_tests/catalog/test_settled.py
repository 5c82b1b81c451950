"""What an export's connection decides, and who wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdp_exports.catalog.load import load
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.templates import resolve_path
from cdp_exports_tests.catalog.declaring import problems, write

LOWER = "type: local\nfolder: Exports\nlower_case: true\n"
AT = ExportTime.parse("202612010200")


@pytest.mark.parametrize(
    ("path", "lower", "folder"),
    [
        ("", True, "orders/exporttime=202612010200"),
        ("", False, "orders/exportTime=202612010200"),
        ("path: Partner/{dataset_id}/T{export_time}\n", True, "partner/orders/t202612010200"),
    ],
)
def test_lower_case_folders(tmp_path: Path, path: str, lower: bool, folder: str) -> None:
    connection = LOWER if lower else "type: local\nfolder: Exports\n"
    export = f"kind: dataset\nconnection: lake\ndatasets: [orders]\n{path}"
    catalog = load(write(tmp_path, {"connections/lake.yaml": connection, "exports/to_lake.yaml": export}))
    values = {"dataset_id": "orders"}
    assert resolve_path(catalog.exports["to_lake"].path, values, AT) == folder


def test_collisions_are_judged_on_the_result(tmp_path: Path) -> None:
    export = "kind: dataset\nconnection: lake\ndatasets: [orders]\n"
    files = {
        "exports/one.yaml": export + "path: Orders/{export_time}\n",
        "exports/two.yaml": export + "path: orders/{export_time}\n",
        "exports/to_lake.yaml": None,
    }
    load(write(tmp_path / "as-written", files))
    (problem,) = problems(write(tmp_path / "lower", files | {"connections/lake.yaml": LOWER}))
    assert "the folder of 'orders' of the export 'one'" in problem


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("layout: adobee", "`layout`: 'adobee' is not one of 'default', 'adobe', 'customer_insights' (did you mean 'adobe'?)"),
        ("preset: adobe_campaign", "The key 'preset' belongs to `kind: segment`; this is `kind: dataset`."),
        ("path: '%DATASET_NMAE%/{export_time}'", "`path`: %DATASET_NMAE% is unknown; did you mean %DATASET_NAME%?"),
        ("file_name: '%Container%'", "`file_name`: %Container% has no meaning here: the connection says"),
        ("overwrite: true", "`overwrite` has no meaning where"),
        ("layout: adobe\nformat: {type: parquet, delimiter: ;}", "The key 'delimiter' belongs to `type: csv`; this is `type: parquet`."),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, key: str, says: str) -> None:
    export = f"kind: dataset\nconnection: lake\ndatasets: [orders]\n{key}\n"
    [problem] = problems(write(tmp_path, {"exports/to_lake.yaml": export}))
    file, line, sentence = problem.split(":", 2)
    assert (file, line) == ("catalog/exports/to_lake.yaml", "1" if key.startswith("over") else "4" if "\n" not in key else "5")
    assert says in sentence
