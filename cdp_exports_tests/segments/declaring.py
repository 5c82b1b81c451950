"""Declarations for tests of compiling."""

from __future__ import annotations

from typing import Any

import pytest

from cdp_exports.entities.capabilities import Capabilities, capabilities_of
from cdp_exports.entities.connection import CONNECTION
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import EXPORT, SegmentExport
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.audience import Audience
from cdp_exports.segments.compile import compile_audience
from cdp_exports.segments.problems import CompileProblems

PROFILES = {
    "role": "profile",
    "key": ["id"],
    "columns": {
        "id": "bigint",
        "email": "varchar",
        "phone": "bigint",
        "seen": "timestamptz",
        "ltv": "double",
        "ok": "boolean",
        "full.name": "text",
    },
    "consent": {"marketing": "ok"},
}
ORDERS = {"key": ["order_id"], "columns": {"order_id": "bigint", "id": "bigint", "total": "decimal(12,2)", "placed": "timestamptz"}}
ACCOUNTS = {"role": "account", "key": ["account_id"], "columns": {"account_id": "bigint", "name": "varchar", "size": "int"}}
CONTACTS = {
    "role": "contact",
    "key": ["contact_id"],
    "columns": {"contact_id": "bigint", "account_id": "bigint", "email": "varchar", "main": "boolean", "ok": "boolean"},
    "consent": {"marketing": "ok"},
}
STOP = {"key": ["hashed"], "columns": {"hashed": "varchar", "number": "int"}}
DATASETS = {"profiles": PROFILES, "orders": ORDERS, "accounts": ACCOUNTS, "contacts": CONTACTS, "stop": STOP}

SEGMENTS: dict[str, dict[str, Any]] = {
    "rich": {"of": "profiles", "where": "ltv > 100"},
    "recent": {"of": "profiles", "where": "seen >= export_time - interval 30 days"},
    "buyers": {"of": "profiles", "sql": "select id, sum(total) as spent from orders group by id having count(*) > 3"},
    "buyers_alone": {"of": "profiles", "sql": "select id from orders where placed > now() - interval 9 days"},
    "vips": {"of": "profiles", "list": {"uri": "vips.csv", "format": "csv", "columns": {"tier": "varchar"}}},
    "both": {"all_of": ["rich", "recent"]},
    "mixed": {"all_of": ["rich"], "any_of": ["recent", "buyers"], "none_of": ["vips"]},
    "big": {"of": "accounts", "where": "size > 10"},
}


def datasets(**changed: dict[str, Any]) -> dict[str, Dataset]:
    declared = {name: {**DATASETS.get(name, {}), **changed.get(name, {})} for name in {*DATASETS, *changed}}
    return {name: Dataset.model_validate({"source": {"format": "delta", "uri": name}, **one}) for name, one in declared.items()}


def segments(**changed: dict[str, Any]) -> dict[str, Segment]:
    return {name: Segment.model_validate(one) for name, one in {**SEGMENTS, **changed}.items()}


def export(**keys: Any) -> SegmentExport:
    declared = EXPORT.validate_python({"kind": "segment", "connection": "lake", "segments": ["rich"], **keys})
    assert isinstance(declared, SegmentExport)
    return declared


def compiled(
    segment: str,
    *,
    connection: dict[str, Any] | None = None,
    capabilities: Capabilities | None = None,
    changed: dict[str, dict[str, Any]] | None = None,
    also: dict[str, dict[str, Any]] | None = None,
    **keys: Any,
) -> Audience:
    lake = CONNECTION.validate_python({"type": "local", "folder": "x", **(connection or {})})
    all_segments, all_datasets = segments(**(also or {})), datasets(**(changed or {}))
    return compile_audience(segment, all_segments, all_datasets, export(**keys), lake, capabilities or capabilities_of("local"))


def problems(segment: str, **keys: Any) -> list[tuple[str, str | None, str, str]]:
    """What is wrong: kind, id, keys joined by dots, sentence."""
    with pytest.raises(CompileProblems) as found:
        compiled(segment, **keys)
    return [(one.kind, one.id, ".".join(map(str, one.at)), one.message) for one in found.value.problems]
