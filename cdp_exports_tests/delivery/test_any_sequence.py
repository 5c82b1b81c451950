"""Any sequence of commits, runs, crashes, retries, early and repeated export times: nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import deltalake
import polars as pl
from deltalake.schema import PrimitiveType
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.resolving import resolve
from cdp_exports.delivery.verifying import verify
from cdp_exports.ledger.records import Delivery
from cdp_exports.sources.source import Difference, Source
from cdp_exports_tests.delivery.crash import DESTINATION_STEPS, LEDGER_STEPS, WRITER_STEPS
from cdp_exports_tests.delivery.world import TIMES, Row, World, hurry

ROWS = st.dictionaries(st.integers(0, 12), st.sampled_from(["a", "b", "", None]), min_size=1, max_size=5)
IDS = st.sets(st.integers(0, 12), min_size=1, max_size=4)


class Killed(BaseException):
    """The process is gone: nothing it would still do happens."""


class Dying:
    """Passes calls on until it dies; from then on every call dies."""

    def __init__(self, watched: Any, names: set[str], life: list[int]) -> None:
        self._watched, self._names, self._life = watched, names, life

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._watched, name)
        if not callable(value):
            return value

        def step(*args: Any, **kwargs: Any) -> Any:
            self._life[0] -= name in self._names
            if self._life[0] < 0:
                raise Killed
            result = value(*args, **kwargs)
            return Dying(result, WRITER_STEPS, self._life) if name == "open" else result

        return step


class Comparing:
    """A source that always compares snapshots."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def difference(self, after: int, upto: int) -> Difference:
        return self._source.difference(after, upto, "delta-snapshots")


class AnySequence(RuleBasedStateMachine):
    """One export of one table, keyed or not."""

    feed: ClassVar[bool] = True
    snapshots: ClassVar[bool] = False
    export: ClassVar[Mapping[str, Any]] = {}

    @initialize(keyed=st.booleans())
    def begin(self, keyed: bool) -> None:
        hurry(60.0)
        self.keyed, self.clock = keyed, 0
        self.world = World.create(Path(tempfile.mkdtemp()), dataset={} if keyed else {"key": []}, export=self.export)
        context = self.world.context
        if self.snapshots:
            self.world.__dict__["context"] = replace(context, open_source=lambda dataset: Comparing(context.open_source(dataset)))  # type: ignore[return-value, arg-type]
        self.world.write([{"id": 0, "v": "a"}], feed=self.feed)
        self.committed: dict[str, Delivery] = {}

    # -- the table
    @property
    def table(self) -> deltalake.DeltaTable:
        return deltalake.DeltaTable(self.world.table)

    def arrow(self, rows: dict[int, str | None]) -> Any:
        return pl.DataFrame({"id": list(rows), "v": list(rows.values())}, schema={"id": pl.Int64, "v": pl.String}).to_arrow()

    @rule(rows=ROWS)
    def upsert(self, rows: dict[int, str | None]) -> None:
        merge = self.table.merge(self.arrow(rows), "s.id = t.id", source_alias="s", target_alias="t")
        merge.when_matched_update(updates={"v": "s.v"}).when_not_matched_insert(updates={"id": "s.id", "v": "s.v"}).execute()

    @precondition(lambda self: not self.keyed)
    @rule(rows=ROWS)
    def append(self, rows: dict[int, str | None]) -> None:
        deltalake.write_deltalake(self.world.table, self.arrow(rows), mode="append", schema_mode="merge")

    @rule(ids=IDS)
    def delete(self, ids: set[int]) -> None:
        self.table.delete(f"id IN ({', '.join(map(str, ids))})")

    @rule(ids=IDS, value=st.sampled_from(["c", "a"]))
    def update(self, ids: set[int], value: str) -> None:
        self.table.update(predicate=f"id IN ({', '.join(map(str, ids))})", updates={"v": f"'{value}'"})

    @rule(rows=ROWS)
    def overwrite(self, rows: dict[int, str | None]) -> None:
        deltalake.write_deltalake(self.world.table, self.arrow(rows), mode="overwrite", schema_mode="overwrite")

    @rule()
    def optimize(self) -> None:
        self.table.optimize.compact()

    @rule()
    def add_a_column(self) -> None:
        name = f"w{len(self.table.schema().fields)}"
        self.table.alter.add_columns(deltalake.Field(name, PrimitiveType("long"), nullable=True))

    # -- the runs
    @rule(skip=st.integers(1, 3))
    def run(self, skip: int) -> None:
        self.clock += skip
        self.deliver(self.clock)

    @rule(back=st.integers(0, 3))
    def run_an_earlier_or_the_same_time_again(self, back: int) -> None:
        time = max(0, self.clock - back)
        outcome = self.deliver(time)
        if TIMES[time] in self.committed:
            assert not outcome.sent

    @rule(life=st.integers(0, 16), skip=st.integers(0, 2))
    def crash(self, life: int, skip: int) -> None:
        self.clock += skip
        with self.dying(life):
            try:
                self.world.deliver(TIMES[self.clock], run_id="dying")
            except Killed:
                self.release()

    @contextmanager
    def dying(self, life: int) -> Generator[None]:
        context, left = self.world.context, [life]
        destination = Dying(self.world.destination, DESTINATION_STEPS, left)
        self.world.__dict__["context"] = replace(
            context, ledger=Dying(context.ledger, LEDGER_STEPS, left), open_destination=lambda _: destination
        )  # type: ignore[arg-type, return-value]
        try:
            yield
        finally:
            self.world.__dict__["context"] = context

    def release(self) -> None:
        """What the end of the lease does."""
        holder = self.world.ledger.holder("test", "orders_out")
        if holder is not None:
            self.world.ledger.release(holder)

    def deliver(self, time: int) -> Outcome:
        outcome = self.world.deliver(TIMES[time])
        if outcome.error is not None and outcome.error.code == "in_doubt":
            for delivery in self.world.member.open_deliveries():
                resolve(self.world.member, delivery.export_time, delivered=False, run_id="person")
            outcome = self.world.deliver(TIMES[time])
        assert outcome.status == "committed" or (outcome.skip is not None and outcome.skip.reason == "covered_by"), outcome
        return outcome

    # -- what must be true after every step
    @invariant()
    def every_delivery_is_the_net_change_between_its_versions(self) -> None:
        if not hasattr(self, "world"):
            return
        deliveries = self.world.ledger.committed("test", ("orders_out",), ("orders",))
        previous: Delivery | None = None
        for delivery in deliveries:
            source = delivery.pin.sources[0]
            assert source.after_version == (previous.pin.sources[0].upto_version if previous else None), "contiguous"
            if str(delivery.export_time) in self.committed:
                assert self.committed[str(delivery.export_time)] == as_committed(delivery), "what was committed stays"
            else:
                if delivery in self.standing(deliveries):
                    self.check(delivery)
                self.committed[str(delivery.export_time)] = as_committed(delivery)
            previous = delivery

    def standing(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Those whose files are there: under fixed names the newest delivery's."""
        return deliveries[-1:] if self.export.get("overwrite") else deliveries

    def check(self, delivery: Delivery) -> None:
        source = delivery.pin.sources[0]
        document = next(found for found in self.world.manifests() if found["delivery"] == delivery.id)
        delivered = Counter(self.world._changes(document))
        columns = sorted(column["name"] for column in document["schema"] if column["name"] != "_change_type")
        old = self.rows_at(source.after_version, columns)
        new = self.rows_at(source.upto_version, columns)
        expected = (
            net_by_key(old, new, columns.index("id"))
            if self.keyed
            else Counter({("insert", row): n for row, n in (new - old).items()} | {("delete", row): n for row, n in (old - new).items()})
        )
        assert delivered == expected

    def rows_at(self, version: int | None, columns: list[str]) -> Counter[Row]:
        if version is None:
            return Counter()
        frame = pl.from_arrow(deltalake.DeltaTable(self.world.table, version=version).to_pyarrow_table())
        assert isinstance(frame, pl.DataFrame)
        missing = [pl.lit(None).alias(name) for name in columns if name not in frame.columns]
        return Counter(frame.with_columns(missing).select(columns).rows())

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.clock += 1
            self.deliver(self.clock)
            self.every_delivery_is_the_net_change_between_its_versions()
            assert all(not verdict.differences for verdict in verify(self.world.member))
            there = self.standing(self.world.ledger.committed("test", ("orders_out",), ("orders",)))
            assert self.world.data_files() == {file.path for delivery in there for file in delivery.files}
            ids = {delivery.id for delivery in there}
            documents = [document for document in self.world.manifests() if document["delivery"] in ids]
            listed = {f"{document['folder']}/{file['path']}" for document in documents for file in document["files"]}
            assert self.world.data_files() == listed
        finally:
            self.world.ledger.close()
            shutil.rmtree(self.world.folder)


def net_by_key(old: Counter[Row], new: Counter[Row], key: int) -> Counter[tuple[str, Row]]:
    """The net change from scratch."""
    before, after = ({row[key]: row for row in rows} for rows in (old, new))
    changes = [("insert", row) for k, row in after.items() if k not in before]
    changes += [("update", row) for k, row in after.items() if k in before and before[k] != row]
    changes += [("delete", row) for k, row in before.items() if k not in after]
    return Counter(changes)


def as_committed(delivery: Delivery) -> Delivery:
    """Whatever was removed since, because a later delivery has its names."""
    return delivery.model_copy(update={"files": tuple(file.model_copy(update={"removed": False}) for file in delivery.files)})


class WithoutFeed(AnySequence):
    feed = False


class BySnapshots(AnySequence):
    snapshots = True


class InOneFolder(AnySequence):
    export: ClassVar[Mapping[str, Any]] = {"path": "drop", "file_name": "{dataset_id}_{export_time}"}


class UnderFixedNames(AnySequence):
    export: ClassVar[Mapping[str, Any]] = {
        "path": "drop",
        "file_name": "latest",
        "overwrite": True,
        "format": {"type": "parquet", "max_rows_per_file": 3},
    }


SETTINGS = settings(
    max_examples=10,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestByFeed = AnySequence.TestCase
TestByFeed.settings = SETTINGS
TestByFiles = WithoutFeed.TestCase
TestByFiles.settings = SETTINGS
TestBySnapshots = BySnapshots.TestCase
TestBySnapshots.settings = SETTINGS
TestInOneFolder = InOneFolder.TestCase
TestInOneFolder.settings = SETTINGS
TestUnderFixedNames = UnderFixedNames.TestCase
TestUnderFixedNames.settings = SETTINGS
