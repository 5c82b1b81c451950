"""What became of one profile: the same, whether the state folder tells it, the segment evaluated again, or the delivered files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import deltalake
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.explaining import Fate, explain
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.delivery.segment_world import CHOICES, PREDICATE, Chosen, SegmentWorld
from cdp_exports_tests.delivery.world import TIMES, World, hurry

NOON = datetime(2026, 1, 1, tzinfo=UTC)
CONSENT = {"purpose": "marketing"}


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry(60.0)


def people(*ids: int, **values: Any) -> list[dict[str, Any]]:
    return [{"id": n, "email": f"p{n}@x", "country": "FR", "value": 5, "seen": NOON, "opt_in": True, **values} for n in ids]


def told(world: World, key: object, **asked: Any) -> list[tuple[str, str | None, str | None]]:
    return [(fate.what, fate.reason, fate.known_by) for fate in explain(world.member, [str(key)], **asked)]


def delivered(world: World, *export_times: str) -> None:
    for export_time in export_times:
        outcome = world.deliver(export_time)
        assert outcome.status == "committed", outcome


PERSON = st.fixed_dictionaries(
    {
        "id": st.integers(1, 4),
        "email": st.sampled_from(["a@x", "b@x", " A@x", None]),
        "country": st.sampled_from(["FR", "US", None]),
        "value": st.integers(2, 7),
        "seen": st.integers(0, 4).map(lambda minutes: NOON + timedelta(minutes=minutes)),
        "opt_in": st.booleans(),
    }
)
ORDER = st.fixed_dictionaries({"order_id": st.integers(1, 5), "person": st.integers(1, 4), "open": st.booleans()})
ROUND = st.tuples(st.lists(PERSON, max_size=3), st.lists(ORDER, max_size=3), st.none() | st.integers(1, 4))


@given(
    chosen=st.sampled_from(CHOICES),
    rounds=st.lists(ROUND, min_size=2, max_size=3),
    deduped=st.booleans(),
    required=st.booleans(),
    consent=st.booleans(),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_source_of_knowledge_tells_what_the_receiver_saw(
    chosen: Chosen, rounds: Sequence[Any], deduped: bool, required: bool, consent: bool
) -> None:
    with TemporaryDirectory() as folder:
        fields = [{"from": "email", "to": "EMAIL", "required": required, "identity": True}, {"from": "country"}]
        export = {"fields": fields, **({"dedupe_by": ["lower(trim(email))"]} if deduped else {})}
        world = SegmentWorld.begin(Path(folder), chosen, export=export, connection=CONSENT if consent else None)
        for export_time, (persons, orders, gone) in zip(TIMES, rounds, strict=False):
            world.put("people", persons) if persons else None
            world.put("orders", orders) if orders else None
            world.remove("people", f"id = {gone}") if gone else None
            delivered(world, export_time)
        seen = {key: _seen(world, key) for key in range(1, 6)}
        by_state = {key: list(explain(world.member, [str(key)])) for key in seen}
        for key, fates in by_state.items():
            assert [_as_seen(fate) for fate in fates] == seen[key]
            assert {fate.known_by for fate in fates} == {"state"}
        shutil.rmtree(Path(folder) / "state")
        for key, fates in by_state.items():
            if not consent:
                assert told(world, key) == [(fate.what, fate.reason, "evaluation") for fate in fates]
            else:  # consent is not what it was: the files of increments alone are believed
                for now, fate in zip(explain(world.member, [str(key)]), fates, strict=True):
                    assert (now.what, now.reason) == (fate.what, fate.reason) or not (now.sent or fate.sent)
                    assert now.sent == fate.sent


def _seen(world: SegmentWorld, key: int) -> list[str]:
    """By delivery, newest first: the status in the file; else whether the receiver held the key, having applied all files."""
    held, found = False, list[str]()
    for document in world.manifests():
        rows = [row for file in document["files"] for row in world._delivered(f"{document['folder']}/{file['path']}")]
        mine = [row.get("segment_status", "entered") for row in rows if row["id"] == key]
        assert len(mine) <= 1
        held = mine[0] != "exited" if mine else held and document["mode"] == "incremental"
        found.append(mine[0] if mine else "unchanged" if held else "nothing")
    return found[::-1]


def _as_seen(fate: Fate) -> str:
    assert (fate.what in ("exited", "left_out")) == (fate.reason is not None)
    return fate.what if fate.sent or fate.what == "unchanged" else "nothing"


def test_across_chains_and_in_part(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    delivered(world, TIMES[0], TIMES[1])
    world.put("people", people(1, country="US"))
    outcome = world.deliver(TIMES[2], full=True)
    assert outcome.status == "committed"
    delivered(world, TIMES[3])
    # the state of a chain that nothing follows any more is not kept
    now, before = "state", "evaluation"
    assert told(world, 2) == [("unchanged", None, now), ("entered", None, now), ("unchanged", None, before), ("entered", None, before)]
    # a full tells nobody to leave: who was held before is no member now
    assert [what for what, *_ in told(world, 1)] == ["not_a_member", "not_a_member", "unchanged", "entered"]
    assert told(world, 2, limit=1) == [("unchanged", None, now)]
    assert told(world, 2, export_time=ExportTime.parse(TIMES[2])) == [("entered", None, now)]
    with pytest.raises(DeclarationError, match="no committed delivery"):
        told(world, 2, export_time=ExportTime.parse(TIMES[9]))


def test_a_table_that_lost_its_history(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    delivered(world, TIMES[0])
    world.remove("people", "id = 1")
    delivered(world, TIMES[1])
    world.put("people", people(7))
    _vacuum(tmp_path / "data" / "people")
    assert told(world, 1) == [("exited", None, "state"), ("entered", None, "state")]
    shutil.rmtree(tmp_path / "state")
    assert told(world, 1) == [("exited", "deleted", "files"), ("entered", None, "files")]
    assert told(world, 2) == [("not_sent", None, "files"), ("entered", None, "files")]
    shutil.rmtree(tmp_path / "out")
    assert told(world, 1) == [("unknown", None, None)] * 2
    assert [fate.sent for fate in explain(world.member, ["1"])] == [None, None]


def _vacuum(table: Path) -> None:
    opened = deltalake.DeltaTable(str(table))
    opened.optimize.compact()
    opened.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)


def test_a_ledger_rebuilt_from_manifests(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path)
    world.put("people", people(1, 2))
    delivered(world, TIMES[0], TIMES[1])
    world.ledger.close()
    (tmp_path / "ledger.db").unlink()
    again = SegmentWorld(tmp_path)
    again.__dict__["ledger"] = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    assert adopt(again.member) == 2
    assert told(again, 1) == [("unchanged", None, "state"), ("entered", None, "state")]
    shutil.rmtree(tmp_path / "state")
    assert told(again, 1) == [("not_sent", None, "ledger"), ("entered", None, "files")]


@pytest.mark.parametrize(
    "file_format",
    [
        {"type": "parquet"},
        {"type": "json"},
        {"type": "json", "compression": "none"},
        {"type": "csv"},
        {"type": "csv", "delimiter": "|", "compression": "none", "header": False},
        {"type": "csv", "delimiter": ";", "escape": "\\"},
        {"type": "csv", "delimiter": "\t", "quote": "", "empty": "''"},
    ],
    ids=str,
)
def test_delivered_files_of_every_format_are_searched(tmp_path: Path, file_format: dict[str, Any]) -> None:
    odd = "p" if file_format.get("quote") == "" else 'a "b", c; d|e\nf\\'
    world = SegmentWorld.begin(tmp_path, export={"format": {**file_format, "max_rows_per_file": 2}}, connection=CONSENT)
    world.put("people", [*people(1, 2, 3, email=odd), *people(4, opt_in=False)])
    delivered(world, TIMES[0])
    world.put("people", people(1, opt_in=False))
    delivered(world, TIMES[1])
    shutil.rmtree(tmp_path / "state")
    assert told(world, 1) == [("exited", "no_consent", "files"), ("entered", None, "files")]
    assert told(world, 3) == [("not_sent", None, "files"), ("entered", None, "files")]
    assert told(world, 4) == [("not_sent", None, "files"), ("left_out", "no_consent", "evaluation")]
    assert told(world, 99) == [("not_sent", None, "files"), ("not_in_dataset", None, "evaluation")]


def test_without_the_key_in_the_files_they_tell_nothing(tmp_path: Path) -> None:
    fields = [{"from": "email", "to": "EMAIL", "identity": True, "required": True}]
    world = SegmentWorld.begin(tmp_path, export={"include_key": False, "fields": fields}, connection=CONSENT)
    world.put("people", people(1))
    delivered(world, TIMES[0])
    assert told(world, 1) == [("entered", None, "state")]
    shutil.rmtree(tmp_path / "state")
    world.put("people", people(1, opt_in=False))
    assert told(world, 1) == [("unknown", None, None)]


@pytest.mark.parametrize("changes", ["all", "added"])
def test_rows_of_a_dataset(tmp_path: Path, changes: str) -> None:
    world = World.create(tmp_path, export={"changes": changes})
    world.write([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}, {"id": 3, "v": "c"}])
    delivered(world, TIMES[0])
    world.update("id = 2", v="'x'")
    world.delete("id = 3")
    world.write([{"id": 4, "v": "d"}])
    delivered(world, TIMES[1], TIMES[2])
    last = {1: "unchanged", 2: "updated", 3: "deleted", 4: "inserted", 5: "not_in_dataset"}
    for key, what in last.items():
        newest, before, first = explain(world.member, [str(key)])
        assert (before.what, before.known_by) == (what, "table")
        assert before.sent == (what == "inserted" or (what in ("updated", "deleted") and changes == "all"))
        assert newest.what == ("unchanged" if key in (1, 2, 4) else "not_in_dataset")
        assert first.what == ("inserted" if key < 4 else "not_in_dataset")
    _vacuum(tmp_path / "data" / "orders")
    files = told(world, 2)
    assert files[1:] == [("updated" if changes == "all" else "not_sent", None, "files"), ("inserted", None, "files")]


def test_keys_that_cannot_be(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, PREDICATE)
    world.put("people", people(1))
    delivered(world, TIMES[0])
    for key in (["private"], ["1", "private"], []):
        with pytest.raises(DeclarationError) as caught:
            list(explain(world.member, key))
        assert "private" not in str(caught.value)
    keyless = World.create(tmp_path / "other", dataset={"key": []})
    keyless.write([{"id": 1, "v": "a"}])
    delivered(keyless, TIMES[0])
    with pytest.raises(DeclarationError, match="Declare the key"):
        told(keyless, 1)
