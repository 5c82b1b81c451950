"""The net change of two versions computed from scratch in plain Python, and through the package."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from deltalake import DeltaTable

from cdp_exports.increments.net import CHANGE_TYPE, net_changes
from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports.sources.source import Difference

MEMORY = 256 << 20
Row = tuple[Any, ...]


def comparable(value: Any) -> Any:
    """A hashable value under which NaN equals NaN."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value
    if isinstance(value, Mapping):
        return ("map", tuple((comparable(key), comparable(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return ("list", tuple(map(comparable, value)))
    return value


def rows_of(frame: pl.DataFrame) -> Counter[Row]:
    return Counter(tuple(map(comparable, row)) for row in frame.rows())


def table_rows(path: Path, version: int, columns: Sequence[str]) -> Counter[Row]:
    """The rows at a version as deltalake's own engine reads them, in these columns; a column it lacks is null."""
    frame = pl.DataFrame(DeltaTable(path, version=version).scan())
    rows = frame.to_dicts()
    return Counter(tuple(comparable(row.get(name)) for name in columns) for row in rows)


def net_from_scratch(after: Counter[Row], upto: Counter[Row], key: Sequence[int], changes: str) -> Counter[Row]:
    """Design section 4, said as plainly as possible. `key`: positions of the key's columns."""
    inserts, deletes = upto - after, after - upto
    if not key:
        kinds = [("insert", inserts), ("delete", deletes)]
        tagged = Counter({(*row, kind): count for kind, rows in kinds for row, count in rows.items()})
    else:
        old = {tuple(row[index] for index in key): row for row in deletes}
        new = {tuple(row[index] for index in key): row for row in inserts}
        tagged = Counter((*row, "update" if named in old else "insert") for named, row in new.items())
        tagged.update((*row, "delete") for named, row in old.items() if named not in new)
    if changes == "all":
        return tagged
    return Counter({row[:-1]: count for row, count in tagged.items() if row[-1] == "insert"})


def delivered(difference: Difference, key: Sequence[str], changes: Literal["added", "all"]) -> Counter[Row]:
    """What the package would deliver; its counts are checked on the way."""
    with net_changes(difference.minus, difference.plus, key=key, changes=changes, subsets=difference.subsets, memory_limit=MEMORY) as net:
        frame = net.frame.collect()
        if changes == "all":
            kinds = Counter(frame[CHANGE_TYPE].to_list())
            assert (net.inserted, net.updated, net.deleted) == (kinds["insert"], kinds["update"], kinds["delete"])
        else:
            assert (net.inserted, net.updated, net.deleted) == (frame.height, 0, 0)
        assert frame.columns[: len(difference.plus.collect_schema())] == difference.plus.collect_schema().names()
        return rows_of(frame)


def check(path: Path, after: int, upto: int, key: Sequence[str], ways: Iterable[str]) -> None:
    """Every change source delivers exactly the net change computed from scratch, and it rebuilds the table."""
    columns = [column.name for column in DeltaTableSource(str(path)).columns(upto)]
    old, new = table_rows(path, after, columns), table_rows(path, upto, columns)
    positions = [columns.index(name) for name in key]
    for way in ways:
        difference = DeltaTableSource(str(path)).difference(after, upto, way)
        assert difference.change_source == way
        everything = delivered(difference, key, "all")
        assert everything == net_from_scratch(old, new, positions, "all"), way
        assert delivered(difference, key, "added") == net_from_scratch(old, new, positions, "added"), way
        assert rebuilt(old, everything, positions) == new, way


def rebuilt(base: Counter[Row], changes: Counter[Row], key: Sequence[int]) -> Counter[Row]:
    """The base with an increment applied, as a receiver would."""
    rows = Counter(base)
    named = {tuple(row[index] for index in key): row for row in base} if key else {}
    for row, count in changes.items():
        *values, kind = row
        if kind == "delete":
            rows[tuple(values)] -= count
        else:
            if kind == "update":
                rows[named[tuple(values[index] for index in key)]] -= 1
            rows[tuple(values)] += count
    assert min(rows.values(), default=0) >= 0
    return +rows
