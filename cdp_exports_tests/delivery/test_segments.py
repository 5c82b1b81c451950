"""Segment deliveries, case by case: what is sent, what is held back, and how it is said."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pytest
import yaml

from cdp_exports.delivery import keeping
from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.deliver import deliver
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.scratch import PREFIX, scratch
from cdp_exports.delivery.verifying import verify
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.delivery.segment_world import EXPORT, PREDICATE, QUERY, SEGMENT, Chosen, SegmentWorld
from cdp_exports_tests.delivery.world import TIMES, hurry

NOON = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry(60.0)


def people(*ids: int, **values: Any) -> list[dict[str, Any]]:
    return [{"id": n, "email": f"p{n}@x", "country": "FR", "value": 5, "seen": NOON, "opt_in": True, **values} for n in ids]


def changed(world: SegmentWorld, name: str, **values: Any) -> None:
    path = world.folder / "catalog" / name
    world.declare(name, {**yaml.safe_load(path.read_text()), **values})


def committed(outcome: Outcome) -> dict[str, Any]:
    assert outcome.status == "committed", outcome
    assert outcome.delivery is not None and outcome.delivery.counts is not None and outcome.delivery.counts.movement is not None
    movement, pin = outcome.delivery.counts.movement, outcome.delivery.pin
    return {**movement.model_dump(), "mode": pin.mode, "way": pin.way, "reason": pin.reason, "sequence": outcome.delivery.sequence}


def rows_of(world: SegmentWorld, number: int = -1) -> list[dict[str, Any]]:
    """The rows of one delivery, as delivered."""
    document = [found for found in world.manifests() if "covered_by" not in found][number]
    return [row for file in document["files"] for row in world._delivered(f"{document['folder']}/{file['path']}")]


# -- limits
def test_a_segment_over_its_limit_holds_up_the_whole_export_and_nothing_is_lost(tmp_path: Path) -> None:
    small = {"of": "people", "where": "id = 1"}
    world = SegmentWorld.begin(tmp_path, Chosen(PREDICATE.segment, PREDICATE.true, {"small": small}))
    changed(world, f"exports/{EXPORT}.yaml", segments=[SEGMENT, "small"], limits={"audience": {"max": 3}})
    world.put("people", people(1, 2, 3))
    first = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[0]), run_id="a"))
    assert [outcome.status for outcome in first] == ["committed", "committed"]
    assert "3 members the receiver would hold, of at most 3 (100%)" in first[0].warnings[0]
    world.put("people", people(4))
    second = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[1]), run_id="b"))
    assert [(outcome.status, outcome.skip and outcome.skip.reason) for outcome in second] == [("skipped", "over_limit")] * 2
    assert "chosen has 4 members the receiver would hold, of at most 3 (133%)" in str(second[1].error)
    assert [state.part for state in second[0].limits] == [4 / 3]
    assert len(world.manifests()) == 2 and world.member.open_deliveries() == []
    world.remove("people", "id = 1")
    third = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[2]), run_id="c"))
    assert [committed(outcome)["exited"] for outcome in third] == [1, 1]


def test_over_fail_fails_and_over_truncate_sends_the_best(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"limits": {"audience": {"max": 2}, "over": "fail"}})
    world.put("people", [*people(1, value=4), *people(2, value=6), *people(3, value=9)])
    outcome = world.deliver(TIMES[0])
    assert outcome.status == "failed" and outcome.error is not None and outcome.error.code == "over_limit"
    changed(world, f"exports/{EXPORT}.yaml", limits={"audience": {"max": 2}, "over": "truncate", "keep_by": "value DESC"})
    outcome = world.deliver(TIMES[1])
    assert committed(outcome)["held"] == 2
    assert set(world.audience()) == {2, 3}
    world.put("people", people(4, value=8))
    assert committed(world.deliver(TIMES[2]))["exits"] == {"over_limit": 1}
    assert set(world.audience()) == {3, 4}


def test_a_segment_below_the_minimum_is_left_out_alone(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, Chosen(PREDICATE.segment, PREDICATE.true, {"small": {"of": "people", "where": "id = 1"}}))
    changed(world, f"exports/{EXPORT}.yaml", segments=["small", SEGMENT], limits={"audience": {"min": 2}})
    world.put("people", people(1, 2))
    outcomes = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[0]), run_id="a"))
    assert [(outcome.member, outcome.status) for outcome in outcomes] == [("small", "skipped"), (SEGMENT, "committed")]
    assert outcomes[0].skip is not None and outcomes[0].skip.reason == "below_minimum"
    assert len(world.manifests()) == 1


def test_the_rows_of_a_delivery_have_limits_of_their_own(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"limits": {"delivery": {"max": 2}}})
    world.put("people", people(1, 2))
    assert committed(world.deliver(TIMES[0]))["held"] == 2
    world.put("people", people(3, 4))
    assert committed(world.deliver(TIMES[1]))["held"] == 4
    world.put("people", people(5, 6, 7))
    outcome = world.deliver(TIMES[2])
    assert outcome.skip is not None and outcome.skip.reason == "over_limit" and "3 rows of this delivery" in outcome.skip.message


# -- what changed
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("segments/chosen.yaml", {"where": "value > 6"}),
        (f"exports/{EXPORT}.yaml", {"dedupe_by": ["country"]}),
    ],
)
def test_a_changed_definition_begins_a_new_chain_or_sends_the_difference_or_is_refused(
    tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", [*people(1, value=5), *people(2, value=9)])
    committed(world.deliver(TIMES[0]))
    changed(world, f"exports/{EXPORT}.yaml", on_change="fail")
    changed(world, name, **change)
    refused = world.deliver(TIMES[1])
    assert refused.error is not None and refused.error.code == "chain_changed"
    changed(world, f"exports/{EXPORT}.yaml", on_change="difference")
    outcome = committed(world.deliver(TIMES[2]))
    assert (outcome["mode"], outcome["exited"], outcome["entered"], outcome["sequence"]) == ("incremental", 1, 0, 2)
    assert "the difference is sent" in outcome["reason"]
    assert len(world.audience()) == 1
    changed(world, f"exports/{EXPORT}.yaml", on_change="full")
    changed(world, "segments/chosen.yaml", where="value > 3 AND true")
    outcome = committed(world.deliver(TIMES[3]))
    assert (outcome["mode"], outcome["sequence"]) == ("full", 1)
    assert outcome["reason"].startswith("changed: ")


def test_how_a_predicate_is_written_is_no_change(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1))
    committed(world.deliver(TIMES[0]))
    changed(world, "segments/chosen.yaml", where="people.value>3\n  and COUNTRY in ('FR','DE')")
    assert committed(world.deliver(TIMES[1]))["sequence"] == 2


def test_a_changed_mapping_with_difference_updates_everybody_whose_values_differ(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"on_change": "difference"})
    world.put("people", [*people(1), *people(2, email="p2")])
    committed(world.deliver(TIMES[0]))
    fields = yaml.safe_load((tmp_path / "catalog" / "exports" / f"{EXPORT}.yaml").read_text())["fields"]
    fields[0]["transforms"] = ["trim", "upper"]
    fields[0]["from"] = "split_part(email, '@', 1)"
    changed(world, f"exports/{EXPORT}.yaml", fields=fields)
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["way"], outcome["updated"], outcome["entered"], outcome["exited"]) == ("compared", 2, 0, 0)
    assert [row["EMAIL"] for row in sorted(rows_of(world), key=lambda row: row["id"])] == ["P1", "P2"]


def test_a_renamed_segment_and_dataset_go_on(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1))
    committed(world.deliver(TIMES[0]))
    segment = yaml.safe_load((tmp_path / "catalog/segments/chosen.yaml").read_text())
    (tmp_path / "catalog/segments/chosen.yaml").unlink()
    world.declare("segments/picked.yaml", {**segment, "formerly": "chosen"})
    changed(world, f"exports/{EXPORT}.yaml", segments=["picked"])
    world.put("people", people(2))
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["sequence"], outcome["entered"]) == (2, 1)


# -- consent and suppression
def test_withdrawn_consent_is_an_exit_with_its_reason_and_nothing_else_of_them(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, connection={"purpose": "marketing"})
    world.put("people", [*people(1, 2), *people(3, opt_in=None)])
    assert committed(world.deliver(TIMES[0]))["held"] == 2
    world.put("people", people(1, opt_in=False))
    outcome = world.deliver(TIMES[1])
    assert committed(outcome)["exits"] == {"no_consent": 1}
    assert rows_of(world) == [
        {"id": 1, "EMAIL": "p1@x", "country": None, "double": None, "segment_status": "exited", "exit_reason": "no_consent"}
    ]
    assert outcome.delivery is not None and outcome.delivery.counts is not None and outcome.delivery.counts.funnel is not None
    assert outcome.delivery.counts.funnel.left_out == {"no_consent": 2}


def test_a_list_of_hashed_addresses_suppresses_also_when_only_the_list_changes(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.declare(
        "datasets/hashes.yaml",
        {"source": {"format": "delta", "uri": "data/hashes"}, "key": ["hash"], "columns": {"hash": "varchar"}},
    )
    changed(world, "connections/out.yaml", suppress=[{"dataset": "hashes", "column": "hash", "matches": "sha256(lower(trim(email)))"}])
    hashes = pl.DataFrame({"hash": ["no one"]})
    deltalake.write_deltalake(str(tmp_path / "data/hashes"), hashes.to_arrow(), configuration={"delta.enableChangeDataFeed": "true"})
    world.put("people", people(1, 2))
    assert committed(world.deliver(TIMES[0]))["held"] == 2
    known = pl.DataFrame({"hash": [hashlib.sha256(b"p2@x").hexdigest()]})
    deltalake.write_deltalake(str(tmp_path / "data/hashes"), known.to_arrow(), mode="append")
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["way"], outcome["exits"]) == ("touched", {"suppressed": 1})
    assert set(world.audience()) == {1}


def test_consent_withdrawn_after_the_pin_holds_in_the_next_attempt(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, connection={"purpose": "marketing"})
    world.put("people", people(1, 2))
    failing = _failing_once(world)
    assert failing.deliver(TIMES[0]).status == "failed"
    world.put("people", people(2, opt_in=False))
    outcome = world.deliver(TIMES[0])
    assert committed(outcome)["held"] == 1 and set(world.audience()) == {1}
    assert outcome.delivery is not None and outcome.delivery.pin.sources[0].upto_version == 1, "the rows are those of the pin"
    world.put("people", people(2))
    assert committed(world.deliver(TIMES[1]))["entered"] == 1


def test_a_purpose_that_is_declared_later_makes_those_leave_who_never_granted_it(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", [*people(1), *people(2, opt_in=False)])
    assert committed(world.deliver(TIMES[0]))["held"] == 2
    changed(world, "connections/out.yaml", purpose="marketing")
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["sequence"], outcome["way"], outcome["exits"]) == (2, "compared", {"no_consent": 1})


def test_a_replay_does_not_send_those_who_withdrew(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, connection={"purpose": "marketing"})
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.put("people", people(2, opt_in=False))
    replay(world.member, ExportTime.parse(TIMES[0]), run_id="again", replace=True)
    assert [row["id"] for row in rows_of(world)] == [1]
    assert [verdict.differences for verdict in verify(world.member)] == [()]
    assert committed(world.deliver(TIMES[1]))["exits"] == {"no_consent": 1}, "they were sent once, so they are told to leave"


# -- what is no longer there
def test_where_the_history_is_gone_everybody_is_compared(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.put("people", people(2, 3, value=9))
    table = world.delta("people")
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)
    for feed in (tmp_path / "data/people/_change_data").rglob("*.parquet"):
        feed.unlink()
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["way"], outcome["entered"], outcome["updated"]) == ("compared", 1, 1)
    assert world.audience() == world.truth(NOON)


def test_lost_state_is_said_and_a_full_begins_anew(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, QUERY)
    world.put("people", people(1, 2))
    world.append("orders", [{"order_id": n, "person": 1, "open": True} for n in range(2)])
    committed(world.deliver(TIMES[0]))
    shutil.rmtree(tmp_path / "state")
    world.put("people", people(1, value=7))
    lost = world.deliver(TIMES[1])
    assert lost.error is not None and lost.error.code == "history_lost" and "--full" in lost.error.next_step
    changed(world, f"exports/{EXPORT}.yaml", on_history_lost="full")
    outcome = committed(world.deliver(TIMES[2]))
    assert (outcome["mode"], outcome["sequence"]) == ("full", 1)
    assert outcome["reason"].startswith("history_lost (state_lost)")


def test_a_recreated_table_is_history_lost(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1))
    committed(world.deliver(TIMES[0]))
    shutil.rmtree(tmp_path / "data/people")
    world.append("people", people(2))
    lost = world.deliver(TIMES[1])
    assert lost.error is not None and lost.error.code == "history_lost"


def test_a_ledger_rebuilt_from_manifests_goes_on(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.ledger.close()
    (tmp_path / "ledger.db").unlink()
    world = SegmentWorld(tmp_path)
    world.__dict__["ledger"] = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    assert adopt(world.member) == 1
    world.put("people", people(2, country="US"))
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["sequence"], outcome["exited"], outcome["before"]) == (2, 1, 2)
    assert set(world.audience()) == {1}


def test_columns_that_the_table_no_longer_has_are_named(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    frame = pl.DataFrame(people(1)).drop("country")
    deltalake.write_deltalake(str(tmp_path / "data/people"), frame.to_arrow(), mode="overwrite", schema_mode="overwrite")
    outcome = world.deliver(TIMES[0])
    assert outcome.error is not None and outcome.error.code == "source_unreadable"
    assert "country" in outcome.error.message and "people" in outcome.error.message


def test_a_key_that_is_there_twice_sends_nothing(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.append("people", [*people(1), *people(1)])
    outcome = world.deliver(TIMES[0])
    assert outcome.error is not None and outcome.error.code == "key_not_unique"
    assert world.data_files() == set()


# -- what a delivery carries
def test_who_is_not_to_be_sent_is_counted_and_still_tracked(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"send": ["entered"], "status": None})
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.put("people", [*people(1, value=9), *people(3)])
    world.remove("people", "id = 2")
    outcome = world.deliver(TIMES[1])
    movement = committed(outcome)
    assert (movement["entered"], movement["updated"], movement["exited"]) == (1, 1, 1)
    assert outcome.delivery is not None and outcome.delivery.counts is not None
    assert outcome.delivery.counts.left_out == {"not_sent:updated": 1, "not_sent:exited": 1}
    assert rows_of(world) == [{"id": 3, "EMAIL": "p3@x", "country": "FR", "double": 10}]


def test_who_left_comes_first(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"dedupe_by": ["lower(trim(email))"], "newest_by": "seen"})
    world.put("people", people(1, 5, 6, 7, email="shared"))
    committed(world.deliver(TIMES[0]))
    world.put("people", [*people(9, email=" Shared", seen=datetime(2026, 1, 2, tzinfo=UTC)), *people(*range(20, 40))])
    committed(world.deliver(TIMES[1]))
    assert [(row["id"], row["segment_status"]) for row in rows_of(world)][:2] == [(1, "exited"), (9, "entered")]


def test_full_mode_sends_everybody_always_and_keeps_nothing(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"mode": "full"})
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.remove("people", "id = 2")
    assert committed(world.deliver(TIMES[1]))["held"] == 1
    assert rows_of(world) == [{"id": 1, "EMAIL": "p1@x", "country": "FR", "double": 10}]
    assert not (tmp_path / "state").exists() or not list((tmp_path / "state").rglob("*.parquet"))


def test_what_was_pinned_is_sent_although_the_mapping_changed_since(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1))
    assert _failing_once(world).deliver(TIMES[0]).status == "failed"
    changed(world, f"exports/{EXPORT}.yaml", fields=[{"from": "country"}])
    changed(world, "segments/chosen.yaml", where="false")
    assert committed(world.deliver(TIMES[0]))["held"] == 1
    assert rows_of(world)[0]["EMAIL"] == "p1@x"
    assert committed(world.deliver(TIMES[1]))["mode"] == "full", "the next one follows the new declaration"


def test_a_list_is_sent_as_it_was_pinned_with_its_own_columns(tmp_path: Path) -> None:
    segment = {"of": "people", "list": {"uri": "lists/vips.csv", "format": "csv", "columns": {"tier": "varchar"}}}
    world = SegmentWorld.begin(tmp_path, Chosen(segment, "p.id IN (1, 2)"))
    changed(world, f"exports/{EXPORT}.yaml", fields=[{"from": "email"}, {"from": "tier"}])
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/vips.csv").write_text("id,tier,private\n1,gold,x\n2,silver,y\n77,gold,z\n")
    world.put("people", people(1, 2, 3))
    assert _failing_once(world).deliver(TIMES[0]).status == "failed"
    (tmp_path / "lists/vips.csv").write_text("id,tier\n3,gold\n")
    assert committed(world.deliver(TIMES[0]))["held"] == 2
    assert {(row["id"], row["tier"]) for row in rows_of(world)} == {(1, "gold"), (2, "silver")}
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["entered"], outcome["exited"]) == (1, 2)


def test_the_segments_of_an_export_share_one_scan(tmp_path: Path) -> None:
    others = {f"other{n}": {"of": "people", "where": f"value > {n}"} for n in range(5)}
    world = SegmentWorld.begin(tmp_path, Chosen(PREDICATE.segment, PREDICATE.true, others))
    changed(world, f"exports/{EXPORT}.yaml", segments=[SEGMENT, *others])
    world.put("people", people(1, 2, 3))
    scans: list[int] = []

    def counted(frame: pl.LazyFrame) -> pl.LazyFrame:
        def seen(part: pl.DataFrame) -> pl.DataFrame:
            scans.append(part.height)
            return part

        return frame.map_batches(seen, streamable=True)

    context = world.context
    world.__dict__["context"] = replace(context, open_source=lambda dataset: _Watched(context.open_source(dataset), counted))  # type: ignore[return-value, arg-type]
    outcomes = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[0]), run_id="a"))
    assert [outcome.status for outcome in outcomes] == ["committed"] * 6
    assert sum(scans) == 3, "each row was read once"


# -- accounts
def accounts(tmp_path: Path, export: dict[str, Any]) -> SegmentWorld:
    """Three accounts with two, one and no contact."""
    world = SegmentWorld.begin(tmp_path)
    world.declare("environment.yaml", {"name": "test", "audience": "accounts"})
    tables: dict[str, pl.DataFrame] = {
        "accounts": pl.DataFrame({"account": ["a", "b", "c"], "name": ["A", "B", "C"]}),
        "contacts": pl.DataFrame(
            {
                "contact": [1, 2, 3, 4],
                "of_account": ["a", "a", "b", "z"],
                "email": ["1@a", "2@a", None, "4@z"],
                "main": [False, True, True, True],
            }
        ),
    }
    columns = {
        "accounts": {"account": "varchar", "name": "varchar"},
        "contacts": {"contact": "bigint", "of_account": "varchar", "email": "varchar", "main": "boolean"},
    }
    for name, frame in tables.items():
        deltalake.write_deltalake(str(tmp_path / "data" / name), frame.to_arrow(), configuration={"delta.enableChangeDataFeed": "true"})
        world.declare(
            f"datasets/{name}.yaml",
            {
                "source": {"format": "delta", "uri": f"data/{name}"},
                "key": [next(iter(columns[name]))],
                "role": name.removesuffix("s"),
                "columns": columns[name],
            },
        )
    world.declare("segments/chosen.yaml", {"of": "accounts", "where": "name < 'Z'"})
    changed(world, f"exports/{EXPORT}.yaml", **export)
    return world


@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ("explode", {("a", 1, "1@a"), ("a", 2, "2@a"), ("b", 3, None)}),
        ("arrays", {("a", ("2@a", "1@a")), ("b", (None,))}),
        ("first", {("a", "2@a"), ("b", None)}),
    ],
)
def test_contacts_of_accounts(tmp_path: Path, how: str, rows: set[Any]) -> None:
    project = {"dataset": "contacts", "by": ["of_account"], "how": how, "order_by": "main DESC"}
    world = accounts(tmp_path, {"project": project, "fields": [{"from": "contacts.email", "to": "EMAIL"}]})
    outcome = world.deliver(TIMES[0])
    committed(outcome)
    assert outcome.delivery is not None and outcome.delivery.counts is not None and outcome.delivery.counts.funnel is not None
    funnel = outcome.delivery.counts.funnel
    assert (funnel.members, funnel.without_contact, funnel.rows) == (3, 1, len(rows))
    found = {
        tuple(
            tuple(value) if isinstance(value, list) else value
            for name, value in row.items()
            if name not in ("segment_status", "exit_reason")
        )
        for row in rows_of(world)
    }
    assert found == rows
    deltalake.DeltaTable(str(tmp_path / "data/contacts")).delete("contact = 2")
    movement = committed(world.deliver(TIMES[1]))
    assert movement["exited" if how == "explode" else "updated"] == 1


# -- datasets of people
def test_a_dataset_of_people_leaves_only_with_their_consent(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, connection={"purpose": "marketing"})
    (tmp_path / f"catalog/exports/{EXPORT}.yaml").unlink()
    export = {"kind": "dataset", "connection": "out", "datasets": ["people"], "consent": "required", "changes": "all"}
    world.declare("exports/people_out.yaml", export)
    world.put("people", [*people(1, 2), *people(3, opt_in=False)])
    outcome = world.deliver(TIMES[0])
    assert outcome.delivery is not None and outcome.delivery.counts is not None and outcome.delivery.kind == "dataset"
    assert (outcome.delivery.counts.delivered, outcome.delivery.counts.left_out) == (2, {"no_consent": 1})
    assert {row["id"] for row in rows_of(world)} == {1, 2} and {row["_change_type"] for row in rows_of(world)} == {"insert"}
    world.put("people", [*people(1, opt_in=False), *people(3), *people(4, email="new")])
    outcome = world.deliver(TIMES[1])
    assert outcome.status == "committed", outcome
    rows = {row["id"]: row for row in rows_of(world)}
    assert {n: row["_change_type"] for n, row in rows.items()} == {1: "delete", 3: "insert", 4: "insert"}
    assert rows[1]["_change_reason"] == "no_consent" and rows[1]["email"] is None and rows[1]["country"] is None
    for then, required in ((TIMES[2], {}), (TIMES[3], {"consent": "required"})):
        world.declare("exports/people_out.yaml", {**export, "consent": None, **required})
        outcome = world.deliver(then)
        assert outcome.delivery is not None and outcome.delivery.pin.mode == "full", "who was left out comes, or leaves, at once"
        assert {row["id"] for row in rows_of(world)} == ({2, 3, 4} if required else {1, 2, 3, 4})


# -- what a receiver can be told apart by
def test_killed_between_state_and_manifest_the_next_attempt_writes_its_own(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.put("people", people(3))
    assert _failing_once(world, "publishing").deliver(TIMES[1]).status == "failed"
    assert committed(world.deliver(TIMES[1]))["entered"] == 1
    world.put("people", people(4))
    assert committed(world.deliver(TIMES[2]))["entered"] == 1
    assert set(world.audience()) == {1, 2, 3, 4}


class _Watched:
    """A source whose rows are seen passing."""

    def __init__(self, source: Any, seen: Callable[[pl.LazyFrame], pl.LazyFrame]) -> None:
        self._source, self._seen = source, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def rows(self, version: int) -> Any:
        rows = self._source.rows(version)
        return replace(rows, frame=self._seen(rows.frame))


class _Failing:
    """A ledger whose call fails once, as if the database went away."""

    def __init__(self, ledger: Any, call: str) -> None:
        self._ledger, self._call = ledger, call

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            raise RuntimeError("gone")
        return getattr(self._ledger, name)


def _failing_once(world: SegmentWorld, call: str = "begin_file") -> SegmentWorld:
    """The same world with a ledger that fails: pinned, and nothing delivered."""
    failing = SegmentWorld(world.folder, world.connection)
    failing.__dict__["context"] = replace(world.context, ledger=_Failing(world.ledger, call))  # type: ignore[arg-type]
    return failing


# -- what a review found
def test_segments_that_read_different_columns_go_on_together(tmp_path: Path) -> None:
    others = {"french": {"of": "people", "where": "country = 'FR'"}, "seen": {"of": "people", "where": "opt_in"}}
    world = SegmentWorld.begin(tmp_path, Chosen(PREDICATE.segment, PREDICATE.true, others))
    changed(world, f"exports/{EXPORT}.yaml", segments=[SEGMENT, *others])
    world.put("people", people(1, 2))
    for number in range(2):
        outcomes = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[number]), run_id="a"))
        assert [committed(outcome)["entered"] for outcome in outcomes] == [2, 2, 2]
        world.put("people", people(3 + 2 * number, 4 + 2 * number))


def test_who_left_is_told_apart_although_the_export_is_full_now(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    world.remove("people", "id = 1")
    assert _failing_once(world).deliver(TIMES[1]).status == "failed"
    changed(world, f"exports/{EXPORT}.yaml", mode="full")
    assert committed(world.deliver(TIMES[1]))["exited"] == 1
    assert rows_of(world)[0]["segment_status"] == "exited"


def test_who_consents_is_not_asked_of_another_dataset(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, connection={"purpose": "marketing"})
    other = yaml.safe_load((tmp_path / "catalog/datasets/people.yaml").read_text())
    world.declare("datasets/others.yaml", {**other, "source": {"format": "delta", "uri": "data/others"}})
    rows = pl.DataFrame(people(1, email="other"))
    deltalake.write_deltalake(str(tmp_path / "data/others"), rows.to_arrow())
    world.put("people", people(1))
    assert _failing_once(world).deliver(TIMES[0]).status == "failed"
    world.put("people", people(1, opt_in=False))
    changed(world, "segments/chosen.yaml", of="others")
    refused = world.deliver(TIMES[0])
    assert refused.error is not None and refused.error.code == "declaration" and "others" in refused.error.message
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["mode"], [row["EMAIL"] for row in rows_of(world)]) == ("full", ["other"])
    changed(world, "segments/chosen.yaml", of="people")
    outcome = committed(world.deliver(TIMES[2]))
    assert outcome["mode"] == "full" and "were of 'others' and are of 'people'" in outcome["reason"]


def test_a_suppression_list_that_is_rebuilt_holds(tmp_path: Path) -> None:
    suppress = [{"dataset": "blocked", "column": "who", "matches": "id"}]
    world = SegmentWorld.begin(tmp_path, connection={"suppress": suppress})
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    shutil.rmtree(tmp_path / "data/blocked")
    world.append("blocked", [{"who": 2}])
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["way"], outcome["exits"]) == ("touched", {"suppressed": 1})


def test_each_member_is_evaluated_as_it_was_pinned(tmp_path: Path) -> None:
    buyers = {"of": "people", "sql": "SELECT person AS id FROM orders WHERE open"}
    world = SegmentWorld.begin(tmp_path, Chosen(PREDICATE.segment, PREDICATE.true, {"buyers": buyers}))
    for name in (SEGMENT, "other"):
        world.declare(f"segments/{name}.yaml", {"all_of": ["buyers"]})
    changed(world, f"exports/{EXPORT}.yaml", segments=[SEGMENT, "other"])
    world.put("people", people(1, 2))
    world.append("orders", [{"order_id": 1, "person": 1, "open": True}, {"order_id": 2, "person": 2, "open": False}])
    list(deliver(_failing_once(world).context, EXPORT, ExportTime.parse(TIMES[0]), run_id="a", members=[SEGMENT]))
    world.declare("segments/buyers.yaml", {**buyers, "sql": "SELECT person AS id FROM orders WHERE NOT open"})
    outcomes = list(deliver(world.context, EXPORT, ExportTime.parse(TIMES[0]), run_id="b"))
    assert [outcome.status for outcome in outcomes] == ["committed"] * 2
    assert [[row["id"] for row in rows_of(world, number)] for number in (0, 1)] == [[1], [2]]


def test_a_renamed_field_sends_everybody_anew_with_the_difference(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, export={"on_change": "difference"})
    world.put("people", people(1, 2))
    committed(world.deliver(TIMES[0]))
    changed(world, f"exports/{EXPORT}.yaml", fields=[{"from": "email", "to": "MAIL", "identity": True}])
    outcome = committed(world.deliver(TIMES[1]))
    assert (outcome["sequence"], outcome["updated"]) == (2, 2)
    assert {row["MAIL"] for row in rows_of(world)} == {"p1@x", "p2@x"}


def test_receivers_see_no_sql(tmp_path: Path) -> None:
    fields = [{"from": "sha256('S3CRET-SALT' || email)", "to": "EMAIL"}]
    world = SegmentWorld.begin(
        tmp_path, Chosen({"of": "people", "where": "email <> 'ceo@acme.example'"}, "true"), export={"fields": fields}
    )
    world.put("people", people(1))
    committed(world.deliver(TIMES[0]))
    [document] = world.manifests()
    assert document["mapping"] == [{"from": "people.email", "to": "EMAIL"}]
    text = json.dumps(document)
    assert "S3CRET" not in text and "ceo@" not in text
    assert committed(world.deliver(TIMES[1]))["sequence"] == 2


def test_housekeeping_never_turns_a_delivery_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1))
    monkeypatch.setattr(keeping, "compact", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "no space left")))
    committed(world.deliver(TIMES[0]))


def test_what_a_killed_run_left_on_disk_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned, used = tmp_path / f"{PREFIX}abandoned", tmp_path / f"{PREFIX}used"
    for folder in (abandoned, used):
        folder.mkdir()
        (folder / "in_use").touch()
        (folder / "rows.arrow").write_text("somebody")
    child = subprocess.Popen(["flock", str(used / "in_use"), "sleep", "60"])
    try:
        while not _is_held(used / "in_use"):
            time.sleep(0.05)
        with scratch():
            assert not abandoned.exists() and (used / "rows.arrow").exists()
    finally:
        child.kill()
        child.wait()


def _is_held(lock: Path) -> bool:
    with lock.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
