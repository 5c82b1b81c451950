"""What receivers hold: whatever is written, compacted, pruned or killed, the state reads as it was written."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.delivery import held, held_upkeep
from cdp_exports.delivery.held_files import held_of
from cdp_exports.destinations.destination import FileDestination, FileWriter
from cdp_exports.destinations.local import LocalDestination
from cdp_exports.errors import HistoryLost, TerminalError
from cdp_exports.ledger.records import Counts, Delivery, SourcePin, State
from cdp_exports_tests.destinations.opened import open_bucket
from cdp_exports_tests.ledger.building import delivery as pinned
from cdp_exports_tests.ledger.building import minute
from cdp_exports_tests.servers.faults import _Mounts
from cdp_exports_tests.servers.seaweedfs import Bucket

SCHEMA = {
    "key_0": pl.String,
    "key_1": pl.Int32,
    "identity_0": pl.String,
    "hash": pl.UInt64,
    "reason": pl.String,
    "gone": pl.Boolean,
}
MEMORY = 64 << 20
Row = tuple[str, int, str, int, str | None, bool]
Keyed = dict[tuple[str, int], Row]


def row(key: int, value: int = 0, *, gone: bool = False) -> Row:
    return f"k{key}", key, f"someone{key}@example.com", (2**63 + value) % 2**64, "no_consent" if value % 2 else None, gone


def frame(rows: Iterable[Row]) -> pl.LazyFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row").lazy()


def file_of(delivery: Delivery) -> str:
    found = held_of(delivery)
    assert found is not None
    return found.file


def applied(before: Keyed, rows: Iterable[Row]) -> Keyed:
    after = {**before, **{(one[0], one[1]): one for one in rows}}
    return {key: one for key, one in after.items() if not one[-1]}


def fold(frame: pl.LazyFrame) -> Keyed:
    """As a reader does it, in Python."""
    newest: dict[tuple[Any, ...], Any] = {}
    for *values, sequence in frame.select(*SCHEMA, "sequence").collect().sort("sequence").rows():
        assert isinstance(sequence, int)
        newest[tuple(values[:2])] = tuple(values)
    return {key: one for key, one in newest.items() if not one[-1]}


class Receiver:
    """A member's deliveries, and what its receiver holds after each."""

    def __init__(self, state: FileDestination) -> None:
        self.state = state
        self.committed: list[Delivery] = []
        self.covered: list[str] = []
        self.held: dict[str, Keyed] = {}  # by delivery

    @property
    def chain(self) -> list[Delivery]:
        return [delivery for delivery in self.committed if delivery.chain == self.committed[-1].chain]

    def next(self, *, new_chain: bool = False) -> Delivery:
        number = len(self.committed) + len(self.covered)
        sequence = 1 if new_chain or not self.committed else self.committed[-1].sequence + 1
        chain = str(uuid4()) if sequence == 1 else self.committed[-1].chain
        return pinned(minute(number)).model_copy(update={"chain": chain, "sequence": sequence})

    def write(self, delivery: Delivery, rows: Iterable[Row], *, whole: bool, state: FileDestination | None = None) -> Delivery:
        """One attempt; it is committed by `commit`."""
        found = held.write(state or self.state, delivery, str(uuid4()), frame(rows), whole=whole)
        return delivery.model_copy(update={"state": State.COMMITTED, "counts": Counts(held=found)})

    def commit(self, delivery: Delivery, rows: Sequence[Row], *, whole: bool) -> None:
        before = {} if whole else self.held[self.committed[-1].id]
        self.committed.append(delivery)
        self.held[delivery.id] = applied(before, rows)

    def deliver(self, rows: Sequence[Row], *, whole: bool = False, new_chain: bool = False) -> None:
        delivery = self.next(new_chain=new_chain)
        whole = whole or delivery.sequence == 1
        self.commit(self.write(delivery, rows, whole=whole), rows, whole=whole)

    def read(self, chain: Sequence[Delivery] | None = None) -> Keyed:
        with tempfile.TemporaryDirectory() as folder:
            return fold(held.read(self.state, chain or self.chain, Path(folder)))

    def compact(self, state: FileDestination | None = None) -> str | None:
        with tempfile.TemporaryDirectory() as folder:
            return held_upkeep.compact(state or self.state, self.chain, Path(folder), memory_limit=MEMORY)

    def prune(self, state: FileDestination | None = None) -> None:
        held_upkeep.prune(state or self.state, self.committed, covered=self.covered)

    def files(self) -> list[str]:
        return [found.path for found in self.state.list("")]

    def is_right(self) -> None:
        """The newest state, and what is left of the earlier ones."""
        assert self.read() == self.held[self.chain[-1].id]
        for index, delivery in enumerate(self.chain, 1):
            try:
                assert self.read(self.chain[:index]) == self.held[delivery.id]
            except HistoryLost as lost:
                assert lost.reason == "state_lost"  # noqa: PT017 pruned


@pytest.fixture(params=["local", "s3"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Receiver:
    if request.param == "local":
        return Receiver(LocalDestination(tmp_path / "state"))
    bucket: Bucket = request.getfixturevalue("bucket")
    return Receiver(open_bucket(bucket))


def test_the_files_since_the_last_whole_one_are_read(receiver: Receiver, tmp_path: Path) -> None:
    for number, whole in enumerate([True, False, True, False, False]):
        receiver.deliver([row(number), row(9, number)], whole=whole)
    receiver.is_right()
    folder = tmp_path / "read"
    folder.mkdir()
    found = held.read(receiver.state, receiver.chain, folder).collect()
    assert found.schema == {**SCHEMA, "sequence": pl.Int64}
    assert sorted(found["sequence"]) == [3, 3, 4, 4, 5, 5]
    assert len(list(folder.iterdir())) == 3


def test_a_file_says_what_it_is(receiver: Receiver) -> None:
    delivery = receiver.next()
    guard = SourcePin(
        dataset="optouts", table_id="t", after_version=None, after_commit=None, upto_version=3, upto_commit="c", change_source=None
    )
    found = held.write(receiver.state, delivery, "12345678-9abc", frame([row(1), row(2)]), whole=True, guards=[guard])
    assert found.file == f"acme/commerce_to_lake/orders/{delivery.chain}/00000001-{delivery.id}-12345678.whole.parquet"
    assert (found.whole, found.rows, found.guards) == (True, 2, (guard,))
    assert hashlib.sha256(receiver.state.read(found.file) or b"").hexdigest() == found.sha256


def test_a_state_without_rows_has_its_columns(receiver: Receiver, tmp_path: Path) -> None:
    receiver.deliver([], whole=True)
    found = held.read(receiver.state, receiver.chain, tmp_path).collect()
    assert (found.height, found.schema) == (0, {**SCHEMA, "sequence": pl.Int64})
    receiver.deliver([row(1), row(2)])
    assert (receiver.compact() or "").endswith(".compacted.parquet")
    receiver.deliver([row(1, gone=True), row(2, gone=True), row(3, gone=True)])
    assert ".0-" in (receiver.compact() or "")
    assert receiver.read() == {}
    receiver.is_right()


def test_changes_that_outweigh_the_whole_are_folded_once(receiver: Receiver) -> None:
    receiver.deliver([row(1), row(2), row(3)])
    receiver.deliver([row(1, 2), row(2, gone=True)])
    assert receiver.compact() is None
    receiver.deliver([row(4), row(5, gone=True)])
    assert receiver.compact() is not None
    assert receiver.compact() is None
    files = receiver.files()
    for path in files:
        if "0000001-" in path or "0000002-" in path:
            receiver.state.delete([path])
    assert receiver.read() == receiver.held[receiver.committed[-1].id]


def test_many_small_changes_are_folded_too(tmp_path: Path) -> None:
    receiver = Receiver(LocalDestination(tmp_path))
    receiver.deliver([row(number) for number in range(100)])
    for number in range(held_upkeep.MOST_CHANGES):
        assert receiver.compact() is None
        receiver.deliver([row(number, 7)])
    assert receiver.compact() is not None
    assert receiver.read() == receiver.held[receiver.committed[-1].id]


def test_a_fold_larger_than_memory_is_the_same(tmp_path: Path) -> None:
    rows = pl.select(key_0=pl.int_range(200_000)).with_columns(hash=pl.col("key_0").hash(1), gone=pl.lit(False))
    changed = rows.filter(pl.col("key_0") % 3 == 0).with_columns(gone=pl.col("key_0") % 2 == 0, hash=pl.lit(0, pl.UInt64))
    both = pl.concat([part.with_columns(sequence=pl.lit(n, pl.Int64)) for n, part in enumerate([rows, changed])]).lazy()
    parts = list(held_upkeep.folded(both, 1 << 20))
    assert len(parts) > 5
    expected = pl.concat([rows.filter(pl.col("key_0") % 3 != 0), changed.filter(~pl.col("gone"))])
    assert pl.concat(parts).sort("key_0").equals(expected.sort("key_0"))


def test_a_missing_or_damaged_file_is_lost_state(receiver: Receiver) -> None:
    receiver.deliver([row(1)])
    receiver.deliver([row(2)])
    receiver.deliver([row(3)])
    damaged = file_of(receiver.chain[1])
    content = receiver.state.read(damaged)
    assert content
    receiver.state.put(damaged, content[:-1] + b"x")
    with pytest.raises(HistoryLost, match="--full") as lost:
        receiver.read()
    assert lost.value.reason == "state_lost"
    assert receiver.read(receiver.chain[:1]) == receiver.held[receiver.chain[0].id]
    receiver.state.delete([damaged])
    with pytest.raises(HistoryLost, match="missing"):
        receiver.read()
    assert receiver.compact() is None


def test_a_delivery_that_kept_no_state(tmp_path: Path) -> None:
    receiver = Receiver(LocalDestination(tmp_path))
    receiver.deliver([row(1)])
    receiver.committed.append(receiver.next().model_copy(update={"counts": Counts()}))
    with pytest.raises(HistoryLost, match="recorded none"):
        receiver.read()
    assert receiver.compact() is None


def test_a_damaged_compaction_is_passed_over(receiver: Receiver) -> None:
    receiver.deliver([row(1)])
    receiver.deliver([row(2), row(3)])
    path = receiver.compact()
    assert path
    receiver.state.put(path, b"x")
    assert receiver.read() == receiver.held[receiver.committed[-1].id]


def test_a_widened_key(tmp_path: Path) -> None:
    receiver = Receiver(LocalDestination(tmp_path))
    receiver.deliver([row(1)])
    wide = frame([row(1, 2)]).with_columns(pl.col("key_1").cast(pl.Int64))
    found = held.write(receiver.state, delivery := receiver.next(), str(uuid4()), wide, whole=False)
    receiver.commit(delivery.model_copy(update={"counts": Counts(held=found)}), [row(1, 2)], whole=False)
    assert receiver.read() == receiver.held[delivery.id]


def test_pruning_keeps_what_two_whole_files_need(receiver: Receiver) -> None:
    for number, whole in enumerate([True, False, True, False, False, True, False]):
        receiver.deliver([row(number)], whole=whole)
    receiver.prune()
    assert sorted(path.rpartition("/")[2][:8] for path in receiver.files()) == [f"{number:08}" for number in (3, 4, 5, 6, 7)]
    receiver.is_right()


def test_pruning_removes_what_lost_and_leaves_what_may_still_run(receiver: Receiver) -> None:
    receiver.deliver([row(1)])
    delivery = receiver.next()
    losing = receiver.write(delivery, [row(8)], whole=False)
    receiver.commit(receiver.write(delivery, [row(2)], whole=False), [row(2)], whole=False)
    covered = receiver.write(receiver.next(), [row(7)], whole=False)
    of_another_chain = receiver.write(receiver.next(new_chain=True), [row(6)], whole=True)
    receiver.covered += [covered.id, of_another_chain.id]
    receiver.deliver([row(3)])
    running = [receiver.write(receiver.next(), [row(9)], whole=False), receiver.write(receiver.next(new_chain=True), [row(9)], whole=True)]
    receiver.state.put("acme/commerce_to_lake/orders/README", b"of somebody else")
    receiver.prune()
    left = receiver.files()
    for gone in (losing, covered, of_another_chain):
        assert file_of(gone) not in left
    for kept in (*receiver.chain, *running):
        assert file_of(kept) in left
    assert "acme/commerce_to_lake/orders/README" in left
    receiver.is_right()


def test_an_earlier_chain_goes_once_a_new_one_is_delivered(receiver: Receiver) -> None:
    receiver.deliver([row(1)])
    receiver.deliver([row(2)])
    receiver.deliver([row(3)], new_chain=True)
    receiver.prune()
    assert receiver.files() == [file_of(receiver.chain[0])]
    receiver.is_right()


def test_a_renamed_member_is_read_and_pruned_in_both_folders(tmp_path: Path) -> None:
    receiver = Receiver(LocalDestination(tmp_path))
    receiver.deliver([row(1)])
    renamed = receiver.next().model_copy(update={"member": "orders_new", "export": "to_lake"})
    receiver.commit(receiver.write(renamed, [row(2)], whole=False), [row(2)], whole=False)
    receiver.is_right()
    for number in (3, 4):
        delivery = receiver.next().model_copy(update={"member": "orders_new", "export": "to_lake"})
        receiver.commit(receiver.write(delivery, [row(number)], whole=True), [row(number)], whole=True)
    receiver.prune()
    assert {path.split("/")[1] for path in receiver.files()} == {"to_lake"}
    receiver.is_right()


def test_the_temporary_folder_is_full(tmp_path: Path, mounts: _Mounts) -> None:
    receiver = Receiver(LocalDestination(tmp_path / "state"))
    receiver.deliver([row(number, number * 0x9E3779B97F4A7C15) for number in range(300_000)])
    small = mounts.full(tmp_path / "small", 1)
    with pytest.raises(TerminalError, match="does not fit"):
        held.read(receiver.state, receiver.chain, small)
    assert held_upkeep.compact(receiver.state, receiver.chain, small, memory_limit=MEMORY) is None


class Killed(BaseException):
    pass


class Dying:
    """A state folder whose process is killed before its n-th step."""

    def __init__(self, state: FileDestination, steps: int) -> None:
        self.state, self.steps = state, steps

    def _step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Killed

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._step()
            return getattr(self.state, name)(*arguments, **named)

        return call

    def open(self, path: str) -> DyingWriter:
        self._step()
        return DyingWriter(self, self.state.open(path))

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._step()
            self.state.delete([path])


class DyingWriter:
    def __init__(self, state: Dying, writer: FileWriter) -> None:
        self.state, self.writer = state, writer

    def write(self, data: bytes, /) -> int:
        self.state._step()
        return self.writer.write(data)

    def close(self) -> Any:
        self.state._step()
        return self.writer.close()

    def abort(self) -> None:
        """Who was killed does nothing any more."""


CHANGES = st.lists(st.builds(row, st.integers(0, 4), st.integers(0, 3), gone=st.booleans()), max_size=4, unique_by=lambda one: one[1])
STEP = st.one_of(
    st.tuples(st.sampled_from(["whole", "changes", "changes", "new_chain", "lose", "cover"]), CHANGES, st.just(99)),
    st.tuples(st.sampled_from(["compact", "prune"]), st.just([]), st.one_of(st.just(99), st.integers(0, 6))),
    st.tuples(st.just("killed"), CHANGES, st.integers(0, 3)),
)


def _alive(rows: Iterable[Row]) -> list[Row]:
    return [one for one in rows if not one[-1]]


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(STEP, max_size=14))
def test_whatever_happens_the_state_is_what_was_applied(steps: list[tuple[str, list[Row], int]]) -> None:
    """Each step may be killed before any of its own."""
    with tempfile.TemporaryDirectory() as folder:
        _whatever_happens(Receiver(LocalDestination(Path(folder))), steps)


def _whatever_happens(receiver: Receiver, steps: list[tuple[str, list[Row], int]]) -> None:
    receiver.deliver([row(0), row(1)])
    for kind, rows, lives in steps:
        dying: Any = Dying(receiver.state, lives)
        try:
            match kind:
                case "whole" | "new_chain":
                    receiver.deliver(_alive(rows), whole=True, new_chain=kind == "new_chain")
                case "changes":
                    receiver.deliver(rows)
                case "lose":
                    delivery = receiver.next()
                    receiver.write(delivery, [row(4, 3)], whole=False)
                    receiver.commit(receiver.write(delivery, rows, whole=False), rows, whole=False)
                case "cover":
                    receiver.covered.append(receiver.write(receiver.next(), rows, whole=False).id)
                case "killed":
                    receiver.write(receiver.next(), rows, whole=False, state=dying)
                case "compact":
                    receiver.compact(dying)
                case _:
                    receiver.prune(dying)
        except Killed:
            pass
        receiver.is_right()
    receiver.prune()
    receiver.is_right()
    assert len([path for path in receiver.files() if ".whole." in path or ".compacted." in path]) <= 4


@pytest.fixture
def s3(bucket: Bucket) -> Iterator[Receiver]:
    yield Receiver(open_bucket(bucket))
    assert [path for path in bucket.open_uploads() if "compacted" not in path] == []


def test_it_happens_in_a_bucket_too(s3: Receiver) -> None:
    _whatever_happens(
        s3,
        [
            ("changes", [row(1, 2), row(2), row(3)], 99),
            ("compact", [], 99),
            ("lose", [row(1, gone=True)], 99),
            ("cover", [row(2, gone=True)], 99),
            ("changes", [row(4), row(0, 3)], 99),
            ("prune", [], 1),
            ("changes", [row(1), row(0, gone=True)], 99),
            ("compact", [], 3),
            ("compact", [], 99),
            ("prune", [], 99),
            ("new_chain", [row(1)], 99),
        ],
    )
