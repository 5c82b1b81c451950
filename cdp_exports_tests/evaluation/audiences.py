"""Audiences as the compiler would make them, small."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from cdp_exports.entities.mapping import Status
from cdp_exports.evaluation.inputs import Tables
from cdp_exports.segments.audience import Audience, Expression, OutputField, TimeBound, Way

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
STATUS = Status()
EVERYTHING = frozenset({"entered", "updated", "exited"})

PROFILES = {"id": "BIGINT", "email": "VARCHAR", "city": "VARCHAR", "spend": "BIGINT", "seen": "TIMESTAMP WITH TIME ZONE", "ok": "BOOLEAN"}
SCHEMA = pl.Schema(
    {"id": pl.Int64, "email": pl.String, "city": pl.String, "spend": pl.Int64, "seen": pl.Datetime("us", "UTC"), "ok": pl.Boolean}
)
_COLUMN = re.compile(r'"(\w+)"\."(\w+)"')


def expression(sql: str, type_: str = "VARCHAR", bounds: tuple[TimeBound, ...] = ()) -> Expression:
    return Expression(sql, type_, frozenset(_COLUMN.findall(sql)), "export_time" in sql, bounds)


def column(name: str, table: str = "profiles", type_: str = "VARCHAR") -> Expression:
    return expression(f'"{table}"."{name}"', type_)


def field(
    name: str, source: Expression | None = None, *, required: bool = False, identity: bool = False, array: bool = False
) -> OutputField:
    return OutputField(name, source or column(name), required, identity, array=array)


def audience(where: str = "true", **more: Any) -> Audience:
    """A segment of profiles that sends e-mail, city and spend."""
    made = Audience(
        segment="vip",
        of="profiles",
        key=("id",),
        key_names=("id",),
        membership=expression(where, "BOOLEAN"),
        parts=(),
        fields=(field("email", identity=True), field("city"), field("spend", column("spend", type_="BIGINT"))),
        contacts=None,
        dedupe_by=(),
        distinct_by=(),
        newest_by=None,
        consents=(),
        suppressions=(),
        keep_by=None,
        send=EVERYTHING,
        status=STATUS,
        tables={"profiles": PROFILES},
        way=Way.COMPARED,
        way_reason="",
        definition={},
    )
    return replace(made, **more)


def profiles(*rows: Mapping[str, Any]) -> pl.LazyFrame:
    blank = dict.fromkeys(SCHEMA)
    return pl.LazyFrame([{**blank, **row} for row in rows], schema=SCHEMA)


def tables(pinned: Mapping[str, pl.LazyFrame], head: Mapping[str, pl.LazyFrame] | None = None) -> Tables:
    return Tables(pinned=lambda name: pinned[name], head=(head or {}).get)
