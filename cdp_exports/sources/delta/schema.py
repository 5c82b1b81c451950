"""A table's columns at one version, and how rows of another version are shown in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cdp_exports.errors import SourceUnreadable
from cdp_exports.sources.source import Column

if TYPE_CHECKING:
    import polars as pl

_PHYSICAL_NAME = "delta.columnMapping.physicalName"
_INTEGERS = ("byte", "short", "integer", "long")


@dataclass(frozen=True)
class Field:
    """A column; `physical` is its name in the data files and what it is recognized by when it is renamed."""

    name: str
    physical: str
    type: Any  # as the log writes it: a word, or an object for struct, array and map
    nullable: bool
    comment: str | None


@dataclass(frozen=True)
class Layout:
    """How the data files of one version are read: `schema` is the log's schemaString, `mapping` the column mapping mode."""

    schema: str
    partitioned_by: tuple[str, ...]
    mapping: str = "none"

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Layout:
        """From a metaData action."""
        return cls(metadata["schemaString"], tuple(metadata["partitionColumns"]), mapping_mode(metadata["configuration"]))

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        return tuple(
            Field(
                name=field["name"],
                physical=field["name"] if self.mapping == "none" else field.get("metadata", {}).get(_PHYSICAL_NAME, field["name"]),
                type=field["type"],
                nullable=field["nullable"],
                comment=field.get("metadata", {}).get("comment"),
            )
            for field in json.loads(self.schema)["fields"]
        )

    @cached_property
    def physical(self) -> Mapping[str, str]:
        """The columns' names in the data files and in the log's partition values."""
        return {field.name: field.physical for field in self.fields}

    @cached_property
    def dtypes(self) -> pl.Schema:
        """Polars' types by column name. Raises SourceUnreadable for a type that cannot be carried."""
        import polars as pl
        from deltalake import Schema

        for field in self.fields:
            if "variant" in _leaves(field.type):
                raise SourceUnreadable(
                    f"The column {field.name!r} has the type {_word(field.type)}, which cannot be carried.",
                    next_step="Export a copy of the table without that column.",
                )
        return pl.Schema(Schema.from_json(self.schema))

    @property
    def native(self) -> bool:
        """Whether Polars can read its files: not where columns are found by id, or where nested names are mapped."""
        return self.mapping == "none" or (self.mapping == "name" and not any(_maps_nested(field.type) for field in self.fields))

    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(field.name, _word(field.type), field.nullable, field.comment) for field in self.fields)


def mapping_mode(configuration: Mapping[str, str]) -> str:
    return configuration.get("delta.columnMapping.mode", "none")


def unshown(old: Layout, new: Layout) -> str | None:
    """The first column of `new` in which rows of `old` cannot be shown, with its two types, as a sentence says it."""
    before = {field.physical: field for field in old.fields}
    for field in new.fields:
        origin = before.get(field.physical, field)
        if not widens(origin.type, field.type):
            return f"{field.name!r} from {_word(origin.type)} to {_word(field.type)}"
    return None


def conform(frame: pl.LazyFrame, old: Layout, new: Layout) -> pl.LazyFrame:
    """Rows read under `old` in the columns of `new`: an added column is null, a dropped one is gone, a widened one is cast."""
    import polars as pl

    if old == new:
        return frame
    before = {field.physical: field for field in old.fields}
    shown: list[pl.Expr] = []
    for field in new.fields:
        dtype = new.dtypes[field.name]
        origin = before.get(field.physical)
        if origin is None:
            shown.append(pl.lit(None, dtype=dtype).alias(field.name))
        else:
            column = pl.col(origin.name)
            shown.append((column if old.dtypes[origin.name] == dtype else column.cast(dtype)).alias(field.name))
    return frame.select(shown)


def widens(old: Any, new: Any) -> bool:
    """Whether every value of the type `old` is a value of `new`.

    https://github.com/delta-io/delta/blob/master/PROTOCOL.md#type-widening

    >>> widens("integer", "long"), widens("long", "integer"), widens("decimal(10,2)", "decimal(12,4)")
    (True, False, True)
    """
    if isinstance(old, str) and isinstance(new, str):
        return old == new or _widens_primitive(old, new)
    if isinstance(old, str) or isinstance(new, str) or old["type"] != new["type"]:
        return False
    if old["type"] == "array":
        return widens(old["elementType"], new["elementType"])
    if old["type"] == "map":
        return widens(old["keyType"], new["keyType"]) and widens(old["valueType"], new["valueType"])
    before = {field["name"]: field["type"] for field in old["fields"]}
    return all(widens(before[field["name"]], field["type"]) for field in new["fields"] if field["name"] in before)


def _widens_primitive(old: str, new: str) -> bool:
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(old) < _INTEGERS.index(new)
    if new == "double":
        return old in ("float", "byte", "short", "integer")
    if new.startswith("decimal"):
        precision, scale = _decimal(new)
        if old in _INTEGERS:
            return precision - scale >= (20 if old == "long" else 10)
        if old.startswith("decimal"):
            old_precision, old_scale = _decimal(old)
            return scale >= old_scale and precision - scale >= old_precision - old_scale
    return (old, new) in (("date", "timestamp_ntz"), ("void", new))


def _decimal(word: str) -> tuple[int, int]:
    precision, scale = word.removeprefix("decimal(").removesuffix(")").split(",")
    return int(precision), int(scale)


def _word(kind: Any) -> str:
    """A type in Delta's words.

    >>> _word({"type": "map", "keyType": "string", "valueType": {"type": "array", "elementType": "long"}})
    'map<string,array<long>>'
    """
    if isinstance(kind, str):
        return kind
    match kind["type"]:
        case "array":
            return f"array<{_word(kind['elementType'])}>"
        case "map":
            return f"map<{_word(kind['keyType'])},{_word(kind['valueType'])}>"
        case "struct":
            return f"struct<{','.join(field['name'] + ':' + _word(field['type']) for field in kind['fields'])}>"
        case other:
            return str(other)


def _inner(kind: Any) -> list[Any]:
    """The types that a nested type is made of."""
    if isinstance(kind, str):
        return []
    parts = [kind[part] for part in ("elementType", "keyType", "valueType") if part in kind]
    return parts + [field["type"] for field in kind.get("fields", ())]


def _leaves(kind: Any) -> set[str]:
    return {kind} if isinstance(kind, str) else {leaf for part in _inner(kind) for leaf in _leaves(part)}


def _maps_nested(kind: Any) -> bool:
    fields: list[Any] = [] if isinstance(kind, str) else kind.get("fields", [])
    renamed = any(field.get("metadata", {}).get(_PHYSICAL_NAME, field["name"]) != field["name"] for field in fields)
    return renamed or any(map(_maps_nested, _inner(kind)))
