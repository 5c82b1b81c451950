"""The catalog's reference, written from the models: `python -m cdp_exports.catalog.reference > docs/catalog.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel

from cdp_exports.catalog.reference_layouts import chapter
from cdp_exports.catalog.schema import schemas
from cdp_exports.entities.model import ID_PATTERN

Schema = dict[str, Any]

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "environment": (
        """\
# catalog/environment.yaml
name: acme
audience: individuals
time_zone: Europe/Paris
ledger: {env: CDP_EXPORTS_LEDGER}
state: {type: s3, bucket: acme-exports-state}
""",
    ),
    "connection": (
        """\
# catalog/connections/lake.yaml
type: s3
bucket: acme-exports
folder: cdp
region: eu-west-3
access_key_id: {env: LAKE_KEY_ID}
secret_access_key: {env: LAKE_SECRET}
""",
        """\
# catalog/connections/crm.yaml
type: s3
bucket: acme-crm-inbox
purpose: marketing
suppress:
  - {dataset: do_not_mail, column: email_sha256, matches: "sha256(lower(trim(email)))"}
accepts: [people]
""",
    ),
    "dataset": (
        """\
# catalog/datasets/orders.yaml
role: event
source: {format: delta, uri: s3://acme-lake/orders, options: {aws_region: eu-west-3}}
key: [order_id]
asset_key: [warehouse, orders]
""",
        """\
# catalog/datasets/profiles.yaml
role: profile
source: {format: delta, uri: s3://acme-lake/profiles}
key: [profile_id]
columns:
  profile_id: bigint
  email: varchar
  phone: varchar
  country: varchar
  lifetime_value: double
  last_seen: timestamptz
  email_opt_in: boolean
consent: {marketing: email_opt_in}
""",
        """\
# catalog/datasets/do_not_mail.yaml
source: {format: delta, uri: s3://acme-lake/do_not_mail}
columns: {email_sha256: varchar}
""",
    ),
    "segment": (
        """\
# catalog/segments/high_value.yaml
of: profiles
where: lifetime_value > 500 AND country IN ('FR', 'DE')
""",
        """\
# catalog/segments/lapsed.yaml
of: profiles
where: last_seen < export_time - INTERVAL 90 DAY
""",
        """\
# catalog/segments/win_back.yaml
all_of: [high_value, lapsed]
description: Good customers who have not been here for 90 days.
""",
    ),
    "export": (
        """\
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
        """\
# catalog/exports/win_back_to_crm.yaml
kind: segment
connection: crm
segments: [win_back]
fields:
  - {from: email, to: EMAIL, transforms: [trim, lower], required: true, identity: true}
  - {from: phone, to: PHONE, transforms: [{e164: FR}]}
  - {from: round(lifetime_value), to: VALUE}
  - {value: acme, to: BRAND}
dedupe_by: [lower(trim(email))]
newest_by: last_seen
limits: {audience: {max: 100000}, over: truncate, keep_by: lifetime_value DESC}
schedule: {daily_at: "06:00"}
""",
    ),
}
"""Complete objects of each kind; tests read them."""

_PLACES = {
    "environment": "`catalog/environment.yaml`",
    "connection": "`catalog/connections/<id>.yaml`",
    "dataset": "`catalog/datasets/<id>.yaml`",
    "segment": "`catalog/segments/<id>.yaml`",
    "export": "`catalog/exports/<id>.yaml`",
}

_SCALARS = {"string": "text", "boolean": "`true`, `false`", "integer": "whole number", "number": "number"}

_WRITTEN = {"Secret": "`{env: NAME}`", "E164": "`{e164: COUNTRY}`"}
"""Models that are shown in the place where they are written."""

_SMALL = tuple(f"/{name}" for name in _WRITTEN)

_BEGINNING = """\
# The catalog: reference

<!-- Generated: python -m cdp_exports.catalog.reference > docs/catalog.md -->

A catalog is a folder of YAML files, one object a file; the file's name is the object's id: lower-case letters, digits
and `_`, beginning with a letter, at most 63. The catalog is the folder named by `CDP_EXPORTS_CATALOG`, else `catalog/`
beside `pyproject.toml`. Files and folders whose name begins with a dot are ignored.

- Only `true` and `false` are booleans: `off`, `NO`, dates and `02:00` are text (YAML 1.2 core schema). Tags and aliases
  are not used.
- A secret is never written in the catalog; `{env: NAME}` names the environment variable that holds it.
- SQL is DuckDB's. In it a dataset's id names its table, and `export_time` (as `now()`) the export time; all of it is checked when
  the catalog loads, against the `columns` that datasets declare.
- Two members (a dataset or a segment in an export) never deliver into one folder, nor one inside the other's, also across exports and
  connections: a folder has one owner.
- All problems of a catalog are reported at once, with file and line.
"""


@dataclass(frozen=True)
class _Writer:
    """Renders one kind of object. `definitions`: the schemas of the models it holds, by name."""

    definitions: dict[str, Schema]
    elsewhere: list[object]  # the alternatives of kinds that have a chapter of their own
    described: dict[str, str] = field(default_factory=dict[str, str])  # models that stand above already, and under which key

    def section(self, title: str, schema: Schema, level: int, path: str = "") -> Iterator[str]:
        """A model with its keys, then the models inside it; of a union each alternative."""
        if "oneOf" in schema:
            key = schema["discriminator"]["propertyName"]
            for alternative in map(self._resolved, schema["oneOf"]):
                word = alternative["properties"][key]["const"]
                yield from self.section(f"{title} with `{key}: {word}`", alternative, level, path)
            return
        yield f"{'#' * level} {title}"
        if text := schema.get("description"):
            yield text.partition("\n\n>>>")[0]
        required = schema.get("required", [])
        inner: dict[str, Schema] = {}
        rows: list[str] = []
        for key, of in _keys(schema):
            if (model := self._model(of)) and self.described.setdefault(json.dumps(model), f"{path}{key}") == f"{path}{key}":
                inner[key] = model
            rows.append(f"| `{key}` | {self._type(of)} | {_default(of, required=key in required)} | {_cell(of)} |")
        yield "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])
        for key, model in inner.items():
            yield from self.section(f"`{path}{key}`", model, level + 1, f"{path}{key}.")

    def keys(self, schema: Schema, path: str = "") -> Iterator[Key]:
        """A model's keys; of what has alternatives, only that it has."""
        for key, of in _keys(schema):
            model = self._model(of)
            if model:
                self.described[json.dumps(model)] = f"{path}{key}"
            plain = model is not None and "properties" in model
            required = key in schema.get("required", [])
            default = "" if required else _default(of, required=False)
            kind = "keys with values" if plain else self._type(of)
            yield Key(f"{path}{key}", kind.replace("`", ""), required, default.replace("`", ""), _cell(of).replace("\\|", "|"))
            if model is not None and plain:
                yield from self.keys(model, f"{path}{key}.")

    def _resolved(self, schema: Schema) -> Schema:
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.definitions[name] if name else schema

    def _model(self, schema: Schema) -> Schema | None:
        """What is worth a section of its own: a model other than a secret, or a union of models told apart by a key."""
        for alternative in schema.get("anyOf", [schema]):
            if alternative.get("type") == "array":
                return self._model(alternative["items"])
            if "discriminator" in alternative and alternative["oneOf"] not in self.elsewhere:
                return {name: alternative[name] for name in ("discriminator", "oneOf")}
            if "$ref" in alternative and not alternative["$ref"].endswith(_SMALL):
                return self._resolved(alternative)
        return None

    def _type(self, schema: Schema) -> str:
        if model := self._model(schema):
            many = "list, " if any(of.get("type") == "array" for of in schema.get("anyOf", [schema])) else ""
            return f"{many}see `{self.described[json.dumps(model)]}`"
        if (name := schema.get("$ref", "").rpartition("/")[2]) in _WRITTEN:
            return _WRITTEN[name]
        if "discriminator" in schema:
            return "a connection"
        if alternatives := schema.get("anyOf") or schema.get("oneOf"):
            return " or ".join(self._type(of) for of in alternatives if of.get("type") != "null")
        if words := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
            return ", ".join(f"`{_escaped(word)}`" for word in words)
        if schema["type"] == "array":
            return f"list of {self._type(schema['items'])}"
        if schema["type"] == "object":
            return f"keys with {self._type(schema.get('additionalProperties') or next(iter(schema['patternProperties'].values())))}"
        name = "id" if schema.get("pattern") == ID_PATTERN else _SCALARS[schema["type"]]
        return f"{name}, at least {schema['minimum']}" if "minimum" in schema else name


def _keys(schema: Schema) -> list[tuple[str, Schema]]:
    """What kind of object it is first, then the other required keys."""
    required = schema.get("required", [])
    return sorted(schema["properties"].items(), key=lambda item: (item[0] not in ("kind", "type"), item[0] not in required))


def _default(schema: Schema, *, required: bool) -> str:
    if required:
        return "**required**"
    default: Any = schema.get("default")
    if isinstance(default, dict):  # a model: of one told apart by its type, the type says it
        default = cast("Schema", default).get("type")
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
    described = schemas()
    for kind, schema in described.items():
        parts.append(f"## {kind.capitalize()}: {_PLACES[kind]}")
        parts.extend(f"```yaml\n{example}```" for example in EXAMPLES[kind])
        elsewhere = [other["oneOf"] for name, other in described.items() if name != kind and "oneOf" in other]
        parts.extend(_Writer(schema.get("$defs", {}), elsewhere).section(f"Keys of {_article(kind)}", schema, 3))
    return "\n\n".join([*parts, *chapter()]) + "\n"


@dataclass(frozen=True)
class Key:
    """One key of a model, in words. `default`: empty where it is required or there is none."""

    name: str
    type: str
    required: bool
    default: str
    meaning: str


def keys_of(declared: type[BaseModel]) -> list[Key]:
    """A model's keys, those of the models inside it right behind theirs.

    >>> from cdp_exports.entities.mapping import Bounds
    >>> [key.name for key in keys_of(Bounds)]
    ['max', 'min']
    """
    schema = declared.model_json_schema()
    return list(_Writer(schema.get("$defs", {}), []).keys(schema))


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


if __name__ == "__main__":
    sys.stdout.write(reference())
