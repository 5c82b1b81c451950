"""The columns of the files: what is in them, and how they are called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.file_format import Format
from cdp_exports.entities.mapping import Field, Status
from cdp_exports.segments.audience import Contacts, Expression, OutputField
from cdp_exports.segments.binding import quoted, type_named
from cdp_exports.segments.carried import refusal
from cdp_exports.segments.declared import Findings
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import Types, expression
from cdp_exports.segments.transforms import transformed


@dataclass(frozen=True)
class Mapped:
    """The columns of the files, in order: key, fields, status."""

    key_names: tuple[str, ...]
    fields: tuple[OutputField, ...]
    status: Status | None


def mapped(
    export: SegmentExport,
    of: str,
    key: Sequence[str],
    contacts: Contacts | None,
    scope: Types,
    capabilities: Capabilities,
    findings: Findings,
) -> Mapped:
    """The columns of an export's files. `scope`: the tables that fields may read."""
    keys = {(of, column): column for column in key}
    if contacts and contacts.how == "explode":
        keys |= {(contacts.dataset, column): column for column in contacts.key}
    fields: list[OutputField] = []
    places: list[tuple[str | int, ...]] = []
    for index, field in enumerate(export.fields):
        with findings.within("export", None, "fields", index, "from" if field.source is not None else "value"):
            found = _field(field, scope, contacts, keys, capabilities, ("fields", index), findings)
            if found:
                fields.append(found)
                places.append(("fields", index, "to") if field.to is not None else ("fields", index))
    taken = frozenset[tuple[str, str]]().union(*(field.expression.columns for field in fields if field.key))
    key_names = tuple(name for column, name in keys.items() if column not in taken) if export.include_key else ()
    _refuse_types(export.format, key_names, {name: scope[table].get(name) for table, name in keys}, fields, places, findings)
    status = export.status if export.status and (export.mode == "incremental" or export.status.in_full) else None
    if export.dots == "underscore":
        key_names = tuple(name.replace(".", "_") for name in key_names)
        fields = [replace(field, name=field.name.replace(".", "_")) for field in fields]
        status = (
            status.model_copy(update={"column": status.column.replace(".", "_"), "reason": status.reason.replace(".", "_")})
            if status
            else None
        )
    _refuse_twins(key_names, fields, places, status, findings)
    return Mapped(key_names, tuple(fields), status)


def _field(
    field: Field,
    scope: Types,
    contacts: Contacts | None,
    keys: Mapping[tuple[str, str], str],
    capabilities: Capabilities,
    at: tuple[str | int, ...],
    findings: Findings,
) -> OutputField | None:
    value = constant(field.value) if field.value is not None else expression(field.source or "", scope)
    column = _bare(value)
    transforms = field.transforms
    if capabilities.hashes_identities and field.identity and "sha256" not in transforms:
        transforms = (*transforms, "sha256")
    name = field.to or (column[1] if column else None)
    if name is None:
        raise SqlProblem("An expression has no name of its own; say how the column is called, with `to`.")
    with findings.within("export", None, *at, "transforms" if field.transforms else "from"):
        sent = transformed(value, transforms)
        array = contacts is not None and contacts.how == "arrays" and any(table == contacts.dataset for table, _ in sent.columns)
        return OutputField(
            name=name,
            expression=replace(sent, type=f"{sent.type}[]") if array else sent,
            required=field.required,
            identity=field.identity,
            key=keys.get(column) if column and not transforms else None,
            array=array,
        )
    return None


def constant(value: str | float | bool) -> Expression:
    """A constant as SQL.

    >>> constant("it's").sql
    "'it''s'"
    """
    if isinstance(value, bool):
        return Expression(str(value).upper(), "BOOLEAN", frozenset())
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise SqlProblem("A whole number has at most 64 bits; write a longer one as text.")
        return Expression(f"CAST({value} AS BIGINT)", "BIGINT", frozenset())
    if isinstance(value, float):
        assert math.isfinite(value)
        return Expression(f"CAST({value!r} AS DOUBLE)", "DOUBLE", frozenset())
    if "\0" in value:
        raise SqlProblem("A constant cannot have the character 0.")
    return Expression("'" + value.replace("'", "''") + "'", type_named("varchar"), frozenset())


def _bare(value: Expression) -> tuple[str, str] | None:
    if len(value.columns) == 1:
        [(table, column)] = value.columns
        if value.sql == f"{quoted(table)}.{quoted(column)}":
            return table, column
    return None


def _refuse_types(
    file_format: Format,
    key_names: Sequence[str],
    key_types: Mapping[str, str | None],
    fields: Sequence[OutputField],
    places: Sequence[tuple[str | int, ...]],
    findings: Findings,
) -> None:
    columns: list[tuple[str, str, tuple[str | int, ...]]]
    columns = [(name, known, ("include_key",)) for name in key_names if (known := key_types[name])]
    columns += [(field.name, field.expression.type, at[:2]) for field, at in zip(fields, places, strict=True)]
    for name, type_name, at in columns:
        if why := refusal(type_name, file_format):
            findings.add("export", None, at, f"Column {name!r} is {type_name}, and {why}.")


def _refuse_twins(
    key_names: Sequence[str],
    fields: Sequence[OutputField],
    places: Sequence[tuple[str | int, ...]],
    status: Status | None,
    findings: Findings,
) -> None:
    columns: list[tuple[str, tuple[str | int, ...], str]] = [(name, ("include_key",), "a key column") for name in key_names]
    columns += [(field.name, at, "a field") for field, at in zip(fields, places, strict=True)]
    if status:
        columns += [
            (status.column, ("status", "column"), "the status column"),
            (status.reason, ("status", "reason"), "the column of the reason"),
        ]
    seen: dict[str, str] = {}
    for name, at, what in columns:
        if other := seen.get(name.casefold()):
            remedy = "map one of them as a field, with `to`" if at == ("include_key",) else "give one of them another name"
            findings.add("export", None, at, f"Two columns of the files would be called {name!r}: {other} and {what}; {remedy}.")
        seen[name.casefold()] = what
