"""What a delivery is, what an increment holds, and what running again does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.planning import plan
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.delivery.verifying import verify
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError
from cdp_exports.increments.increment import Changes, Full, Nothing
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import State
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World


def counts(outcome: Outcome) -> tuple[int, int, int]:
    assert outcome.delivery is not None
    assert outcome.delivery.counts is not None
    counts = outcome.delivery.counts
    return counts.inserted, counts.updated, counts.deleted


def test_first_in_full_then_the_net_changes(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": n, "v": "a"} for n in range(10)])
    first = world.deliver(TIMES[0])
    assert first.status == "committed" and first.sent and counts(first) == (10, 0, 0)
    assert first.delivery is not None and first.delivery.pin.reason == "first delivery"
    world.write([{"id": 10, "v": "a"}])
    world.update("id = 1", v="'b'")
    world.update("id = 2", v="'b'")
    world.update("id = 2", v="'a'")
    world.delete("id = 3")
    second = world.deliver(TIMES[1])
    assert counts(second) == (1, 1, 1), "id 2 was changed and changed back: no change"
    assert second.delivery is not None and second.delivery.pin.sources[0].change_source == "delta-cdf"
    assert world.received() == world.rows()
    nothing = world.deliver(TIMES[2])
    assert nothing.status == "committed" and counts(nothing) == (0, 0, 0) and nothing.delivery is not None and nothing.delivery.files == ()
    sequences = [(document["sequence"], document["mode"], document["base_export_time"]) for document in world.manifests()]
    assert sequences == [(1, "full", TIMES[0]), (2, "incremental", TIMES[0]), (3, "incremental", TIMES[0])]


def test_added_rows_only(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={"changes": "added"})
    world.write([{"id": n, "v": "a"} for n in range(10)])
    world.deliver(TIMES[0])
    world.write([{"id": 10, "v": "a"}, {"id": 11, "v": "a"}])
    world.update("id = 1", v="'b'")
    world.delete("id = 3 OR id = 11")
    outcome = world.deliver(TIMES[1])
    assert counts(outcome) == (1, 0, 0)
    assert [column["name"] for column in world.manifests()[1]["schema"]] == ["id", "v"]


def test_mode_full_is_the_whole_each_time(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={"mode": "full", "changes": "added"})
    world.write([{"id": 1, "v": "a"}])
    world.deliver(TIMES[0])
    world.write([{"id": 2, "v": "a"}])
    assert counts(world.deliver(TIMES[1])) == (2, 0, 0)


def test_run_again_sends_nothing(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    first = world.deliver(TIMES[0])
    files = world.data_files()
    world.write([{"id": 2, "v": "a"}])
    again = world.deliver(TIMES[0])
    assert again.status == "committed" and not again.sent and again.delivery == first.delivery
    assert world.data_files() == files


def test_a_connection_is_opened_once_a_run(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    context, opened = world.context, []

    def open_destination(connection: str) -> FileDestination:
        opened.append(connection)
        return context.open_destination(connection)

    world.__dict__["context"] = replace(context, open_destination=open_destination)
    assert world.deliver(TIMES[0]).status == "committed"
    assert opened == ["out"]


def test_an_earlier_export_time_is_covered(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    world.deliver(TIMES[5])
    earlier = world.deliver(TIMES[3])
    assert earlier.skip is not None and earlier.skip.reason == "covered_by" and TIMES[5] in earlier.skip.message
    assert world.ledger.history("test", EXPORT)[-1].reason == "covered_by"  # type: ignore[union-attr]


def test_a_later_export_time_closes_an_open_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    world.deliver(TIMES[0])
    world.write([{"id": 2, "v": "a"}])
    open_before = fail_once(world, monkeypatch)
    assert open_before.error is not None and open_before.error.code == "destination_refused"
    world.write([{"id": 3, "v": "a"}])
    later = world.deliver(TIMES[2])
    assert counts(later) == (2, 0, 0)
    closed = world.member.delivery(ExportTime.parse(TIMES[1]))
    assert closed is not None and closed.state is State.COVERED and str(closed.covered_by) == TIMES[2]
    assert world.manifests()[1]["covered_by"] == TIMES[2] and world.manifests()[1]["files"] == []
    covered = world.deliver(TIMES[1])
    assert covered.skip is not None and covered.skip.reason == "covered_by"
    assert world.received() == world.rows()


def test_a_retry_delivers_the_pinned_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    world.deliver(TIMES[0])
    world.write([{"id": 2, "v": "a"}])
    fail_once(world, monkeypatch)
    world.write([{"id": 3, "v": "a"}])
    with_full = world.deliver(TIMES[1], full=True)
    assert isinstance(with_full.error, DeclarationError) and "pinned" in with_full.error.message
    retried = world.deliver(TIMES[1])
    assert counts(retried) == (1, 0, 0), "row 3 came after the pin"
    assert counts(world.deliver(TIMES[2])) == (1, 0, 0)
    assert world.received() == world.rows()


def fail_once(world: World, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """A run of the second export time whose destination refuses after the pin."""
    from cdp_exports.destinations.local import LocalDestination
    from cdp_exports.errors import DestinationRefused

    def refuse(self: LocalDestination, path: str) -> None:
        raise DestinationRefused("No space left.", next_step="Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalDestination, "open", refuse)
        return world.deliver(TIMES[1])


def test_full_restarts_the_chain(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    first = world.deliver(TIMES[0])
    world.write([{"id": 2, "v": "a"}])
    again = world.deliver(TIMES[1], full=True)
    assert counts(again) == (2, 0, 0)
    assert first.delivery is not None and again.delivery is not None
    assert again.delivery.chain != first.delivery.chain and again.delivery.sequence == 1
    assert world.received() == world.rows()


def test_plan_says_what_and_why_and_changes_nothing(tmp_path: Path) -> None:
    world = World.create(tmp_path)
    world.write([{"id": 1, "v": "a"}])
    first = plan(world.member, Upstream(world.context), ExportTime.parse(TIMES[0]), full=False)
    assert first.increment == Full(0) and first.pin.reason == "first delivery" and first.rows_estimate == 1
    world.deliver(TIMES[0])
    assert plan(world.member, Upstream(world.context), ExportTime.parse(TIMES[1]), full=False).increment == Nothing(0)
    world.write([{"id": 2, "v": "a"}])
    assert plan(world.member, Upstream(world.context), ExportTime.parse(TIMES[1]), full=False).increment == Changes(0, 1)
    world.declare(f"exports/{EXPORT}.yaml", {"kind": "dataset", "connection": "out", "datasets": ["orders"], "changes": "added"})
    changed = plan(world.member, Upstream(world.context), ExportTime.parse(TIMES[1]), full=False)
    assert changed.increment == Full(1) and changed.pin.reason is not None and "changes was 'all' and is 'added'" in changed.pin.reason
    assert len(world.manifests()) == 1 and world.member.open_deliveries() == []


def test_files_split_and_verified(tmp_path: Path) -> None:
    world = World.create(tmp_path, export={"format": {"type": "csv", "max_rows_per_file": 4}})
    world.write([{"id": n, "v": f"a,{n}\n"} for n in range(10)])
    outcome = world.deliver(TIMES[0])
    assert outcome.delivery is not None and [file.rows for file in outcome.delivery.files] == [4, 4, 2]
    assert {file.verified_by for file in outcome.delivery.files} == {"reread"}
    assert [verdict.differences for verdict in verify(world.member)] == [()]


@pytest.mark.parametrize("format_type", ["parquet", "json", "csv"])
def test_verify_finds_what_was_tampered_with(tmp_path: Path, format_type: str) -> None:
    world = World.create(tmp_path, export={"format": {"type": format_type}})
    world.write([{"id": n, "v": "a"} for n in range(10)])
    outcome = world.deliver(TIMES[0])
    assert [verdict.differences for verdict in verify(world.member)] == [()]
    assert outcome.delivery is not None
    path = outcome.delivery.files[0].path
    content = bytearray(b"".join(world.destination.stream(path) or ()))
    content[len(content) // 2] ^= 1
    world.destination.put(path, bytes(content))
    (tampered,) = verify(world.member)
    assert "another content" in tampered.differences[0]
    world.destination.delete([path])
    (missing,) = verify(world.member)
    assert "missing" in missing.differences[0]


def test_with_a_ledger_in_postgres(tmp_path: Path, postgres_database: str) -> None:
    world = World.create(tmp_path)
    world.__dict__["ledger"] = Ledger.open(postgres_database)
    world.write([{"id": n, "v": "a"} for n in range(10)])
    assert counts(world.deliver(TIMES[0])) == (10, 0, 0)
    world.write([{"id": 10, "v": "a"}])
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda _: world.deliver(TIMES[1]), range(4)))
    assert sum(outcome.sent for outcome in ended) == 1
    assert {outcome.status for outcome in ended} <= {"committed", "skipped"}
    assert not world.deliver(TIMES[1]).sent
    assert world.received() == world.rows()
    assert [verdict.differences for verdict in verify(world.member)] == [(), ()]
    world.ledger.close()
