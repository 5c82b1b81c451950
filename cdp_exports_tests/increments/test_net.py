"""The net change, for any two multisets of rows and for the cases that have a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.errors import KeyNotUnique, TerminalError
from cdp_exports.increments.buckets import in_buckets, measured
from cdp_exports.increments.net import CHANGE_TYPE, Wanted, net_changes
from cdp_exports_tests.servers.faults import _Mounts

MEMORY = 256 << 20
NAN = float("nan")


def net(
    minus: pl.DataFrame,
    plus: pl.DataFrame,
    *,
    key: Sequence[str] = (),
    changes: Wanted = "all",
    subsets: bool = True,
) -> Counter[tuple[Any, ...]]:
    with net_changes(minus.lazy(), plus.lazy(), key=key, changes=changes, subsets=subsets, memory_limit=MEMORY) as result:
        frame = result.frame.collect()
        total = result.inserted + result.updated + result.deleted
        updated = result.updated
    assert frame.height == total + (updated if changes == "images" else 0)
    assert dict(frame.collect_schema()) == {**plus.collect_schema(), **({CHANGE_TYPE: pl.String()} if changes != "added" else {})}
    return Counter(tuple("NaN" if value != value else value for value in row) for row in frame.rows())  # noqa: PLR0124 NaN alone


def frame(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"id": pl.Int64, "x": pl.Float64}, orient="row")


ROW = st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.sampled_from([None, 1.0, NAN]))


@settings(deadline=None, max_examples=40)
@given(minus=st.lists(ROW, max_size=6), plus=st.lists(ROW, max_size=6), changes=st.sampled_from(["added", "all", "images"]))
def test_without_a_key_it_is_the_multiset_difference(minus: list[tuple[Any, ...]], plus: list[tuple[Any, ...]], changes: Wanted) -> None:
    def counted(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
        return Counter((row[0], "NaN" if row[1] is NAN else row[1]) for row in rows)

    expected = {(*row, "insert"): count for row, count in (counted(plus) - counted(minus)).items()}
    if changes != "added":
        expected |= {(*row, "delete"): count for row, count in (counted(minus) - counted(plus)).items()}
    else:
        expected = {row[:-1]: count for row, count in expected.items()}
    assert net(frame(*minus), frame(*plus), changes=changes) == expected


@settings(deadline=None, max_examples=40)
@given(
    old=st.dictionaries(st.integers(0, 3), st.sampled_from([None, 1.0, NAN])),
    new=st.dictionaries(st.integers(0, 3), st.sampled_from([None, 1.0, NAN])),
    passing=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, 2.0])), max_size=3),
)
def test_with_a_key_it_is_one_row_a_key(old: dict[int, Any], new: dict[int, Any], passing: list[tuple[Any, ...]]) -> None:
    """`passing` are values in between, as a change feed hands them over on both sides."""

    def shown(value: Any) -> Any:
        return "NaN" if value is NAN else value

    expected: dict[tuple[Any, ...], int] = {}
    before: dict[tuple[Any, ...], int] = {}
    for key in old.keys() | new.keys():
        if key not in old:
            expected[key, shown(new[key]), "insert"] = 1
        elif key not in new:
            expected[key, shown(old[key]), "delete"] = 1
        elif shown(old[key]) != shown(new[key]):
            expected[key, shown(new[key]), "update"] = 1
            before[key, shown(old[key]), "update_preimage"] = 1
    minus, plus = frame(*old.items(), *passing), frame(*new.items(), *passing)
    assert net(minus, plus, key=["id"], subsets=False) == expected
    added = {row[:-1]: 1 for row in expected if row[-1] == "insert"}
    assert net(minus, plus, key=["id"], subsets=False, changes="added") == added
    images = {(*row[:-1], row[-1].replace("update", "update_postimage")): 1 for row in expected} | before
    assert net(minus, plus, key=["id"], subsets=False, changes="images") == images
    if not passing:
        assert net(minus, plus, key=["id"]) == expected
        assert net(minus, plus, key=["id"], changes="images") == images


@pytest.mark.parametrize(
    ("minus", "plus", "subsets"),
    [
        (frame(), frame((None, 1.0)), True),
        (frame(), frame((None, 1.0)), False),
        (frame(), frame((1, 1.0), (1, 1.0)), False),
        (frame(), frame((1, 1.0), (1, 2.0)), True),
        (frame((9, 9.0)), frame((1, 1.0), (1, 2.0)), False),
        (frame((9, 9.0)), frame((1, 1.0), (1, 1.0)), False),
        (frame((1, 1.0), (1, 2.0)), frame((1, 3.0)), False),
        (frame((1, 1.0), (1, 1.0)), frame((1, 1.0), (1, 1.0)), True),
        (frame((None, 1.0)), frame((None, 1.0)), True),
        (frame((None, 1.0)), frame((1, 1.0)), False),
    ],
)
def test_a_null_or_repeated_key_is_refused(minus: pl.DataFrame, plus: pl.DataFrame, subsets: bool) -> None:
    for changes in ("added", "all", "images"):
        with pytest.raises(KeyNotUnique, match=r"The key \(id\)"):
            net(minus, plus, key=["id"], subsets=subsets, changes=changes)


@settings(deadline=None, max_examples=20)
@given(
    old=st.dictionaries(st.integers(0, 3), st.tuples(st.integers(0, 1), st.integers(0, 2))),
    new=st.dictionaries(st.integers(0, 3), st.tuples(st.integers(0, 1), st.integers(0, 2))),
)
def test_of_some_columns_it_is_what_changed_in_them(old: dict[int, Any], new: dict[int, Any]) -> None:
    """A source hands over every row that changed; only `x` is looked at."""
    rows = [frame(*((key, side[key][0]) for key in side if old.get(key) != new.get(key))) for side in (old, new)]
    found = net(*rows, key=["id"], changes="images")
    both = old.keys() & new.keys()
    changed = {key for key in both if old[key][0] != new[key][0]}
    assert found == {
        **{(key, new[key][0], "insert"): 1 for key in new.keys() - both},
        **{(key, old[key][0], "delete"): 1 for key in old.keys() - both},
        **{(key, old[key][0], "update_preimage"): 1 for key in changed},
        **{(key, new[key][0], "update_postimage"): 1 for key in changed},
    }


def test_both_sides_of_an_update_also_where_it_is_compared_in_buckets() -> None:
    rows = pl.select(id=pl.int_range(300_000)).with_columns(text=pl.format("some text of the row {}", pl.col("id").hash(1)))
    plus = rows.with_columns(text=pl.when(pl.col("id") % 1000 == 0).then(pl.lit("changed")).otherwise("text"))
    with net_changes(rows.lazy(), plus.lazy(), key=["id"], changes="images", subsets=True, memory_limit=16 << 20) as result:
        assert (result.inserted, result.updated, result.deleted) == (0, 300, 0)
        found = result.frame.collect()
    for side, kind in ((rows, "update_preimage"), (plus, "update_postimage")):
        expected = side.filter(pl.col("id") % 1000 == 0)
        assert found.filter(pl.col(CHANGE_TYPE) == kind).drop(CHANGE_TYPE).sort("id").equals(expected)


def test_what_passes_through_a_feed_is_judged_by_what_is_left() -> None:
    assert net(frame((1, 1.0), (1, 1.0), (2, 0.0)), frame((1, 1.0), (1, 1.0)), key=["id"], subsets=False) == {(2, 0.0, "delete"): 1}


def test_a_key_of_several_columns_of_any_type() -> None:
    schema = {"a": pl.String, "n": pl.Float64, "s": pl.Struct({"k": pl.Int64}), "v": pl.Int64}
    minus = pl.DataFrame([("x", NAN, {"k": 1}, 1), ("x", 1.0, {"k": 1}, 1)], schema=schema, orient="row")
    plus = pl.DataFrame([("x", NAN, {"k": 1}, 2), ("x", 1.0, {"k": 2}, 1)], schema=schema, orient="row")
    with net_changes(minus.lazy(), plus.lazy(), key=["a", "n", "s"], changes="all", subsets=True, memory_limit=MEMORY) as result:
        assert (result.inserted, result.updated, result.deleted) == (1, 1, 1)
        assert sorted(result.frame.collect()[CHANGE_TYPE]) == ["delete", "insert", "update"]


def test_names_of_columns_may_differ_in_case_only_or_look_like_sql() -> None:
    names = ["id", "ID", 'n", 1 --', "n", "kind", "c0", "sign"]
    minus = pl.DataFrame({name: [index, 9] for index, name in enumerate(names)})
    plus = pl.DataFrame({name: [index, 8] for index, name in enumerate(names)})
    for key in ((), ("ID",)):
        assert net(minus, plus, key=key) == {(*[8] * 7, "insert"): 1, (*[9] * 7, "delete"): 1}


def test_the_frame_is_lazy_and_can_be_consumed_in_part_and_again() -> None:
    minus, plus = frame(*((number, 0.0) for number in range(100))), frame(*((number, 1.0) for number in range(200)))
    with net_changes(minus.lazy(), plus.lazy(), key=["id"], changes="all", subsets=True, memory_limit=MEMORY) as result:
        for _ in range(2):
            assert result.frame.filter(pl.col(CHANGE_TYPE) == "update").select("id").collect().height == 100
        assert result.frame.head(3).collect().height == 3
        assert result.frame.select(pl.len()).collect().item() == 200


def test_more_rows_than_fit_spill_to_the_folder_and_leave_nothing_behind(tmp_path: Path) -> None:
    rows = pl.select(id=pl.int_range(400_000)).with_columns(text=pl.format("some text of the row {}", pl.col("id").hash(1)))
    plus = rows.with_columns(text=pl.when(pl.col("id") % 100 == 0).then(pl.lit("changed")).otherwise("text"))
    with net_changes(rows.lazy(), plus.lazy(), key=["id"], changes="all", subsets=True, memory_limit=32 << 20, folder=tmp_path) as result:
        assert (result.inserted, result.updated, result.deleted) == (0, 4_000, 0)
        assert list(tmp_path.glob("*/*.arrow"))
        assert (
            result.frame.collect().sort("id").equals(plus.filter(pl.col("id") % 100 == 0).with_columns(pl.lit("update").alias(CHANGE_TYPE)))
        )
    assert not list(tmp_path.iterdir())


def test_rows_that_were_only_added_go_through_without_a_comparison() -> None:
    plus = frame((1, NAN), (2, None)).lazy()
    for key in ((), ("id",)):
        with net_changes(frame().lazy(), plus, key=key, changes="added", subsets=False, memory_limit=MEMORY) as result:
            assert result.inserted == 2
            assert result.frame.collect().equals(plus.collect())


def test_the_rows_are_compared_in_buckets_without_a_difference() -> None:
    rows = pl.select(id=pl.int_range(300_000)).with_columns(text=pl.format("some text of the row {}", pl.col("id").hash(1)), x=NAN)
    minus = pl.concat([rows, rows.tail(10)])
    plus = pl.concat([rows.tail(299_900).with_columns(text=pl.when(pl.col("id") < 150).then(None).otherwise("text")), rows.tail(20)])
    assert len(list(in_buckets([measured(minus.lazy(), 16 << 20), measured(plus.lazy(), 16 << 20)], ["id"], 16 << 20))) > 2
    with net_changes(minus.lazy(), plus.lazy(), key=[], changes="all", subsets=True, memory_limit=16 << 20) as result:
        assert (result.inserted, result.updated, result.deleted) == (50 + 10, 0, 150)
    for one, other in ((minus, rows), (rows, minus)):
        keyed = net_changes(one.lazy(), other.lazy(), key=["id"], changes="all", subsets=True, memory_limit=16 << 20)
        with pytest.raises(KeyNotUnique), keyed:
            pytest.fail("a key is repeated")
    appended = net_changes(rows.head(0).lazy(), minus.lazy(), key=["id"], changes="added", subsets=True, memory_limit=16 << 20)
    with pytest.raises(KeyNotUnique), appended:
        pytest.fail("a key is repeated")


@pytest.mark.parametrize("memory_limit", [MEMORY, 1 << 10], ids=["one bucket", "many"])
def test_nested_values_are_equal_by_value(memory_limit: int) -> None:
    schema: dict[str, Any] = {
        "id": pl.Int64,
        "map": pl.Map(pl.String, pl.Float64),
        "list": pl.List(pl.Struct({"x": pl.Float64})),
        "raw": pl.Binary,
        "at": pl.Datetime("us", "UTC"),
    }
    at = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        (1, {"a": NAN}, [{"x": -0.0}], b"", at),
        (2, {"a": None}, [{"x": None}], b"a", at),
        (3, {}, [None], None, None),
        (4, None, None, b"a", at),
        (5, {"a": 0.0}, [], b"a", at),
    ] * 2
    newer = [(1, {"a": NAN}, [{"x": 0.0}], b"", at), (3, {}, [], None, None), *rows[1:]]
    minus, plus = (
        pl.DataFrame([pl.Series(name, values, dtype=schema[name]) for name, values in zip(schema, zip(*side, strict=True), strict=True)])
        for side in (rows, newer)
    )
    with net_changes(minus.lazy(), plus.lazy(), key=[], changes="all", subsets=True, memory_limit=memory_limit) as result:
        assert (result.inserted, result.updated, result.deleted) == (1, 0, 0)
        assert result.frame.drop("at").collect().rows() == [(3, {}, [], None, "insert")]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([NAN, -0.0]),
        pl.Series([[NAN], [None]]),
        pl.Series([Decimal("1.10"), Decimal("2.20")], dtype=pl.Decimal(38, 2)),
        pl.Series([b"a", b"b"]),
        pl.Series(["a", "b"]),
        pl.Series([date(2020, 1, 1), date(2020, 1, 2)]),
        pl.Series([1, 2], dtype=pl.Int8),
        pl.Series([True, False]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_equal_rows_are_in_one_bucket_whatever_their_type(values: pl.Series) -> None:
    one = pl.DataFrame([values.alias("v"), pl.Series("x", [NAN, None])]).lazy()
    other = pl.concat([one.tail(1), one.head(1)])
    parts = list(in_buckets([measured(one, 4), measured(other, 4)], ["v", "x"], 4))
    assert len(parts) > 2
    for left, right in parts:
        assert left.collect().sort("v").equals(right.collect().sort("v"))


def test_a_full_disk_under_the_temporary_folder(tmp_path: Path, mounts: _Mounts) -> None:
    rows = pl.select(id=pl.int_range(400_000)).with_columns(text=pl.format("some text of the row {}", pl.col("id").hash(1)))
    other = rows.with_columns(text=pl.lit("x") + pl.col("text"))
    small = mounts.full(tmp_path / "small", 4)
    full = net_changes(rows.lazy(), other.lazy(), key=[], changes="all", subsets=True, memory_limit=24 << 20, folder=small)
    with pytest.raises(TerminalError, match="do not fit"), full as result:
        result.frame.collect()


def test_the_temporary_folder_is_bounded(tmp_path: Path) -> None:
    rows = pl.select(id=pl.int_range(400_000)).with_columns(text=pl.format("some text of the row {}", pl.col("id").hash(1)))
    other = rows.with_columns(text=pl.lit("x") + pl.col("text"))
    bounded = net_changes(
        rows.lazy(), other.lazy(), key=[], changes="all", subsets=True, memory_limit=24 << 20, folder=tmp_path, disk_limit=1 << 20
    )
    with pytest.raises(TerminalError, match="do not fit"), bounded as result:
        result.frame.collect()
    assert not list(tmp_path.iterdir())
