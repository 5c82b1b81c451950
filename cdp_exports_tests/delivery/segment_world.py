"""A small world of people, orders and those who do not want to hear from us; a receiver of a segment, and the truth by DuckDB.

The truth is SQL written by hand here, never compiled: what a person would type to check a delivery.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.records import Delivery
from cdp_exports_tests.delivery.world import World

PEOPLE = {
    "id": pl.Int64,
    "email": pl.String,
    "country": pl.String,
    "value": pl.Int64,
    "seen": pl.Datetime("us", "UTC"),
    "opt_in": pl.Boolean,
}
ORDERS = {"order_id": pl.Int64, "person": pl.Int64, "open": pl.Boolean}
BLOCKED = {"who": pl.Int64}
SCHEMAS = {"people": PEOPLE, "orders": ORDERS, "blocked": BLOCKED}

_TYPES = {pl.Int64: "bigint", pl.String: "varchar", pl.Boolean: "boolean"}

SEGMENT, EXPORT = "chosen", "chosen_out"


def declared(schema: Mapping[str, Any]) -> dict[str, str]:
    """Columns as the catalog declares them."""
    return {name: _TYPES.get(dtype, "timestamptz") for name, dtype in schema.items()}


@dataclass(frozen=True)
class Chosen:
    """Who is chosen, declared and by hand. `true` is a predicate over `p` (people) in which `$at` stands for the export time."""

    segment: Mapping[str, Any]
    true: str
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])  # segments it is made of


PREDICATE = Chosen({"of": "people", "where": "value > 3 AND country IN ('FR', 'DE')"}, "p.value > 3 AND p.country IN ('FR', 'DE')")
RECENT = Chosen(
    {"of": "people", "where": "seen >= export_time - INTERVAL 3 MINUTES AND value >= 0"},
    "p.seen >= $at - INTERVAL 3 MINUTES AND p.value >= 0",
)
QUERY = Chosen(
    {"of": "people", "sql": "SELECT person AS id FROM orders WHERE open GROUP BY person HAVING count(*) > 1"},
    "p.id IN (SELECT person FROM orders WHERE open GROUP BY person HAVING count(*) > 1)",
)
COMBINED = Chosen(
    {"any_of": ["rich", "french"], "none_of": ["buyers"]},
    "(p.value > 5 OR p.country = 'FR') AND p.id NOT IN (SELECT person FROM orders WHERE open AND person IS NOT NULL)",
    {
        "rich": {"of": "people", "where": "value > 5"},
        "french": {"of": "people", "where": "country = 'FR'"},
        "buyers": {"of": "people", "sql": "SELECT person AS id FROM orders WHERE open"},
    },
)
CHOICES = (PREDICATE, RECENT, QUERY, COMBINED)


@dataclass
class SegmentWorld(World):
    """`export` and `out` (the connection) add to theirs."""

    chosen: Chosen = PREDICATE

    @classmethod
    def begin(
        cls,
        folder: Path,
        chosen: Chosen = PREDICATE,
        *,
        export: Mapping[str, Any] | None = None,
        connection: Mapping[str, Any] | None = None,
        feed: bool = True,
    ) -> SegmentWorld:
        world = cls(folder, chosen=chosen)
        if connection is not None:
            world.connection = {**world.connection, **connection}
        world.declare("environment.yaml", {"name": "test"})
        keys, roles = {"people": ["id"], "orders": ["order_id"], "blocked": ["who"]}, {"people": "profile"}
        for name, schema in SCHEMAS.items():
            world.declare(
                f"datasets/{name}.yaml",
                {
                    "source": {"format": "delta", "uri": f"data/{name}"},
                    "key": keys[name],
                    "role": roles.get(name, "other"),
                    "columns": declared(schema),
                    **({"consent": {"marketing": "opt_in"}} if name == "people" else {}),
                },
            )
            world.append(name, [], feed=feed)
        for name, segment in {**chosen.others, SEGMENT: chosen.segment}.items():
            world.declare(f"segments/{name}.yaml", segment)
        world.declare("connections/out.yaml", world.connection)
        fields = [
            {"from": "email", "to": "EMAIL", "transforms": ["trim", "lower"], "identity": True},
            {"from": "country"},
            {"from": "value * 2", "to": "double"},
        ]
        world.declare(
            f"exports/{EXPORT}.yaml",
            {
                "kind": "segment",
                "connection": "out",
                "segments": [SEGMENT],
                "fields": fields,
                "format": {"type": "parquet"},
                **(export or {}),
            },
        )
        return world

    # the tables
    def append(self, name: str, rows: list[dict[str, Any]], *, feed: bool = True) -> None:
        frame = pl.DataFrame(rows, schema=SCHEMAS[name], orient="row")
        configuration = {"delta.enableChangeDataFeed": "true"} if feed else {}
        deltalake.write_deltalake(str(self.folder / "data" / name), frame.to_arrow(), mode="append", configuration=configuration)

    def put(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Insert or update by the key, the table's first column."""
        schema = SCHEMAS[name]
        key = next(iter(schema))
        frame = pl.DataFrame(rows, schema=schema).unique(key, keep="last")
        merge = self.delta(name).merge(frame.to_arrow(), f"s.{key} = t.{key}", source_alias="s", target_alias="t")
        values = {column: f"s.{column}" for column in schema}
        merge.when_matched_update(updates=values).when_not_matched_insert(updates=values).execute()

    def remove(self, name: str, predicate: str) -> None:
        self.delta(name).delete(predicate)

    def delta(self, name: str, version: int | None = None) -> deltalake.DeltaTable:
        return deltalake.DeltaTable(str(self.folder / "data" / name), version=version)

    # the truth
    def truth(
        self,
        at: datetime,
        versions: Mapping[str, int] | None = None,
        *,
        sends: str = "true",
        one_of: str | None = None,
        true: str | None = None,
        email: str = "lower(trim(p.email))",
    ) -> dict[int, tuple[Any, ...]]:
        """Who should be with the receiver, with which values. `sends`: a predicate over `p` and `head` (people now); `one_of`: the
        group of which one is sent; `true` and `email`: who is chosen and how the address is written, where that was changed."""
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for name in SCHEMAS:
            connection.register(name, self.delta(name, (versions or {}).get(name)).to_pyarrow_table())
        connection.register("head", self.delta("people").to_pyarrow_table())
        connection.register("blocked_now", self.delta("blocked").to_pyarrow_table())
        moment = f"TIMESTAMPTZ '{at:%Y-%m-%d %H:%M:%S}+00'"
        order = "p.seen DESC NULLS LAST, p.id"
        only = f"QUALIFY ({one_of}) IS NULL OR row_number() OVER (PARTITION BY {one_of} ORDER BY {order}) = 1" if one_of else ""
        query = f"""
            SELECT p.id, {email}, p.country, p.value * 2
            FROM people p WHERE ({(true or self.chosen.true).replace("$at", moment)}) AND ({sends}) {only}
        """
        return {row[0]: row[1:] for row in connection.execute(query).fetchall()}

    def truth_of(self, delivery: Delivery, **rules: Any) -> dict[int, tuple[Any, ...]]:
        versions = {pin.dataset: pin.upto_version for pin in delivery.pin.sources}
        return self.truth(delivery.export_time.at, versions, **rules)

    # the receiver
    def audience(self) -> dict[int, tuple[Any, ...]]:
        """What a receiver holds who applies all deliveries in order, and checks each on the way."""
        held: dict[int, tuple[Any, ...]] = {}
        for document in self.manifests():
            if "covered_by" in document:
                continue
            rows = [row for file in document["files"] for row in self._delivered(f"{document['folder']}/{file['path']}")]
            before = len(held)
            entered = updated = exited = 0
            if document["mode"] == "full":
                held = {}
            for row in rows:
                key, values, status, reason = row["id"], tuple(row[name] for name in ("EMAIL", "country", "double")), "entered", None
                status, reason = row.get("segment_status", "entered"), row.get("exit_reason")
                if status == "exited":
                    assert reason is not None
                    assert values == (held.pop(key)[0], None, None), "the identity as it was sent, nothing else"
                    exited += 1
                elif status == "updated":
                    assert held[key] != values
                    held[key], updated = values, updated + 1
                else:
                    assert key not in held and reason is None
                    held[key], entered = values, entered + 1
            movement, funnel = document["movement"], document["funnel"]
            assert (movement["entered"], movement["updated"], movement["exited"]) == (entered, updated, exited)
            assert movement["held"] == len(held) == funnel["deliverable"]
            assert movement["before"] == (0 if document["mode"] == "full" else before)
            assert funnel["rows"] == funnel["deliverable"] + sum(funnel["left_out"].values())
            assert sum(movement["exits"].values()) == exited
            assert document["rows"]["total"] == len(rows)
        return held

    def _delivered(self, path: str) -> list[dict[str, Any]]:
        return pl.read_parquet(io.BytesIO(b"".join(self.destination.stream(path) or ()))).to_dicts()

    def at(self, key: str) -> datetime:
        return ExportTime.parse(key).at
