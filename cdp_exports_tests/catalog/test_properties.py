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
from cdp_exports_tests.catalog.declaring import PEOPLE, VALID, problems, write

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
    {
        "audience": st.sampled_from(["individuals", "accounts"]),
        "time_zone": st.sampled_from(["UTC", "Asia/Kolkata"]),
        "ledger": REFERENCE,
        "state": st.just({"type": "local", "folder": "kept"}),
    },
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
    objects({"type": st.just("local"), "folder": st.sampled_from(["x", "/x/y"])}, {"description": TEXT, "purpose": st.just("marketing")}),
    objects({"type": st.just("s3"), "bucket": st.just("acme")}, {"folder": st.just("a/b"), "accepts": st.just(["people"])}),
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
        {"daily_at": ["02:00", "14:00"], "time_zone": "Europe/Paris"},
        {"weekly_on": ["monday", "thursday"], "at": "02:00"},
        {"monthly_on": [1, "last"], "at": ["02:00"]},
        {"cron": "0 5 * * mon"},
    ]
)
PROFILES: Object = {
    "role": "profile",
    "source": {"format": "delta", "uri": "data/profiles"},
    "key": ["profile_id"],
    "columns": {"profile_id": "bigint", "email": "varchar", "value": "double", "seen": "timestamptz", "opt_in": "boolean"},
    "consent": {"marketing": "opt_in"},
}
PREDICATES = st.sampled_from(["value > 500", "email IS NOT NULL AND NOT opt_in", "seen >= export_time - INTERVAL 30 DAY"])
FIELDS = st.lists(
    st.sampled_from(
        [
            {"from": "email", "to": "EMAIL", "transforms": ["trim", "lower", "sha256"], "identity": True},
            {"from": "value", "required": True},
            {"from": "round(value)", "to": "rounded"},
            {"value": 5, "to": "constant"},
        ]
    ),
    max_size=4,
    unique_by=lambda field: str(field.get("to")),
)
SEGMENT_EXPORTS = {
    "fields": FIELDS,
    "dedupe_by": st.just(["lower(email)"]),
    "send": st.sampled_from([["entered"], ["exited", "entered"]]),
    "status": st.just({"column": "what", "entered": "+", "updated": "*", "exited": "-"}),
    "limits": st.sampled_from([{"audience": {"max": 10, "min": 5}, "over": "truncate", "keep_by": "value DESC"}, {"delivery": {"max": 5}}]),
    "mode": st.just("full"),
    "on_change": st.just("difference"),
}


@st.composite
def catalogs(draw: st.DrawFn) -> Objects:
    """A valid catalog, by file."""
    datasets = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    connections = draw(st.lists(IDS, min_size=1, max_size=2, unique=True))
    files: Objects = {"environment.yaml": draw(ENVIRONMENTS)}
    files |= {f"datasets/{name}.yaml": draw(DATASETS) for name in datasets}
    files |= {f"connections/{name}.yaml": draw(CONNECTIONS) for name in connections}
    files["datasets/zz_profiles.yaml"] = dict(PROFILES)
    segments: list[str] = []
    for name in draw(st.lists(IDS.map("s_{}".format), min_size=1, max_size=3, unique=True)):
        ways: list[st.SearchStrategy[Object]] = [st.fixed_dictionaries({"of": st.just("zz_profiles"), "where": PREDICATES})]
        if segments:
            ways.append(
                st.fixed_dictionaries({way: st.just(list(segments)) for way in draw(st.sampled_from([["any_of"], ["all_of", "none_of"]]))})
            )
        files[f"segments/{name}.yaml"] = draw(st.one_of(ways))
        segments.append(name)
    for name in draw(st.lists(IDS.map("e_{}".format), max_size=2, unique=True)):
        required = {
            "kind": st.just("segment"),
            "connection": st.sampled_from(connections),
            "segments": st.lists(st.sampled_from(segments), min_size=1, unique=True),
            "path": st.just("of_{export_id}/{segment_id}/exportTime={export_time}"),
        }
        files[f"exports/{name}.yaml"] = draw(objects(required, {**SEGMENT_EXPORTS, "format": FORMATS, "schedule": SCHEDULES}))
    for name in draw(st.lists(IDS.map("d_{}".format), min_size=1, max_size=3, unique=True)):
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
@settings(deadline=None, max_examples=40)
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
@settings(deadline=None, max_examples=100)
def test_a_mistake_is_told_with_file_and_line_and_no_secret(files: Objects, data: st.DataObject) -> None:
    mistake = data.draw(
        st.sampled_from(["unknown key", "wrong type", "dangling reference", "literal secret", "duplicate key", "wrong SQL"])
    )
    places = {
        "dangling reference": ("exports/", "segments/"),
        "literal secret": ("environment", "connections/", "datasets/"),
        "wrong SQL": "segments/",
    }
    prefix = places.get(mistake, "")
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
            held = [key for key in ("connection", "datasets", "segments", "of", "all_of", "any_of", "none_of") if key in declared]
            key = data.draw(st.sampled_from(held))
            value = [*declared[key], "zz_nowhere"] if isinstance(declared[key], list) else "zz_nowhere"
        elif mistake == "wrong SQL":
            declared = files[file] = {"of": "zz_profiles", "where": f"emial = '{SECRET}'"}
            key, value = "where", declared["where"]
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
            "kind: segment",
            "segments: [vips]",
            "fields: [{from: email}]",
            "of: profiles",
            "where: ",
            "value > 5",
            "any_of: [vips]",
            "list: {uri: x, format: csv}",
            "columns: {",
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
    file=st.sampled_from(
        [
            "environment.yaml",
            "connections/lake.yaml",
            "connections/crm.yaml",
            "datasets/orders.yaml",
            "datasets/profiles.yaml",
            "segments/vips.yaml",
            "exports/to_lake.yaml",
            "exports/vips_to_crm.yaml",
        ]
    ),
    content=st.one_of(st.binary(max_size=80), FRAGMENTS.map(str.encode)),
)
@settings(deadline=None, max_examples=150)
def test_any_file_is_read_or_refused(file: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = problems(write(Path(folder), {**PEOPLE, file: content}))
    assert all(problem.startswith("catalog/") for problem in found)


OBJECTS: Objects = {
    "environment.yaml": {"name": "acme", "audience": "accounts", "time_zone": "UTC", "state": {"type": "local", "folder": "y"}},
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
    "connections/crm.yaml": {
        "type": "local",
        "folder": "crm",
        "purpose": "marketing",
        "suppress": [{"dataset": "zz_profiles", "column": "email", "matches": "email"}],
        "accepts": ["people"],
    },
    "datasets/zz_profiles.yaml": PROFILES,
    "datasets/contacts.yaml": {
        "role": "contact",
        "source": {"format": "delta", "uri": "x"},
        "key": ["id"],
        "columns": {"id": "uuid", "firm": "bigint", "email": "varchar", "ok": "boolean"},
        "consent": {"marketing": "ok"},
    },
    "datasets/firms.yaml": {"role": "account", "source": {"format": "delta", "uri": "x"}, "key": ["id"], "columns": {"id": "bigint"}},
    "segments/vips.yaml": {"of": "zz_profiles", "where": "value > 5", "owners": [], "description": "x", "formerly": "x"},
    "segments/asked.yaml": {"of": "zz_profiles", "sql": "SELECT profile_id FROM zz_profiles"},
    "segments/listed.yaml": {"of": "zz_profiles", "list": {"uri": "x", "format": "csv"}},
    "segments/all.yaml": {"all_of": ["vips"], "any_of": ["asked"], "none_of": ["listed"]},
    "segments/companies.yaml": {"of": "firms", "where": "id > 5"},
    "exports/people.yaml": {
        "kind": "segment",
        "connection": "crm",
        "segments": ["vips", "all"],
        "fields": [
            {"from": "email", "to": "E", "transforms": ["trim", {"e164": "FR"}], "required": True, "identity": True},
            {"value": 1, "to": "c"},
        ],
        "include_key": False,
        "dots": "keep",
        "dedupe_by": ["email"],
        "newest_by": "seen",
        "send": ["entered", "exited"],
        "status": {"column": "s"},
        "limits": {"over": "truncate", "keep_by": "value", "audience": {"max": 5}, "delivery": {"min": 1}, "warn_at": 0.5},
        "on_change": "full",
    },
    "exports/their_contacts.yaml": {
        "kind": "segment",
        "connection": "crm",
        "segments": ["companies"],
        "project": {"dataset": "contacts", "by": ["firm"], "how": "arrays", "where": "ok", "order_by": "id DESC"},
        "fields": [{"from": "email"}],
        "format": {"type": "json"},
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


def test_the_objects_to_be_changed_are_valid(tmp_path: Path) -> None:
    assert problems(write(tmp_path, texts(OBJECTS))) == []


@given(place=st.sampled_from([(file, key) for file, declared in OBJECTS.items() for key in declared]), value=HOSTILE | VALUES)
@settings(deadline=None, max_examples=200)
def test_any_value_of_any_key_is_read_or_refused(place: tuple[str, str], value: object) -> None:
    file, key = place
    changed = "".join(f"{name}: {json.dumps(value if name == key else given)}\n" for name, given in OBJECTS[file].items())
    with tempfile.TemporaryDirectory() as folder:
        found = problems(write(Path(folder), texts(OBJECTS) | {file: changed}))
    assert all(problem.startswith("catalog/") for problem in found)
