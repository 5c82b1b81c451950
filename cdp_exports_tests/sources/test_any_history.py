"""Any sequence of commits: every change source tells the same net change, and base plus increments rebuild the table."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_exports_tests.sources.comparing import check

KEYS = st.integers(0, 5)
VALUES = st.one_of(st.none(), st.sampled_from([0.5, 1.5, float("nan"), -0.25]))
REGIONS = st.one_of(st.none(), st.sampled_from(["a b", "c/d%", "é"]))
ROWS = st.lists(st.tuples(KEYS, VALUES, REGIONS), min_size=1, max_size=4, unique_by=lambda row: row[0])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), ROWS),
        st.tuples(st.just("merge"), ROWS),
        st.tuples(st.just("overwrite"), ROWS),
        st.tuples(st.just("update"), KEYS),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.sampled_from(["optimize", "z_order", "add_column", "drop_column", "widen", "checkpoint", "nothing"]), st.none()),
    ),
    min_size=1,
    max_size=7,
)


NOT_WHEN_MAPPED = {"optimize", "z_order", "add_column", "drop_column", "widen"}  # deltalake 1.6 refuses to write these


@dataclass
class History:
    """Applies steps to a table of (id, value, region, number) and remembers what it looks like now."""

    path: Path
    keyed: bool
    mapped: bool
    fields: dict[str, pa.DataType] = field(
        default_factory=lambda: {"id": pa.int64(), "value": pa.float64(), "region": pa.string(), "number": pa.int32()}
    )
    added: int = 0

    def create(self, feed: bool, partitioned: bool) -> None:
        configuration = {"delta.enableChangeDataFeed": "true"} if feed else {}
        if self.mapped:
            configuration["delta.columnMapping.mode"] = "name"
        self.partition_by = ["region"] if partitioned else None
        first = self.table([(0, 0.5, "a b"), (1, None, None)])
        write_deltalake(self.path, first, partition_by=self.partition_by, configuration=configuration)

    def table(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        values = [{"id": row[0], "value": row[1], "region": row[2], "number": row[0]} for row in rows]
        return pa.Table.from_pylist(values, schema=pa.schema(self.fields))

    def apply(self, step: tuple[str, Any]) -> None:
        name, argument = step
        if self.mapped and name in NOT_WHEN_MAPPED:
            return
        table = DeltaTable(self.path)
        match name:
            case "insert" if not self.keyed:
                write_deltalake(table, self.table(argument), mode="append")
            case "insert" | "merge":
                merge = table.merge(self.table(argument), "t.id = s.id", source_alias="s", target_alias="t")
                merge = merge.when_not_matched_insert_all()
                if name == "merge":
                    merge = merge.when_matched_update_all()
                merge.execute()
            case "overwrite":
                write_deltalake(table, self.table(argument), mode="overwrite")
            case "update":
                table.update({"value": "coalesce(value, 0) + 1"}, predicate=f"id >= {argument}")
            case "delete":
                table.delete(f"id = {argument}")
            case "optimize":
                table.optimize.compact()
            case "z_order":
                table.optimize.z_order(["id"])
            case "add_column":
                self.added += 1
                self.fields[f"added_{self.added}"] = pa.string()
                write_deltalake(table, self.table([]), mode="append", schema_mode="merge")
            case "drop_column":
                self.fields = {name: kind for name, kind in self.fields.items() if not name.startswith("added")}
                self.rewrite(table)
            case "widen":
                self.fields["number"] = pa.int64()
                self.rewrite(table)
            case "checkpoint":
                table.create_checkpoint()
            case _:
                pass

    def rewrite(self, table: DeltaTable) -> None:
        rows = pa.table(table.scan()).select(list(self.fields))
        write_deltalake(table, rows.cast(pa.schema(self.fields)), mode="overwrite", schema_mode="overwrite", partition_by=self.partition_by)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    keyed=st.booleans(),
    feed=st.booleans(),
    partitioned=st.booleans(),
    mapped=st.booleans(),
    ends=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_every_change_source_tells_the_same_net_change(
    steps: list[tuple[str, Any]], keyed: bool, feed: bool, partitioned: bool, mapped: bool, ends: tuple[int, int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "t", keyed, mapped)
        history.create(feed, partitioned)
        for step in steps:
            history.apply(step)
        newest = DeltaTable(history.path).version()
        ways = ["delta-files", "delta-snapshots"] + (["delta-cdf"] if feed else [])
        key = ["id"] if keyed else []
        some = sorted(end % (newest + 1) for end in ends)
        for after, upto in {(0, newest), (some[0], some[1])}:
            check(history.path, after, upto, key, ways)
