"""Receivers read what is delivered: the snippets of docs/receivers.md, run as they stand, give back the table."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pytest

from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.manifest import Manifest
from cdp_exports.entities.export_time import ExportTime
from cdp_exports_tests.delivery.world import TIMES, World
from cdp_exports_tests.servers.seaweedfs import EXPORTER, READER, REGION, Bucket

PAGE = (Path(__file__).parent.parent / "docs" / "receivers.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"<!-- snippet: ([a-z-]+) -->\n```[a-z]+\n(.*?)\n```", PAGE, re.DOTALL))

FORMATS: dict[str, dict[str, Any]] = {
    "parquet": {"type": "parquet", "max_rows_per_file": 4},
    "json": {"type": "json", "compression": "none", "non_finite": "null"},
    "json_gz": {"type": "json", "non_finite": "null"},
    "csv": {"type": "csv", "compression": "none", "nested": "json", "max_rows_per_file": 4},
    "csv_gz": {"type": "csv", "nested": "json"},
    "csv_other": {"type": "csv", "nested": "json", "delimiter": ";", "null": "NULL"},
}
SCHEMA = {
    "id": pl.Int64,
    "name": pl.String,
    "price": pl.Decimal(10, 2),
    "at": pl.Datetime("us", "UTC"),
    "local": pl.Datetime("us"),
    "day": pl.Date,
    "ratio": pl.Float64,
    "flag": pl.Boolean,
    "tags": pl.List(pl.String),
    "home": pl.Struct({"city": pl.String, "zip": pl.Int64}),
}
NESTED = ("tags", "home")
NAMES = [None, "", 'say "hi"', "two\nlines", "a,b;c|d\te", "Zoë 東京 🚀", "  spaced  ", "NULL", "back\\slash", "cr\r\nlf", '"', "'"]
Row = dict[str, Any]


def _row(key: int, name: str | None, **other: object) -> Row:
    usual: Row = {
        "id": key,
        "name": name,
        "price": Decimal("1.10"),
        "at": dt.datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=dt.UTC),
        "local": dt.datetime(2026, 6, 1),  # noqa: DTZ001  without a zone is what is tested
        "day": dt.date(1999, 12, 31),
        "ratio": 0.1,
        "flag": True,
        "tags": ["a", None, 'q"'],
        "home": {"city": "Paris", "zip": 75001},
    }
    return usual | other


FIRST = [_row(key, name) for key, name in enumerate(NAMES)] + [
    dict.fromkeys(SCHEMA) | {"id": 100},
    _row(101, "far", price=Decimal("-99999999.99"), ratio=1e-300, day=dt.date(1900, 1, 1), tags=[], home={"city": None, "zip": None}),
    _row(102, "not a number", ratio=float("nan")),
    _row(103, "infinite", ratio=float("-inf"), flag=False),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A table that changed twice, delivered three times in every format, with all changes and with added rows only.

    Before the third a repeated key stands in the way once: that export time is closed by the next.
    """
    world = World.create(tmp_path_factory.mktemp("reading"))
    (world.folder / "catalog" / "exports" / "orders_out.yaml").unlink()
    for name, file_format in FORMATS.items():
        for changes in ("all", "added"):
            _export(world, f"{name}_{changes}", "orders", changes, file_format)
    world.declare("datasets/visits.yaml", {"source": {"format": "delta", "uri": "data/visits"}})
    _export(world, "keyless_all", "visits", "all", FORMATS["parquet"])

    _write(world.table, FIRST)
    _visits(world, [1, 1, 1, 2, None, None])
    _deliver(world, TIMES[1])
    _write(world.table, [_row(200, 'new "one"'), _row(201, "")])
    world.update("id = 4", name="'moved'")
    world.delete("id = 5 OR id = 102")
    deltalake.DeltaTable(str(world.folder / "data" / "visits")).delete("page = 2")
    _visits(world, [1, 3, 3])
    _deliver(world, TIMES[2])
    _write(world.table, [_row(300, "one"), _row(300, "two")])
    _deliver(world, TIMES[3], status="failed")
    world.delete("id = 300")
    world.update("id = 200", name="''")
    world.delete("id = 0")
    _write(world.table, [_row(5, "back\nagain")])
    _visits(world, [1, None], mode="overwrite")
    _deliver(world, TIMES[4])
    return world


@pytest.fixture(params=[f"{name}_{changes}" for name in FORMATS for changes in ("all", "added")])
def export(request: pytest.FixtureRequest, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An export whose destination is `lake` in the current folder, as in the docs."""
    return _received(world, request.param, tmp_path, monkeypatch)


def test_duckdb_keeps_a_table_up_to_date(world: World, export: str) -> None:
    snippets = _run("deliveries", "receive")
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        snippets["receive"](database, "lake/orders", "orders")
        snippets["receive"](database, "lake/orders", "orders")  # nothing is applied twice
        received = database.table("orders").to_arrow_table().to_pylist()
    assert _comparable(received, export) == _comparable(_expected(world, export), export)


def test_a_closed_export_time_is_no_delivery(export: str) -> None:
    [closed] = (Path("lake") / "orders").glob(f"exportTime={TIMES[3]}/*")
    assert json.loads(closed.read_text())["covered_by"] == TIMES[4]
    found = _run("deliveries")["deliveries"]("lake/orders")
    assert [manifest["export_time"] for manifest, _ in found] == [TIMES[1], TIMES[2], TIMES[4]]
    assert [manifest["previous_export_time"] for manifest, _ in found] == [None, TIMES[1], TIMES[2]], export


def test_duckdb_misses_a_delivery_that_was_moved_away(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _received(world, "parquet_all", tmp_path, monkeypatch, without=TIMES[2])
    with duckdb.connect() as database, pytest.raises(RuntimeError, match=f"The delivery of {TIMES[2]} is missing"):
        _run("deliveries", "receive")["receive"](database, "lake/orders", "orders")


def test_pyarrow_reads_the_files_and_polars_applies_them(world: World, export: str) -> None:
    snippets = _run("deliveries", "read-pyarrow", "apply-polars")
    found = snippets["deliveries"]("lake/orders")
    assert [manifest["mode"] for manifest, _ in found] == ["full", "incremental", "incremental"]
    parts = [pl.concat([_frame(snippets["read_arrow"](manifest, file)) for file in files]) for manifest, files in found]
    for (manifest, _), part in zip(found, parts, strict=True):
        assert part.height == manifest["rows"]["total"]
    if export.endswith("_added"):
        table = pl.concat(parts)
    else:
        table = parts[0].drop("_change_type")
        for part in parts[1:]:
            table = snippets["apply_increment"](table, part, ["id"])
    assert _comparable(table.to_dicts(), export) == _comparable(_expected(world, export), export)


def test_without_a_key_rows_are_counted(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _received(world, "keyless_all", tmp_path, monkeypatch)
    with duckdb.connect() as database:
        _run("deliveries", "receive")["receive"](database, "lake/visits", "visits")
        assert [bool(files) for _, files in _run("deliveries")["deliveries"]("lake/visits")] == [True, True, False, True]
        pages = [page for (page,) in database.execute("SELECT page FROM visits ORDER BY page NULLS LAST").fetchall()]
    assert pages == [1, None]


def test_readers_of_whole_folders_skip_manifest_and_owner(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _received(world, "parquet_all", tmp_path, monkeypatch)
    rows = {manifest["export_time"]: manifest["rows"]["total"] for manifest, _ in _run("deliveries")["deliveries"]("lake/orders")}
    assert len(rows) == 3
    assert dict(_query(SNIPPETS["glob-duckdb"])) == rows
    by_pyarrow, by_polars = _run("glob-pyarrow")["orders"], _run("glob-polars")
    assert {key: by_pyarrow.column("exportTime").to_pylist().count(key) for key in rows} == rows
    assert dict(by_polars["orders"]["exportTime"].value_counts().rows()) == rows
    assert by_polars["by_glob"].height == sum(rows.values())
    with pytest.raises(pl.exceptions.PolarsError):
        pl.scan_parquet("lake/orders").collect()  # why the page asks for `hidden_file_prefix`


def test_a_bucket_is_read_like_a_folder(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setenv("SECRET", EXPORTER.secret_access_key)
    keys = {"access_key_id": {"env": "KEY_ID"}, "secret_access_key": {"env": "SECRET"}}
    connection = {"type": "s3", "bucket": bucket.name, "folder": bucket.folder, "endpoint_url": bucket.url, **keys}
    world = World.create(tmp_path, connection=connection)
    world.write([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    assert world.deliver(TIMES[1]).status == "committed"
    world.delete("id = 1")
    assert world.deliver(TIMES[2]).status == "committed"

    reader = {"access_key": READER.access_key_id, "secret_key": READER.secret_access_key, "region": REGION}
    store = pyarrow.fs.S3FileSystem(endpoint_override=bucket.url.removeprefix("http://"), scheme="http", **reader)
    time = pyarrow.dataset.partitioning(pa.schema([("exportTime", pa.string())]), flavor="hive")
    orders = pyarrow.dataset.dataset(f"{bucket.name}/{bucket.folder}/orders", filesystem=store, format="parquet", partitioning=time)
    rows = [(row["id"], row["_change_type"], row["exportTime"]) for row in orders.to_table().to_pylist()]
    assert sorted(rows) == [(1, "delete", TIMES[2]), (1, "insert", TIMES[1]), (2, "insert", TIMES[1])]


@pytest.mark.parametrize(("name", "reader", "extension"), [("json_gz", "read_json", "json"), ("csv", "read_csv", "csv")])
def test_globs_of_text_files(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reader: str, extension: str) -> None:
    glob = f"{reader}('lake/orders/exportTime=*/*.{extension}*'"
    assert glob in PAGE
    _received(world, f"{name}_all", tmp_path, monkeypatch)
    total = sum(manifest["rows"]["total"] for manifest, _ in _run("deliveries")["deliveries"]("lake/orders"))
    assert _query(f"SELECT count(*) FROM {glob})") == [(total,)]


def test_the_page_explains_every_field_of_the_manifest_and_shows_one() -> None:
    fields = {field.alias or name for name, field in Manifest.model_fields.items()}
    [table] = re.findall(r"\| field \| meaning \|\n(.*?)\n\n", PAGE, re.DOTALL)
    explained = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert explained | {"covered_by"} == fields
    shown, of_segments = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    assert set(of_segments) == {"funnel", "movement", "held"}
    assert set(shown) == fields - {"covered_by", "encryption", "folder", "expires_at", *of_segments}
    assert Manifest.model_validate(shown | of_segments).files


def _export(world: World, name: str, dataset: str, changes: str, file_format: dict[str, Any]) -> None:
    declared = {"kind": "dataset", "connection": "out", "datasets": [dataset], "changes": changes, "format": file_format}
    world.declare(f"exports/{name}.yaml", {**declared, "path": "{export_id}/{dataset_id}/exportTime={export_time}"})


def _write(table: str, rows: list[Row]) -> None:
    deltalake.write_deltalake(table, pl.DataFrame(rows, schema=SCHEMA).to_arrow(), mode="append")


def _visits(world: World, pages: list[int | None], mode: Any = "append") -> None:
    rows = pl.DataFrame({"page": pages}, schema={"page": pl.Int64})
    deltalake.write_deltalake(str(world.folder / "data" / "visits"), rows.to_arrow(), mode=mode)


def _deliver(world: World, export_time: str, status: str = "committed") -> None:
    """`status`: what becomes of the table with a key; the one without is always delivered, also with nothing new."""
    for name in world.context.catalog.exports:
        for outcome in deliver(world.context, name, ExportTime.parse(export_time), run_id=str(uuid.uuid4())):
            assert outcome.status == ("committed" if outcome.member == "visits" else status), outcome.error


def _received(world: World, export: str, folder: Path, monkeypatch: pytest.MonkeyPatch, without: str = "") -> str:
    (delivered,) = (world.folder / "out" / export).iterdir()
    member = folder / "lake" / delivered.name
    member.mkdir(parents=True)
    for entry in delivered.iterdir():
        if not (without and entry.name.endswith(without)):
            (member / entry.name).symlink_to(entry)
    monkeypatch.chdir(folder)
    return export


def _run(*names: str) -> dict[str, Any]:
    """The names that snippets of the page define."""
    defined: dict[str, Any] = {}
    for name in names:
        exec(compile(SNIPPETS[name], f"docs/receivers.md, {name}", "exec"), defined)
    return defined


def _query(sql: str) -> list[Any]:
    with duckdb.connect() as database:
        return database.execute(sql).fetchall()


def _frame(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _expected(world: World, export: str) -> list[Row]:
    """The table now, or every row of it when it was added, by Delta's own reader."""
    if export.endswith("_all"):
        return _rows_at(world, None)
    history = {index: _rows_at(world, version) for index, version in enumerate(_delivered_versions(world, export))}
    added: list[Row] = []
    for index, rows in history.items():
        before = {row["id"] for row in history.get(index - 1, [])}
        added += [row for row in rows if row["id"] not in before]
    return added


def _rows_at(world: World, version: int | None) -> list[Row]:
    return deltalake.DeltaTable(world.table, version=version).to_pyarrow_table().to_pylist()


def _delivered_versions(world: World, export: str) -> Iterator[int]:
    for path in sorted((world.folder / "out" / export).glob("*/*/_manifest")):
        for source in json.loads(path.read_text()).get("sources", []):
            yield source["upto_version"]


def _comparable(rows: list[Row], export: str) -> list[str]:
    """Rows as sorted text: NaN equal to NaN, and what a text format cannot hold as it says it writes it."""
    return sorted(json.dumps({name: _value(name, value, export) for name, value in row.items()}, sort_keys=True) for row in rows)


def _value(name: str, value: Any, export: str) -> Any:
    if name in NESTED and isinstance(value, str):
        return json.loads(value)
    if name == "ratio" and export.startswith("json") and value is not None and (value != value or abs(value) == float("inf")):  # noqa: PLR0124
        return None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).isoformat()
    return str(value) if isinstance(value, (Decimal, dt.date)) else value
