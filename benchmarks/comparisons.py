"""The comparisons, in the order they are run: what an earlier one delivered, a later one builds on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import profiles, uploads, world
from benchmarks.content import assert_same
from benchmarks.measuring import Measured, by_turns, measured, run, timed
from benchmarks.results import Result
from benchmarks.tables import change, generate

BASE, NEXT = "202601010000", "202601010001"
"""Export times, long past."""

_GIB = 2**30

_WAYS = {
    "changes": "from the changes alone",
    "touched": "deduplicated: with the groups touched",
    "compared": "by a query: everybody compared",
}


@dataclass(frozen=True)
class Sizes:
    """Rows of the tables, exports of the catalogs, size of an upload, and how often each measurement is repeated."""

    rows: int
    text_rows: int
    times: int
    exports: tuple[int, int]
    megabytes: int
    repeats: int


FULL_SIZE = Sizes(rows=5_000_000, text_rows=1_000_000, times=10, exports=(10, 1000), megabytes=208, repeats=5)
QUICK = Sizes(rows=200_000, text_rows=100_000, times=10, exports=(10, 100), megabytes=64, repeats=1)


@dataclass
class Run:
    """One run in a folder."""

    folder: Path
    sizes: Sizes

    def all(self) -> dict[str, Callable[[], Iterator[Result]]]:
        return {
            "parquet": self.parquet,
            "s3": self.s3,
            "text": self.text,
            "growth": self.growth,
            "uploads": self.uploads,
            "segments": self.segments,
            "loading": self.loading,
            "ticks": self.ticks,
        }

    def parquet(self) -> Iterator[Result]:
        """A full delivery against a bare sink."""
        table = self._table(self.sizes.rows)
        bare = self._file("bare.parquet")

        def here(repeat: int) -> Measured:
            return self._full(table, f"full-{repeat}", format={"type": "parquet"})

        ours, floor = by_turns(self.sizes.repeats, here, lambda _: run("polars_sink", table=str(table), version=1, to=bare))
        rows = assert_same("full Parquet delivery", world.delivered(self.folder / "full-0", BASE), [bare])
        yield _seconds(f"full delivery of {rows:,} rows to Parquet", ours, "Polars sink", floor, target=1.25)

    def s3(self) -> Iterator[Result]:
        """The same to an S3 server on this machine."""
        from cdp_exports_tests.servers.seaweedfs import ADMIN, EXPORTS, REGION, SeaweedServer

        table = self._table(self.sizes.rows)
        server = SeaweedServer()
        server.start()
        try:
            os.environ["BENCH_KEY"], os.environ["BENCH_SECRET"] = ADMIN.access_key_id, ADMIN.secret_access_key
            connection = {
                "type": "s3",
                "bucket": EXPORTS,
                "endpoint_url": server.url,
                "access_key_id": {"env": "BENCH_KEY"},
                "secret_access_key": {"env": "BENCH_SECRET"},
            }
            options = {
                "aws_endpoint_url": server.url,
                "aws_region": REGION,
                "aws_access_key_id": ADMIN.access_key_id,
                "aws_secret_access_key": ADMIN.secret_access_key,
            }

            def here(repeat: int) -> Measured:
                return self._full(table, "s3", connection={**connection, "folder": f"run{repeat}"}, format={"type": "parquet"})

            def there(_: int) -> Measured:
                return run("polars_sink", table=str(table), version=1, to=f"s3://{EXPORTS}/bare.parquet", options=options)

            ours, floor = by_turns(min(self.sizes.repeats, 3), here, there)
            client = server_client(server.url)
            names = [entry["Key"] for entry in client.list_objects_v2(Bucket=EXPORTS)["Contents"]]
            both = [next(name for name in names if name.startswith("run0/") and name.endswith(".parquet")), "bare.parquet"]
            files = [self._file(f"s3-{index}.parquet") for index in range(2)]
            for name, file in zip(both, files, strict=True):
                client.download_file(EXPORTS, name, file)
        finally:
            server.stop()
        rows = assert_same("full Parquet delivery to S3", files[:1], files[1:])
        yield _seconds(f"full delivery of {rows:,} rows to Parquet on S3", ours, "Polars sink", floor)

    def text(self) -> Iterator[Result]:
        """Compressed text: time and size."""
        table = self._table(self.sizes.text_rows)
        for kind, word, name in (("json", "NDJSON", "bare.ndjson.gz"), ("csv", "CSV", "bare.csv.gz")):
            bare = self._file(name)

            def here(repeat: int, kind: str = kind) -> Measured:
                return self._full(table, f"text-{kind}", format={"type": kind})

            def there(repeat: int, bare: str = bare) -> Measured:
                return run("polars_sink", table=str(table), version=1, to=bare)

            ours, floor = by_turns(min(self.sizes.repeats, 3), here, there)
            files = world.delivered(self.folder / f"text-{kind}", BASE)
            rows = assert_same(f"full {word} delivery", files, [bare])
            yield _faster(f"full delivery of {rows:,} rows to gzip {word}", ours, "Polars gzip sink", floor, target=3.5)
            sizes = [sum(Path(file).stat().st_size for file in written) for written in (files, [bare])]
            shown = [f"{size / 1e6:,.1f} MB" for size in sizes]
            yield Result(f"its size ({word})", shown[0], "Polars gzip sink", shown[1], sizes[0] / sizes[1], 1.25)

    def growth(self) -> Iterator[Result]:
        """Increments and memory, on a table and on one many times as large."""
        small, large = self.sizes.rows, self.sizes.rows * self.sizes.times
        tables = [self._table(small), self._table(large)]
        names = [f"base-{rows}" for rows in (small, large)]
        fulls = [self._full(table, name, format={"type": "parquet"}, changes="all") for table, name in zip(tables, names, strict=True)]
        for table, name in zip(tables, names, strict=True):
            world.keep(self.folder / name)
            files = [path for path in table.iterdir() if path.suffix == ".parquet"]
            assert_same("full Parquet delivery", files, world.delivered(self.folder / name, BASE), change_types=False)
        changed = [change(table, small // 100) for table in tables]
        outputs = [self._file("join.parquet"), self._file("except.parquet")]

        def increment(which: int) -> Callable[[int], Measured]:
            def here(repeat: int) -> Measured:
                return run("deliver", world=str(world.back(self.folder / names[which], NEXT)), export_time=NEXT)

            return here

        def compared(task: str, to: str) -> Callable[[int], Measured]:
            return lambda _: run(task, table=str(tables[0]), after=1, upto=4, to=to)

        ours, grown = by_turns(self.sizes.repeats, increment(0), increment(1))
        joined, excepted = by_turns(min(self.sizes.repeats, 3), compared("duckdb_join", outputs[0]), compared("duckdb_except", outputs[1]))
        found = [world.delivered(self.folder / name, NEXT) for name in names]
        rows = assert_same("increment", found[0], outputs[:1], outputs[1:])
        assert rows == changed[0]
        assert assert_same("increment of the large table", found[1]) == changed[1]
        floor, way = min((joined, "full join"), (excepted, "EXCEPT"), key=lambda pair: pair[0].seconds)
        yield _faster(f"increment of {rows:,} changed rows of {small:,}, by the change feed", ours, f"DuckDB {way}", floor, target=30)
        yield _seconds(f"increment of {changed[1]:,} changed rows of {large:,}", grown, f"of {small:,}", ours, target=1.3)
        yield _memory(f"memory of a full delivery of {large:,} rows", fulls[1], f"of {small:,}", fulls[0])
        yield _memory(f"memory of the increment of {large:,} rows", grown, f"of {small:,}", ours)
        peak = max(one.peak for one in (*fulls, ours, grown))
        yield Result("largest memory of all", f"{peak / 2**20:,.0f} MiB", "1 GiB", "1,024 MiB", peak / _GIB, 1)

    def uploads(self) -> Iterator[Result]:
        """Files as deliveries send them, against the client libraries."""
        megabytes = self.sizes.megabytes
        sent = uploads.digest(uploads.content() * (megabytes // 8))
        peaks: list[int] = []
        with uploads.places() as places:
            for name, place in places.items():
                arguments = {"declared": dict(place.declared), "environ": dict(place.environ), "megabytes": megabytes}

                def here(_: int, arguments: dict[str, Any] = arguments) -> Measured:
                    return run("upload_here", path="here", **arguments)

                def there(_: int, arguments: dict[str, Any] = arguments) -> Measured:
                    return run("upload_bare", path="there", **arguments)

                ours, floor = by_turns(min(self.sizes.repeats, 3), here, there)
                stored = uploads.opened(place.declared, place.environ)
                assert all(uploads.digest(stored.stream(path) or ()) == sent for path in ("here", "there"))
                stored.delete(["here", "there", "ready"])
                speeds = [f"{megabytes * 1.048576 / one.seconds:,.0f} MB/s" for one in (ours, floor)]
                work = f"{megabytes} MiB to {name}, proved"
                yield Result(work, speeds[0], f"bare {place.client}", speeds[1], floor.seconds / ours.seconds, 0.8, at_least=True)
                peaks.append(ours.peak)
        yield Result("largest memory of the uploads", f"{max(peaks) / 2**20:,.0f} MiB", "1 GiB", "1,024 MiB", max(peaks) / _GIB, 1)

    def segments(self) -> Iterator[Result]:
        """A segment of the profiles: everybody, then what changed, found in each way."""
        table = profiles.generate(self.folder, self.sizes.rows)
        repeats = min(self.sizes.repeats, 3)
        peaks: list[int] = []
        for kind, word, name in (("parquet", "Parquet", "members.parquet"), ("csv", "gzip CSV", "members.csv.gz")):
            place = world.declare_segment(
                self.folder / f"segment-{kind}", table, *profiles.WAYS["changes"], mode="full", format={"type": kind}
            )
            bare = self._file(name)

            def here(repeat: int, place: Path = place) -> Measured:
                return run("deliver", world=str(world.emptied(place)), export_time=BASE)

            def there(_: int, bare: str = bare) -> Measured:
                return run("duckdb_segment", table=str(table), version=1, to=bare)

            ours, floor = by_turns(repeats, here, there)
            rows = assert_same(f"segment to {word}", world.delivered(place, BASE), [bare], types=profiles.OUTPUT)
            work = f"segment of {rows:,} among {self.sizes.rows:,} profiles in full to {word}"
            yield _seconds(work, ours, "DuckDB COPY", floor) if kind == "parquet" else _faster(work, ours, "DuckDB COPY", floor)
            peaks.append(ours.peak)
        places = {way: self._first(way, table) for way in profiles.WAYS}
        profiles.change(table, self.sizes.rows)
        for way, place in places.items():
            compared = self._file(f"segment-{way}.parquet")

            def increment(_: int, place: Path = place) -> Measured:
                return run("deliver", world=str(world.back(place, NEXT)), export_time=NEXT)

            def by_hand(_: int, way: str = way, to: str = compared) -> Measured:
                return run("duckdb_segment_change", table=str(table), after=1, upto=4, to=to, deduplicated=way == "touched")

            ours, floor = by_turns(repeats, increment, by_hand)
            rows = assert_same(f"segment's increment ({way})", world.delivered(place, NEXT), [compared])
            assert world.way(place) == way
            work = f"its increment of {rows:,} rows, {_WAYS[way]}"
            yield _faster(work, ours, "DuckDB full join", floor, target=30 if way == "changes" else None)
            peaks.append(ours.peak)
        yield Result("largest memory of the segments", f"{max(peaks) / 2**20:,.0f} MiB", "1 GiB", "1,024 MiB", max(peaks) / _GIB, 1)

    def _first(self, way: str, table: Path) -> Path:
        """A first delivery, kept."""
        segment, export = profiles.WAYS[way]
        place = world.declare_segment(self.folder / f"segment-{way}", table, segment, export, format={"type": "parquet"})
        run("deliver", world=str(place), export_time=BASE)
        world.keep(place)
        return place

    def loading(self) -> Iterator[Result]:
        """The whole process that loads a code location."""
        few, many = self.sizes.exports
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")

        def loaded(exports: int) -> Callable[[int], Measured]:
            catalog = _catalog(self.folder / f"catalog-{exports}", exports)
            environ = {**os.environ, "CDP_EXPORTS_CATALOG": str(catalog), "DAGSTER_HOME": str(home)}
            command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-m", "cdp_exports.definitions"]
            return lambda _: timed(command, environ)

        small, large = by_turns(self.sizes.repeats, loaded(few), loaded(many))
        yield _seconds(f"code location with {many:,} exports loads", large, f"with {few}", small, target=2)

    def ticks(self) -> Iterator[Result]:
        """The refresh sensor over many exports: idle, and all due at once."""
        _, exports = self.sizes.exports
        folder = self.folder / "ticks"
        folder.mkdir()
        found = measured("benchmarks.ticks", str(folder), str(exports))
        refreshes = f"refresh sensor, {exports:,} exports"
        yield _within(f"{refreshes}: a tick with nothing due", found["idle"], "limit", 1)
        yield _within(f"{refreshes}: the first tick", found["first"], "Dagster's limit", 60)
        due = f"{refreshes}: the slowest of {found['due_ticks']:.0f} ticks that start all of them"
        yield _within(due, found["due"], "Dagster's limit", 60)

    def _table(self, rows: int) -> Path:
        table = self.folder / "tables" / str(rows)
        return table if table.exists() else generate(self.folder, rows)

    def _full(self, table: Path, name: str, **declared: Any) -> Measured:
        place = world.declare(self.folder / name, table, **declared)
        return run("deliver", world=str(place), export_time=BASE)

    def _file(self, name: str) -> str:
        return str(self.folder / name)


def server_client(url: str) -> Any:
    from cdp_exports_tests.servers.seaweedfs import s3_client

    return s3_client(url)


def emptied(folder: Path) -> Path:
    """Without anything an earlier run left but the generated files."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.name != "raw":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return folder


def _catalog(folder: Path, exports: int) -> Path:
    for name in ("connections", "datasets", "exports"):
        (folder / "catalog" / name).mkdir(parents=True, exist_ok=True)
    (folder / "catalog" / "environment.yaml").write_text("name: bench\n")
    (folder / "catalog" / "connections" / "lake.yaml").write_text("type: local\nfolder: out\n")
    for number in range(exports):
        dataset = f"role: event\nsource: {{format: delta, uri: data/d{number}}}\nkey: [id]\n"
        export = f"kind: dataset\nconnection: lake\ndatasets: [d{number}]\nschedule: {{every: 3h}}\nformat: {{type: parquet}}\n"
        (folder / "catalog" / "datasets" / f"d{number}.yaml").write_text(dataset)
        (folder / "catalog" / "exports" / f"e{number}.yaml").write_text(export)
    return folder / "catalog"


def _seconds(work: str, here: Measured, compared_with: str, there: Measured, target: float | None = None) -> Result:
    return Result(work, f"{here.seconds:.2f} s", compared_with, f"{there.seconds:.2f} s", here.seconds / there.seconds, target)


def _within(work: str, seconds: float, compared_with: str, limit: float) -> Result:
    return Result(work, f"{seconds:.2f} s", compared_with, f"{limit:.2f} s", seconds / limit, 1)


def _faster(work: str, here: Measured, compared_with: str, there: Measured, target: float | None = None) -> Result:
    ratio = there.seconds / here.seconds
    return Result(work, f"{here.seconds:.2f} s", compared_with, f"{there.seconds:.2f} s", ratio, target, at_least=True, unit="x faster")


def _memory(work: str, here: Measured, compared_with: str, there: Measured) -> Result:
    return Result(work, f"{here.peak / 2**20:,.0f} MiB", compared_with, f"{there.peak / 2**20:,.0f} MiB", here.peak / there.peak, 1.3)
