"""`model.json`: valid by Microsoft's schema, and all that a reader of it gets is what was delivered."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import jsonschema
import polars as pl
import pytest

from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.replaying import replay
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.delivery.segment_world import SegmentWorld
from cdp_exports_tests.delivery.test_rivals import Other
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World, hurry
from cdp_exports_tests.servers.seaweedfs import EXPORTER, Bucket

SCHEMA = json.loads((Path(__file__).parent / "cdm" / "modeljsonschema.json").read_text())
CSV = {"type": "csv", "compression": "none"}
CHANGED = {"changes": "added", "path": "{export_id}/{dataset_id}/{year}/{month}/{day}/{hour}{minute}", "format": CSV, "model_json": True}
FULL = {**CHANGED, "mode": "full"}


def model(world: World, path: str = f"{EXPORT}/model.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(world.destination.read(path) or b"")
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)
    return document


def as_read(world: World, entity: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a reader gets who knows of nothing but the model: rows of text, in the order of the attributes."""
    place, found = world.destination.place, []
    for partition in entity["partitions"]:
        settings = partition["fileFormatSettings"]
        root = next(root for root in (f"{place}/", world.destination.uri("x")[:-1]) if partition["location"].startswith(root))
        content = world.destination.read(unquote(partition["location"].removeprefix(root))) or b""
        quoting = csv.QUOTE_NONE if settings["quoteStyle"] == "QuoteStyle.None" else csv.QUOTE_MINIMAL
        rows = list(
            csv.reader(io.StringIO(content.decode(settings["encoding"]), newline=""), delimiter=settings["delimiter"], quoting=quoting)
        )
        if settings["columnHeaders"]:
            assert rows.pop(0) == [attribute["name"] for attribute in entity["attributes"]]
        found += [tuple(row) for row in rows]
    return found


def deliver_all(world: World, time: str, *members: str) -> None:
    outcomes = list(deliver(world.context, EXPORT, ExportTime.parse(time), run_id=time, members=members or None))
    assert all(outcome.status == "committed" for outcome in outcomes), outcomes


def text(world: World) -> Counter[tuple[str, ...]]:
    return Counter(tuple(str(value) for value in row) for row in world.rows().elements())


def test_a_full_is_the_newest_delivery_of_each_member(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={**FULL, "datasets": ["orders", "others"]})
    world.declare("datasets/others.yaml", {"source": {"format": "delta", "uri": "data/orders"}, "key": ["id"]})
    world.write([{"id": 1, "v": 'a, "b"\nc'}])
    deliver_all(world, TIMES[0], "orders")
    assert [entity["name"] for entity in model(world)["entities"]] == ["orders"], "those that were delivered"
    world.write([{"id": 2, "v": "ü"}])
    deliver_all(world, TIMES[1])
    found = model(world)
    assert (found["name"], found["version"]) == (EXPORT, "1.0")
    assert [entity["name"] for entity in found["entities"]] == ["orders", "others"]
    for entity in found["entities"]:
        assert Counter(as_read(world, entity)) == text(world)
        assert entity["attributes"] == [{"name": "id", "dataType": "int64"}, {"name": "v", "dataType": "string"}]
        assert [f"/{TIMES[1][8:]}/" in partition["location"] for partition in entity["partitions"]] == [True]


def test_of_fulls_no_history_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(tmp_path, export=FULL)
    world.write([{"id": 1, "v": "a"}])
    deliver_all(world, TIMES[0])
    monkeypatch.delattr(Ledger, "committed")
    deliver_all(world, TIMES[1])
    (entity,) = model(world)["entities"]
    assert Counter(as_read(world, entity)) == text(world)


def test_an_increment_that_is_written_again_is_listed_where_it_is(tmp_path: Path) -> None:
    world = World.create(tmp_path, export=CHANGED)
    for step in range(3):
        world.write([{"id": step, "v": "a"}])
        deliver_all(world, TIMES[step])
    replay(world.member, ExportTime.parse(TIMES[1]), run_id="again", replace=True)
    (entity,) = model(world)["entities"]
    assert Counter(as_read(world, entity)) == text(world)


def test_of_increments_it_is_all_files_since_the_full(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TEST_KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setitem(os.environ, "TEST_SECRET", EXPORTER.secret_access_key)
    connection = {
        "type": "s3",
        "bucket": bucket.name,
        "folder": bucket.folder,
        "endpoint_url": bucket.url,
        "region": "us-east-1",
        "access_key_id": {"env": "TEST_KEY_ID"},
        "secret_access_key": {"env": "TEST_SECRET"},
    }
    format = {**CSV, "delimiter": "|", "header": False, "max_rows_per_file": 2}
    world = World.create(tmp_path, connection=connection, export={**CHANGED, "format": format, "file_name": "{dataset_id} ä+{number}"})
    for step in range(3):
        world.write([{"id": 10 * step + n, "v": str(n)} for n in range(3)])
        deliver_all(world, TIMES[step])
    (entity,) = model(world)["entities"]
    assert Counter(as_read(world, entity)) == text(world)
    assert len(entity["partitions"]) == 6
    world.write([], mode="overwrite")
    world.write([{"id": 99, "v": "x"}])
    assert world.deliver(TIMES[3], full=True).status == "committed"
    (entity,) = model(world)["entities"]
    assert Counter(as_read(world, entity)) == text(world), "a full begins anew"
    replay(world.member, ExportTime.parse(TIMES[3]), run_id="again", replace=True)
    assert Counter(as_read(world, model(world)["entities"][0])) == text(world)


@pytest.mark.parametrize("before", ["put", "commit"])
def test_a_run_that_died_before_the_ledger_knew(tmp_path: Path, before: str) -> None:
    hurry()
    world = World.create(tmp_path, export=FULL)
    world.write([{"id": 1, "v": "a"}])
    Other(world, TIMES[0], before, interrupt="kill").dies()
    assert world.deliver_after_lease(TIMES[0]).status == "committed"
    assert Counter(as_read(world, model(world)["entities"][0])) == text(world)


def test_types(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={**FULL, "format": {**CSV, "nested": "json", "binary": "hex"}})
    frame = pl.DataFrame(
        {
            "id": [1],
            "small": pl.Series([1], dtype=pl.Int16),
            "real": [1.5],
            "yes": [True],
            "day": [date(2026, 1, 2)],
            "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)],
            "local": [datetime(2026, 1, 2, 3, 4, 5)],  # noqa: DTZ001
            "price": pl.Series([Decimal("1.50")], dtype=pl.Decimal(10, 2)),
            "tags": [["a"]],
            "raw": [b"x"],
        }
    )
    deltalake.write_deltalake(world.table, frame.to_arrow())
    deliver_all(world, TIMES[0])
    (entity,) = model(world)["entities"]
    types = {attribute["name"]: attribute["dataType"] for attribute in entity["attributes"]}
    assert types == {
        "id": "int64",
        "small": "int64",
        "real": "double",
        "yes": "boolean",
        "day": "date",
        "at": "dateTimeOffset",
        "local": "dateTime",
        "price": "decimal",
        "tags": "json",
        "raw": "string",
    }
    assert as_read(world, entity)[0][:8] == (
        "1", "1", "1.5", "true", "2026-01-02", "2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05.000000", "1.50"
    )  # fmt: skip


def test_a_segment_in_the_layout_of_customer_insights(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"layout": "customer_insights", "mode": "full", "format": {"type": "csv"}})
    world.put("people", [{"id": n, "email": f"{n}@x", "country": "FR", "value": 5, "seen": None, "opt_in": True} for n in range(3)])
    assert world.deliver(TIMES[0]).status == "committed"
    (entity,) = model(world, "chosen_out/model.json")["entities"]
    assert entity["name"] == "chosen"
    assert [attribute["dataType"] for attribute in entity["attributes"]] == ["int64", "string", "string", "int64"]
    assert sorted(row[:4] for row in as_read(world, entity)) == [(str(n), f"{n}@x", "FR", "10") for n in range(3)]
    assert entity["partitions"][0]["location"].endswith("/chosen_out/chosen/2026/01/01/0000/chosen_1.csv")


def test_somebody_elses_model_stays(tmp_path: Path) -> None:
    world = World.create(tmp_path, export=FULL)
    world.destination.put(f"{EXPORT}/model.json", b'{"name": "theirs"}')
    world.write([{"id": 1, "v": "a"}])
    refused = world.deliver(TIMES[0])
    assert refused.error is not None and refused.error.code == "occupied"
    assert world.destination.read(f"{EXPORT}/model.json") == b'{"name": "theirs"}'
    assert not world.data_files() - {f"{EXPORT}/model.json"}


@pytest.mark.parametrize(
    ("export", "connection", "says"),
    [
        ({"format": {"type": "parquet"}}, {}, "plain CSV"),
        ({"format": {**CSV, "compression": "gzip"}}, {}, "plain CSV"),
        ({"format": {**CSV, "escape": "\\"}}, {}, "doubled"),
        ({"changes": "all"}, {}, "`mode: full`"),
        ({"path": "{dataset_id}/{export_time}"}, {}, "the folder of the export"),
        ({"path": "{export_id}", "file_name": "latest", "overwrite": True}, {}, "replace each other"),
        ({}, {"keep_for": "7d"}, "removed after 7d"),
        ({}, {"encrypt_to": [{"env": "A_KEY"}]}, "encrypted"),
    ],
)
def test_what_it_could_not_tell_truly_is_refused(tmp_path: Path, export: dict[str, Any], connection: dict[str, Any], says: str) -> None:
    world = World.create(tmp_path, connection={"type": "local", "folder": "out", **connection}, export={**CHANGED, **export})
    with pytest.raises(DeclarationError, match=says):
        _ = world.context


def test_two_exports_cannot_share_one(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={**FULL, "path": "crm/{export_id}-{dataset_id}/{export_time}"})
    other = {"kind": "dataset", "connection": "out", "datasets": ["orders"], **FULL, "path": "crm/b-{dataset_id}/{export_time}"}
    world.declare("exports/other.yaml", other)
    with pytest.raises(DeclarationError, match=r"crm/model\.json"):
        _ = world.context


@pytest.mark.parametrize(
    ("more", "described"),
    [({}, True), ({"changes": "all"}, False), ({"format": {"compression": "gzip", "type": "csv"}}, False), ({"model_json": False}, False)],
)
def test_the_layout_of_customer_insights_has_one_where_it_can(tmp_path: Path, more: dict[str, Any], described: bool) -> None:
    world = World.create(tmp_path, export={"layout": "customer_insights", "changes": "added", **more})
    assert world.context.catalog.exports[EXPORT].model_json is described
