"""The catalog's reference, written from the models: `python -m cdp_exports.catalog.reference > docs/catalog.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cdp_exports.catalog.schema import schemas
from cdp_exports.entities.model import ID_PATTERN

Schema = dict[str, Any]

EXAMPLES = {
    "environment": """\
# catalog/environment.yaml
name: acme
audience: individuals
time_zone: Europe/Paris
ledger: {env: CDP_EXPORTS_LEDGER}
""",
    "connection": """\
# catalog/connections/lake.yaml
type: s3
bucket: acme-exports
folder: cdp
region: eu-west-3
access_key_id: {env: LAKE_KEY_ID}
secret_access_key: {env: LAKE_SECRET}
""",
    "dataset": """\
# catalog/datasets/orders.yaml
role: event
source: {format: delta, uri: s3://acme-lake/orders, options: {aws_region: eu-west-3}}
key: [order_id]
asset_key: [warehouse, orders]
""",
    "export": """\
# catalog/exports/commerce_to_lake.yaml
kind: dataset
connection: lake
datasets: [orders, web_events]
mode: incremental
changes: added
format: {type: parquet, compression: zstd, max_rows_per_file: 1000000}
schedule: {every: 3h, start: 2026-12-01T02:00Z, end: 2027-06-30T00:00Z}
active: false
owners: [team:data]
""",
}
"""One complete object of each kind; tests read them."""

_PLACES = {
    "environment": "`catalog/environment.yaml`",
    "connection": "`catalog/connections/<id>.yaml`",
    "dataset": "`catalog/datasets/<id>.yaml`",
    "export": "`catalog/exports/<id>.yaml`",
}

_SCALARS = {"string": "text", "boolean": "`true`, `false`", "integer": "whole number"}

_BEGINNING = """\
# The catalog: reference

<!-- Generated: python -m cdp_exports.catalog.reference > docs/catalog.md -->

A catalog is a folder of YAML files, one object a file; the file's name is the object's id: lower-case letters, digits
and `_`, beginning with a letter, at most 63. The catalog is the folder named by `CDP_EXPORTS_CATALOG`, else `catalog/`
beside `pyproject.toml`. Files and folders whose name begins with a dot are ignored.

- Only `true` and `false` are booleans: `off`, `NO`, dates and `02:00` are text (YAML 1.2 core schema). Tags and aliases
  are not used.
- A secret is never written in the catalog; `{env: NAME}` names the environment variable that holds it.
- Two members (a dataset in an export) never deliver into one folder, nor one inside the other's, also across exports and
  connections: a folder has one owner.
- All problems of a catalog are reported at once, with file and line.
"""


@dataclass(frozen=True)
class _Writer:
    """Renders one kind of object. `definitions`: the schemas of the models it holds, by name."""

    definitions: dict[str, Schema]

    def section(self, title: str, schema: Schema, level: int) -> Iterator[str]:
        """A model with its keys, then the models inside it; of a union each alternative."""
        if "oneOf" in schema:
            for alternative in map(self._resolved, schema["oneOf"]):
                yield from self.section(f"{title} with `type: {alternative['properties']['type']['const']}`", alternative, level)
            return
        yield f"{'#' * level} {title}"
        if text := schema.get("description"):
            yield text.partition("\n\n>>>")[0]
        required = schema.get("required", [])
        rows = [f"| `{key}` | {self._type(of)} | {_default(of, required=key in required)} | {_cell(of)} |" for key, of in _keys(schema)]
        yield "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])
        for key, of in _keys(schema):
            if inner := self._model(of):
                yield from self.section(f"`{key}`", inner, level + 1)

    def _resolved(self, schema: Schema) -> Schema:
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.definitions[name] if name else schema

    def _model(self, schema: Schema) -> Schema | None:
        """What is worth a section of its own: a model other than a secret, or a union of models told apart by `type`."""
        if "discriminator" in schema:
            return schema
        for alternative in schema.get("anyOf", [schema]):
            if "$ref" in alternative and not alternative["$ref"].endswith("/Secret"):
                return self._resolved(alternative)
        return None

    def _type(self, schema: Schema) -> str:
        if self._model(schema):
            return "see below"
        if schema.get("$ref", "").endswith("/Secret"):
            return "`{env: NAME}`"
        if alternatives := schema.get("anyOf") or schema.get("oneOf"):
            return " or ".join(self._type(of) for of in alternatives if of.get("type") != "null")
        if words := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
            return ", ".join(f"`{_escaped(word)}`" for word in words)
        if schema["type"] == "array":
            return f"list of {self._type(schema['items'])}"
        if schema["type"] == "object":
            return f"keys with {self._type(schema['additionalProperties'])}"
        name = "id" if schema.get("pattern") == ID_PATTERN else _SCALARS[schema["type"]]
        return f"{name}, at least {schema['minimum']}" if "minimum" in schema else name


def _keys(schema: Schema) -> list[tuple[str, Schema]]:
    """Required keys first."""
    required = schema.get("required", [])
    return sorted(schema["properties"].items(), key=lambda item: item[0] not in required)


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "**required**"
    default: Any = schema.get("default")
    if schema.get("discriminator"):
        default = default["type"]
    if default is None or default == []:
        return ""
    return f"`{_escaped(default)}`" if default != "" else "empty"


def _escaped(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\t", "\\t")


def _cell(schema: Schema) -> str:
    return _escaped(" ".join(schema.get("description", "").split()))


def reference() -> str:
    """The whole reference, Markdown."""
    parts = [_BEGINNING.rstrip()]
    for kind, schema in schemas().items():
        parts.append(f"## {kind.capitalize()}: {_PLACES[kind]}")
        parts.append(f"```yaml\n{EXAMPLES[kind]}```")
        parts.extend(_Writer(schema.get("$defs", {})).section(f"Keys of {_article(kind)}", schema, 3))
    return "\n\n".join(parts) + "\n"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


if __name__ == "__main__":
    sys.stdout.write(reference())
