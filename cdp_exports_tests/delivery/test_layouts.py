"""Deliveries through layouts and presets, read back as their receivers read them: by name, with a plain CSV reader."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.entities.presets import PRESETS
from cdp_exports_tests.delivery.segment_world import EXPORT, PREDICATE, SEGMENT, Chosen, SegmentWorld
from cdp_exports_tests.delivery.test_segments import people
from cdp_exports_tests.delivery.world import TIMES, World, hurry
from cdp_exports_tests.destinations import opened, opened_azure, opened_sftp
from cdp_exports_tests.servers import seaweedfs

OTHERS = {"small": {"of": "people", "where": "id = 1"}}
AWKWARD = 'a "quoted", back\\slashed\nétude'
"""A value that every dialect must escape."""


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry(60.0)


def delivered(world: World, export: str, time: str) -> list[Outcome]:
    outcomes = list(deliver(world.context, export, ExportTime.parse(time), run_id=time))
    assert [outcome.status for outcome in outcomes] == ["committed"] * len(outcomes), [outcome.error for outcome in outcomes]
    return outcomes


def files_of(world: World, outcome: Outcome) -> dict[str, bytes]:
    assert outcome.delivery is not None
    return {file.path: b"".join(world.destination.stream(file.path) or ()) for file in outcome.delivery.files}


def rows_of(content: bytes, **dialect: Any) -> list[dict[str, str | Any]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), lineterminator="\n", **dialect))


STORES: Mapping[str, tuple[Callable[[Any], BaseModel], Mapping[str, str]]] = {
    "bucket": (opened.s3_connection, {"KEY_ID": seaweedfs.EXPORTER.access_key_id, "SECRET": seaweedfs.EXPORTER.secret_access_key}),
    "container": (opened_azure.azure_connection, opened_azure.ENVIRON),
    "home": (opened_sftp.sftp_connection, opened_sftp.ENVIRON),
}
"""By the fixture of the server: how a connection to it is declared, and its credentials."""

BACKSLASH = {"escapechar": "\\", "doublequote": False}


@pytest.mark.parametrize(
    ("more", "names", "dialect", "null"),
    [
        (
            {"layout": "adobe"},
            ["chosen_out/out_segmentchosen_20260101000000.csv", "chosen_out/out_segmentsmall_20260101000000.csv"],
            BACKSLASH,
            "null",
        ),
        (
            {"layout": "customer_insights"},
            ["chosen_out/chosen/2026/01/01/0000/chosen_1.csv", "chosen_out/small/2026/01/01/0000/small_1.csv"],
            {},
            "",
        ),
        (
            {"preset": "adobe_campaign"},
            ["chosen_out/chosen_out_chosen_1767225600.csv", "chosen_out/chosen_out_small_1767225600.csv"],
            {},
            "",
        ),
        (
            {"preset": "oracle_eloqua", "format": {"type": "csv", "delimiter": "|"}},
            ["chosen_out/chosen_out_chosen_202601010000.csv", "chosen_out/chosen_out_small_202601010000.csv"],
            {"delimiter": "|"},
            "",
        ),
        (
            {"preset": "oracle_responsys", "path": "in", "format": {"type": "csv", "delimiter": "\t"}},
            ["in/chosen_out_chosen_202601010000.csv", "in/chosen_out_small_202601010000.csv"],
            {"delimiter": "\t"},
            "",
        ),
        (
            {"preset": "salesforce_marketing_cloud", "file_name": "%SEGMENT_NAME%_%DATETIME(YYYYMMddHHmm)%"},
            ["chosen_out/chosen_202601010000.csv", "chosen_out/small_202601010000.csv"],
            {},
            "",
        ),
    ],
)
def test_segments_arrive_as_expected(tmp_path: Path, more: dict[str, Any], names: list[str], dialect: dict[str, Any], null: str) -> None:
    world = SegmentWorld.begin(
        tmp_path,
        Chosen({"of": "people", "where": "value > 3"}, "p.value > 3", OTHERS),
        export={"segments": [SEGMENT, "small"], "format": {"type": "csv"}, **more},
    )
    world.put("people", [*people(1), *people(2, country=AWKWARD), *people(3, country=None)])
    first = delivered(world, EXPORT, TIMES[0])
    files = [files_of(world, outcome) for outcome in first]
    assert [list(found) for found in files] == [[name] for name in names]
    rows = rows_of(files[0][names[0]], **dialect)
    assert list(rows[0]) == ["id", "EMAIL", "country", "double", "segment_status", "exit_reason"]
    assert sorted((row["id"], row["EMAIL"], row["country"]) for row in rows) == [
        ("1", "p1@x", "FR"),
        ("2", "p2@x", AWKWARD),
        ("3", "p3@x", null),
    ]
    assert [row["id"] for row in rows_of(files[1][names[1]], **dialect)] == ["1"]
    world.put("people", people(4))
    second = [files_of(world, outcome) for outcome in delivered(world, EXPORT, TIMES[1])]
    assert [row["id"] for content in second[0].values() for row in rows_of(content, **dialect)] == ["4"]
    assert second[1] == {}
    assert [files_of(world, outcome) for outcome in first] == files, "what was delivered first is as it was"


def test_a_table_as_customer_insights_sends_it_by_sftp(tmp_path: Path) -> None:
    """At most 5 files a table, gzip, a delimiter, and folders in lower case, whatever is typed."""
    world = World.create(
        tmp_path,
        connection={"type": "local", "folder": "out", "lower_case": True},
        export={
            "layout": "customer_insights",
            "path": "Partner/%Table%/T%Year%/%HHMM%%Month%%Day%",
            "format": {"type": "csv", "compression": "gzip", "delimiter": ";", "max_rows_per_file": 2, "max_files": 5},
        },
    )
    world.write([{"id": number, "v": AWKWARD if number else None} for number in range(13)])
    (outcome,) = delivered(world, "orders_out", TIMES[1])
    files = files_of(world, outcome)
    assert list(files) == [f"partner/orders/t2026/00010101/orders_{number}.csv.gz" for number in range(1, 6)]
    rows = [rows_of(gzip.decompress(content), delimiter=";") for content in files.values()]
    assert [len(found) for found in rows] == [2, 2, 2, 2, 5]
    assert sorted((int(row["id"]), row["v"]) for found in rows for row in found) == [(n, AWKWARD if n else "") for n in range(13)]


def test_split_files_of_adobe_are_numbered_from_the_second(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, PREDICATE, export={"layout": "adobe", "format": {"type": "csv", "max_rows_per_file": 2}})
    world.put("people", people(*range(5)))
    (outcome,) = delivered(world, EXPORT, TIMES[0])
    name = "chosen_out/out_segmentchosen_20260101000000"
    assert list(files_of(world, outcome)) == [f"{name}.csv", f"{name}_2.csv", f"{name}_3.csv"]


@pytest.mark.parametrize(("preset", "store"), list(zip(PRESETS, ["container", "home", "home", "bucket"], strict=True)))
def test_presets_over_real_stores(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: str, preset: str
) -> None:
    """Two segments into one folder, in full and what changed."""
    make, environ = STORES[store]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    world = SegmentWorld.begin(
        tmp_path,
        Chosen({"of": "people", "where": "value > 3"}, "p.value > 3", OTHERS),
        export={"segments": [SEGMENT, "small"], "preset": preset, "format": {"type": "csv"}, "path": "%DESTINATION%"},
        connection={**make(request.getfixturevalue(store)).model_dump(mode="json"), "lower_case": True},
    )
    world.put("people", people(1, 2))
    first = delivered(world, EXPORT, TIMES[0])
    world.put("people", people(3))
    second = delivered(world, EXPORT, TIMES[1])
    ids = [sorted(row["id"] for content in files_of(world, one).values() for row in rows_of(content)) for one in (*first, *second)]
    assert ids == [["1", "2"], ["1"], ["3"], []]
    there = [found.path for found in world.destination.list("out") if "/_" not in found.path]
    assert sorted(there) == sorted(path for one in (*first, *second) for path in files_of(world, one))
    assert len(there) == 3 and all(path.startswith("out/chosen_out_") for path in there)
