"""What cannot be evaluated says so, in words that hold no value."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import polars as pl
import pytest

from cdp_exports.errors import HistoryLost, KeyNotUnique, NotCounted, SourceUnreadable, TerminalError
from cdp_exports.evaluation.evaluate import evaluate
from cdp_exports.evaluation.inputs import Question, Since
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import among
from cdp_exports.evaluation.sweeping import with_parts
from cdp_exports.segments.audience import Part, Way
from cdp_exports_tests.evaluation.audiences import NOON, SCHEMA, audience, column, expression, field, profiles, tables

PEOPLE = profiles({"id": 1, "email": "secret@x"}, {"id": 2, "email": "other@x"})


def evaluated(made: Any, people: pl.LazyFrame, folder: Path, *, disk: int = 10**9, memory: int = 10**8, **more: Any) -> pl.DataFrame:
    question = Question(made, NOON, **more)
    with evaluate([question], tables({"profiles": people}), memory_limit=memory, disk_limit=disk, folder=folder) as (answer,):
        return answer.rows.collect()


@pytest.mark.parametrize(
    ("people", "what"),
    [
        (PEOPLE.drop("city"), "The table of dataset profiles: has no column city any more, which the catalog declares."),
        (PEOPLE.cast({"city": pl.Int64}), "column city is BIGINT, the catalog declares VARCHAR."),
        (PEOPLE.cast({"spend": pl.Int32}), "column spend is INTEGER, the catalog declares BIGINT."),
    ],
)
def test_a_broken_promise_is_named(people: pl.LazyFrame, what: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable) as refused:
        evaluated(audience(), people, tmp_path)
    assert what in refused.value.message
    assert "`columns` in datasets/profiles.yaml" in refused.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_cannot_be_computed_is_not_told(tmp_path: Path) -> None:
    made = audience(fields=(field("number", expression('CAST("profiles"."email" AS BIGINT)', "BIGINT")),))
    with pytest.raises(SourceUnreadable, match="segment vip") as refused:
        evaluated(made, PEOPLE, tmp_path)
    chain: BaseException | None = refused.value
    while chain is not None:
        assert "secret" not in str(chain)
        chain = chain.__cause__ or chain.__context__


def test_what_a_source_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    lost = HistoryLost("gone", next_step="", reason="vacuumed")

    def fail(_: pl.DataFrame) -> pl.DataFrame:
        raise lost

    with pytest.raises((HistoryLost, pl.exceptions.ComputeError)) as raised:
        evaluated(audience(), PEOPLE.map_batches(fail, schema=SCHEMA), tmp_path)
    with pytest.raises(type(raised.value)) as alone:
        PEOPLE.map_batches(fail, schema=SCHEMA).collect()
    assert str(alone.value) == str(raised.value)


@pytest.mark.parametrize("keys", [(1, 1), (1, None)])
def test_members_have_one_key_each(keys: tuple[int | None, ...], tmp_path: Path) -> None:
    people = profiles(*({"id": key} for key in keys))
    with pytest.raises(KeyNotUnique, match="segment vip"):
        evaluated(audience(), people, tmp_path)
    assert evaluated(audience('"profiles"."spend" > 0'), people, tmp_path).height == 0  # those who are no members may


def test_numbers_that_do_not_add_up_are_refused(tmp_path: Path) -> None:
    with evaluate([Question(audience(), NOON)], tables({"profiles": PEOPLE}), memory_limit=10**8, disk_limit=10**8) as (answer,):
        funnel = answer.funnel
    none = PEOPLE.with_columns(_change_type=pl.lit("insert")).head(0)
    for wrong in (Since(NOON, funnel, held_rows=3, images=none), Since(NOON, replace_(funnel, rows=3), held_rows=2, images=none)):
        with pytest.raises(NotCounted):
            evaluated(audience(), PEOPLE, tmp_path, way=Way.CHANGES, since=wrong)


def replace_(funnel: Any, **more: Any) -> Any:
    return funnel.model_copy(update=more)


def test_a_full_disk_is_no_fault_of_the_data(tmp_path: Path) -> None:
    many = pl.select(pl.int_range(1_000_000).alias("id")).lazy()
    people = many.with_columns(
        email=pl.format("{}-{}", "id", pl.col("id").hash()),
        **{name: pl.lit(None, SCHEMA[name]) for name in SCHEMA if name not in ("id", "email")},
    )
    with pytest.raises(TerminalError, match="do not fit") as refused:
        evaluated(audience(), people, tmp_path, memory=40_000_000, disk=2_000_000)
    assert "Raise the memory limit" in refused.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_of_a_stream_only_whom_it_concerns_is_held_in_memory(tmp_path: Path) -> None:
    """There is neither memory nor disk for the others, however few rows DuckDB thinks a stream has."""
    number = pl.int_range(1_000_000)
    many = pl.select(id=number, email=pl.format("{}-{}", number, number.hash())).lazy()
    part = Part("few", ("id",), {"what": "VARCHAR"}, None, False, frozenset())
    with Session.open(20_000_000, 100_000, tmp_path) as session:
        session.run("CREATE TABLE few AS SELECT 7::BIGINT AS id, 'x' AS what UNION ALL SELECT 9, 'y'")
        with session.stream(many, {"id": None, "email": None}, "", "") as rows:
            asked = session.table("asked", f"SELECT email FROM {rows} WHERE {among(['id'], '(SELECT id FROM few)')}")
        with session.stream(many, {"id": None, "email": None}, "", "") as rows:
            source = with_parts(rows, "many", ["id"], [part])
            beside = session.table("beside", f"SELECT email FROM {source} WHERE what IS NOT NULL OR email IS NULL")
        assert session.number(f"SELECT count(*) FROM (FROM {asked} UNION FROM {beside})") == 2


def test_identities_of_another_kind_are_not_sent_but_written_anew(tmp_path: Path) -> None:
    with evaluate([Question(audience(), NOON, keep_state=True)], tables({"profiles": PEOPLE}), memory_limit=10**8, disk_limit=10**8) as (
        answer,
    ):
        assert answer.state is not None
        held = answer.state.collect().with_columns(sequence=pl.lit(1)).lazy()
        funnel = answer.funnel
    by_number = replace(audience(), fields=(field("spend", column("spend", type_="BIGINT"), identity=True),))
    none = PEOPLE.with_columns(_change_type=pl.lit("insert")).head(0)
    for way in (Way.COMPARED, Way.TOUCHED):
        question = Question(by_number, NOON, way, Since(NOON, funnel, 2, images=none, guard_rows={}, held=held), keep_state=True)
        with evaluate([question], tables({"profiles": PEOPLE.head(1)}), memory_limit=10**8, disk_limit=10**8) as (answer,):
            assert answer.state is not None
            assert answer.state_is_whole
            assert answer.state.collect().select("key_0", "identity_0").rows() == [(1, None)]
            assert answer.rows.filter(pl.col("segment_status") == "exited").collect().select("id", "spend").rows() == [(2, None)]


def test_telephone_numbers(tmp_path: Path) -> None:
    made = audience(fields=(field("phone", expression("""e164("profiles"."email", 'FR')""")),))
    people = profiles(*({"id": key, "email": number} for key, number in enumerate(["06 12 34 56 78", "+1 650-253-0000", "12", None])))
    taken = evaluated(made, people, tmp_path, with_status=False)
    assert sorted(taken.rows()) == [(0, "+33612345678"), (1, "+16502530000"), (2, None), (3, None)]


def test_a_signal_ends_it(tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(
        dedent(f"""
        import signal
        from pathlib import Path
        from cdp_exports.evaluation.session import Session
        with Session.open(10**8, 10**8, Path({str(tmp_path)!r})) as session:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
            print("begins", flush=True)
            session.run("SELECT count(*) FROM range(100000000000) AS a, range(1000) AS b WHERE (a.range * b.range) % 7 = 3")
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begins\n"
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in said
    assert list(tmp_path.iterdir()) == [script]


def test_the_outside_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("id\n1\n")
    made = audience(f'"profiles"."id" IN (SELECT id FROM read_csv(\'{file}\'))')
    with pytest.raises(TerminalError):
        evaluated(made, PEOPLE, tmp_path)
