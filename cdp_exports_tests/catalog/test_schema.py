"""The JSON Schema accepts what the catalog accepts; what is generated from the models is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cdp_exports.catalog.load import load
from cdp_exports.catalog.reference import EXAMPLES, reference
from cdp_exports.catalog.schema import schemas, write_schemas
from cdp_exports.catalog.yaml import read
from cdp_exports_tests.catalog.declaring import write

PROJECT = Path(__file__).parents[2]
CATALOG = PROJECT / "catalog"
DEMO = {file.relative_to(CATALOG).as_posix(): file for file in CATALOG.glob("**/*.yaml")}


def kind_of(file: str) -> str:
    folder, slash, _ = file.partition("/")
    return folder.removesuffix("s") if slash else "environment"


@pytest.mark.parametrize("file", sorted(DEMO))
def test_the_demo_catalog_is_valid_for_editors(file: str) -> None:
    schema = schemas()[kind_of(file)]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read(DEMO[file].read_bytes()), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("file", sorted(DEMO))
def test_the_demo_catalog_names_its_schema(file: str) -> None:
    named = DEMO[file].read_text("utf-8").splitlines()[0].partition("$schema=")[2]
    assert (DEMO[file].parent / named).resolve() == CATALOG / ".schema" / f"{kind_of(file)}.json"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("export", {"kind": "dataset", "connection": "lake", "datasets": ["orders"], "mod": "full"}),
        ("export", {"kind": "dataset", "connection": "lake", "datasets": []}),
        ("export", {"kind": "dataset", "connection": "lake", "datasets": ["orders"], "format": {"type": "csv", "header": "off"}}),
        ("connection", {"type": "s3", "bucket": "acme", "secret_access_key": "hunter2"}),
        ("connection", {"bucket": "acme"}),
        ("dataset", {"source": {"format": "delta"}}),
        ("export", {"kind": "segment", "connection": "lake", "segments": ["vips"], "datasets": ["orders"]}),
        ("export", {"kind": "segment", "connection": "lake", "segments": ["vips"], "fields": [{"source": "email"}]}),
        ("export", {"kind": "segment", "connection": "lake", "segments": ["vips"], "fields": [{"from": "a", "transforms": ["trm"]}]}),
        ("segment", {"of": "profiles", "were": "true"}),
        ("environment", {"name": "Acme"}),
    ],
)
def test_editors_see_mistakes(kind: str, value: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schemas()[kind], jsonschema.Draft202012Validator)


def test_schema_files_are_up_to_date(tmp_path: Path) -> None:
    written = write_schemas(tmp_path)
    assert {file.stem: json.loads(file.read_text("utf-8")) for file in written} == schemas()
    for file in written:
        assert (CATALOG / ".schema" / file.name).read_text("utf-8") == file.read_text("utf-8"), "run: cdp-exports schema"


def test_reference_is_up_to_date() -> None:
    written = (PROJECT / "docs" / "catalog.md").read_text("utf-8")
    assert written == reference(), "run: python -m cdp_exports.catalog.reference > docs/catalog.md"


def test_every_key_is_explained() -> None:
    models = [model for schema in schemas().values() for model in (schema, *schema.get("$defs", {}).values())]
    keys = [(model["title"], key, of) for model in models for key, of in model.get("properties", {}).items()]
    assert [(title, key) for title, key, of in keys if not of.get("description")] == []
    assert len(keys) > 40


def test_fields_are_written_with_from() -> None:
    [field] = [model for name, model in schemas()["export"]["$defs"].items() if name == "Field"]
    assert "from" in field["properties"]
    assert "source" not in field["properties"]


def test_the_examples_of_the_reference_load(tmp_path: Path) -> None:
    files: dict[str, str | bytes | None] = {"exports/to_lake.yaml": None, "datasets/web_events.yaml": "source: {format: delta, uri: x}\n"}
    for example in (example for several in EXAMPLES.values() for example in several):
        files[example.splitlines()[0].removeprefix("# catalog/")] = example
    catalog = load(write(tmp_path, files))
    assert set(catalog.dataset_exports) == {"commerce_to_lake"}
    assert set(catalog.segment_exports) == {"win_back_to_crm"}
    assert catalog.dataset_of("win_back") == "profiles"
    assert list(EXAMPLES) == list(schemas())
    for kind, examples in EXAMPLES.items():
        for example in examples:
            jsonschema.validate(read(example.encode()), schemas()[kind], jsonschema.Draft202012Validator)
