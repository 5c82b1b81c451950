"""Any valid catalog reads back as it was declared; any mistake is told with its file and line; no text breaks the reader."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cdp_exports.catalog.load import KINDS, load
from cdp_exports.entities.environment import Environment
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.catalog.declaring import VALID, problems, write

Object = dict[str, Any]
Objects = dict[str, Object]  # by file

SECRET = "hunter2-" + "x" * 20
IDS = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=20)
COLUMNS = st.lists(TEXT.filter(bool), unique=True, max_size=3)
REFERENCE = st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True).map(lambda name: {"env": name})


def objects(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(required, optional=optional)


ENVIRONMENTS = objects(
    {"name": IDS},
    {"audience": st.sampled_from(["individuals", "accounts"]), "time_zone": st.sampled_from(["UTC", "Asia/Kolkata"]), "ledger": REFERENCE},
)
DATASETS = objects(
    {
        "source": objects(
            {"format": st.just("delta"), "uri": st.sampled_from(["data/x", "s3://bucket/x", "/x y"])},
            {"options": st.dictionaries(st.sampled_from(["aws_region", "allow_http", "timeout"]), TEXT | REFERENCE)},
        )
    },
    {"role": st.sampled_from(["profile", "event"]), "key": COLUMNS, "description": TEXT, "owners": st.lists(st.just("team:a"), max_size=1)},
)
CONNECTIONS = st.one_of(
    objects({"type": st.just("local"), "folder": st.sampled_from(["x", "/x/y"])}, {"description": TEXT}),
    objects({"type": st.just("s3"), "bucket": st.just("acme")}, {"folder": st.just("a/b"), "region": st.just("eu-west-3")}),
)
FORMATS = st.one_of(
    objects({"type": st.just("parquet")}, {"compression": st.sampled_from(["zstd", "none"]), "max_rows_per_file": st.integers(1, 10**12)}),
    objects({"type": st.just("json")}, {"binary": st.sampled_from(["base64", "hex"])}),
    objects(
        {"type": st.just("csv")},
        {"delimiter": st.sampled_from([",", "\t", "|"]), "null": st.sampled_from(["", "NULL", "é"]), "header": st.booleans()},
    ),
)
SCHEDULES = st.sampled_from(
    [
        {"every": "3h", "start": "2026-12-01T02:00Z"},
        {"daily_at": "02:00", "end": "2027-01-01T00:00+01:00"},
        {"cron": "0 5 * * mon"},
    ]
)


@st.composite
def catalogs(draw: st.DrawFn) -> Objects:
    """A valid catalog, by file."""
    datasets = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    connections = draw(st.lists(IDS, min_size=1, max_size=2, unique=True))
    files: Objects = {"environment.yaml": draw(ENVIRONMENTS)}
    files |= {f"datasets/{name}.yaml": draw(DATASETS) for name in datasets}
    files |= {f"connections/{name}.yaml": draw(CONNECTIONS) for name in connections}
    for name in draw(st.lists(IDS, min_size=1, max_size=3, unique=True)):
        members = st.lists(st.sampled_from(datasets), min_size=1, unique=True)
        files[f"exports/{name}.yaml"] = draw(
            objects(
                {
                    "kind": st.just("dataset"),
                    "connection": st.sampled_from(connections),
                    "datasets": members,
                    "path": st.just("of_{export_id}/{dataset_id}/exportTime={export_time}"),
                },
                {"changes": st.just("all"), "format": FORMATS, "schedule": SCHEDULES, "active": st.booleans(), "description": TEXT},
            )
        )
    return files


def yaml(declared: Object) -> str:
    """One line a top-level key: its line is its place in the mapping. Values are JSON, which is YAML."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in declared.items())


def texts(files: Objects) -> dict[str, str | bytes | None]:
    """The files of a catalog, without those that `write` adds by default."""
    return {**dict.fromkeys(VALID), **{file: yaml(declared) for file, declared in files.items()}}


@given(catalogs())
@settings(deadline=None, max_examples=60)
def test_a_valid_catalog_reads_back(files: Objects) -> None:
    with tempfile.TemporaryDirectory() as folder:
        catalog = load(write(Path(folder), texts(files)))
    assert catalog.environment == Environment.model_validate(files["environment.yaml"])
    for kind, declared in KINDS.items():
        expected = {
            file.removeprefix(f"{kind}/").removesuffix(".yaml"): TypeAdapter(declared).validate_python(value)
            for file, value in files.items()
            if file.startswith(f"{kind}/")
        }
        assert dict(getattr(catalog, kind)) == expected


@given(files=catalogs(), data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_mistake_is_told_with_file_and_line_and_no_secret(files: Objects, data: st.DataObject) -> None:
    mistake = data.draw(st.sampled_from(["unknown key", "wrong type", "dangling reference", "literal secret", "duplicate key"]))
    prefix = {"dangling reference": "exports/", "literal secret": ("environment", "connections/", "datasets/")}.get(mistake, "")
    file = data.draw(st.sampled_from(sorted(name for name in files if name.startswith(prefix))))
    declared = files[file]
    written = texts(files)
    if mistake == "unknown key":
        declared[data.draw(IDS.map("zz_{}".format))] = SECRET
        line = len(declared)
    elif mistake == "duplicate key":
        written[file] = yaml(declared) + data.draw(st.sampled_from(yaml(declared).splitlines()))
        line = len(declared) + 1
    else:
        if mistake == "wrong type":
            key, value = data.draw(st.sampled_from(sorted(declared))), [{"a": {"b": SECRET}}]
        elif mistake == "dangling reference":
            key, value = data.draw(st.sampled_from([("connection", "zz_nowhere"), ("datasets", [*declared["datasets"], "zz_nowhere"])]))
        elif file.startswith("datasets/"):
            key, value = "source", {"format": "delta", "uri": "x", "options": {"aws_secret_access_key": SECRET}}
        elif file.startswith("connections/"):
            declared = files[file] = {"type": "s3", "bucket": "acme"}
            key, value = data.draw(st.sampled_from(["secret_access_key", "access_key_id", "session_token"])), SECRET
        else:
            key, value = "ledger", f"postgresql://user:{SECRET}@db/ledger"
        declared[key] = value
        line = list(declared).index(key) + 1
    if mistake != "duplicate key":
        written[file] = yaml(declared)
    with tempfile.TemporaryDirectory() as folder, pytest.raises(DeclarationError) as caught:
        load(write(Path(folder), written))
    assert (f"catalog/{file}", line) in {(problem.file, problem.line) for problem in caught.value.problems}
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "kind: dataset",
            "connection: lake",
            "datasets: [orders]",
            "path: ",
            "{export_time}",
            "{x",
            "schedule: {every: 3h}",
            "type: s3",
            "type: local",
            "bucket: ",
            "folder: ",
            "endpoint_url: ",
            "http://[",
            "source: {format: delta, uri: x}",
            "name: acme",
            "time_zone: ",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ": ",
            "null",
            "true",
            "5",
            ".inf",
            "'",
            '"',
            "..",
            "/",
        ]
    )
    | TEXT,
    max_size=14,
).map("".join)


@given(
    file=st.sampled_from(["environment.yaml", "connections/lake.yaml", "datasets/orders.yaml", "exports/to_lake.yaml"]),
    content=st.one_of(st.binary(max_size=80), FRAGMENTS.map(str.encode)),
)
@settings(deadline=None, max_examples=200)
def test_any_file_is_read_or_refused(file: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = problems(write(Path(folder), {file: content}))
    assert all(problem.startswith("catalog/") for problem in found)


OBJECTS: Objects = {
    "environment.yaml": {"name": "acme", "time_zone": "UTC"},
    "connections/lake.yaml": {"type": "local", "folder": "x"},
    "connections/s3.yaml": {"type": "s3", "bucket": "acme", "folder": "x", "endpoint_url": "http://x"},
    "datasets/orders.yaml": {"source": {"format": "delta", "uri": "x"}, "key": ["id"], "asset_key": ["x"], "owners": []},
    "exports/to_s3.yaml": {
        "kind": "dataset",
        "connection": "s3",
        "datasets": ["orders"],
        "path": "{export_time}",
        "file_name": "x",
        "format": {"type": "parquet"},
        "schedule": {"every": "3h"},
        "formerly": "x",
    },
}
HOSTILE = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])) | st.sampled_from(
    ["", "\0", "..", "/", "http://[", "http://x:port", "http://x:99999999", "{export_time}", "~", "a" * 300, "a/" * 300]
)
SCALARS = HOSTILE | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=4,
)


@given(place=st.sampled_from([(file, key) for file, declared in OBJECTS.items() for key in declared]), value=HOSTILE | VALUES)
@settings(deadline=None, max_examples=300)
def test_any_value_of_any_key_is_read_or_refused(place: tuple[str, str], value: object) -> None:
    file, key = place
    changed = "".join(f"{name}: {json.dumps(value if name == key else given)}\n" for name, given in OBJECTS[file].items())
    with tempfile.TemporaryDirectory() as folder:
        found = problems(write(Path(folder), texts(OBJECTS) | {file: changed}))
    assert all(problem.startswith("catalog/") for problem in found)
