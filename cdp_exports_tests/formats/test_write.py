"""Streaming, splitting, counting, and what happens when something on the way fails."""

from __future__ import annotations

import io
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.io.plugins import register_io_source
from polars.testing import assert_frame_equal

from cdp_exports.entities.file_format import CsvFormat, Format, JsonFormat, ParquetFormat
from cdp_exports.errors import CannotHold, TransientError
from cdp_exports.formats.count import count_rows
from cdp_exports.formats.write import write
from cdp_exports_tests.formats.memory import only, written

if TYPE_CHECKING:
    from cdp_exports.formats.writing import WrittenFile

FORMATS = [
    pytest.param(format, id=f"{format.type}-{format.compression}")
    for format in (
        ParquetFormat(),
        JsonFormat(type="json"),
        JsonFormat(type="json", compression="none"),
        CsvFormat(type="csv"),
        CsvFormat(type="csv", compression="none"),
    )
]


class Stream:
    """A stream that calls `before` with the number of the write, from 1, before each."""

    def __init__(self, before: Callable[[int], object]) -> None:
        self.before = before
        self.writes = 0
        self.bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self.writes += 1
        self.before(self.writes)
        self.bytes += len(data)
        return len(data)


def numbers(batches: int, rows: int = 50_000, *, made: list[int] | None = None) -> pl.LazyFrame:
    """Rows that do not compress away, made batch by batch; `made` counts the batches."""

    def source(_columns: object, _predicate: object, _n_rows: object, _batch_size: object) -> Iterator[pl.DataFrame]:
        for batch in range(batches):
            if made is not None:
                made.append(batch)
            yield pl.DataFrame({"id": pl.int_range(batch * rows, (batch + 1) * rows, eager=True)}).with_columns(noise=pl.col("id").hash())

    return register_io_source(source, schema={"id": pl.Int64(), "noise": pl.UInt64()})


def settled(made: list[int]) -> int:
    """How many batches there are once no more are made."""
    before = -1
    while before != (before := len(made)):
        time.sleep(0.3)
    return before


@settings(deadline=None, max_examples=40)
@example(rows=0, size=1, chunks=1, kind=0)
@example(rows=6, size=3, chunks=2, kind=1)
@given(rows=st.integers(0, 40), size=st.integers(1, 45), chunks=st.integers(1, 4), kind=st.integers(0, 2))
def test_split_exactly(rows: int, size: int, chunks: int, kind: int) -> None:
    parts = [pl.DataFrame({"id": pl.Series(range(rows)[i::chunks], dtype=pl.Int64)}) for i in range(chunks)]
    table = pl.concat(parts, rechunk=False)
    format: Format = [
        ParquetFormat(max_rows_per_file=size),
        JsonFormat(type="json", max_rows_per_file=size),
        CsvFormat(type="csv", max_rows_per_file=size),
    ][kind]
    files = written(pl.concat([part.lazy() for part in parts]), format)
    assert [file.rows for file, _ in files] == [size] * (rows // size) + [rows % size] * (rows % size > 0)
    if kind == 0 and files:
        assert_frame_equal(pl.concat([pl.read_parquet(content) for _, content in files]), table)


@pytest.mark.parametrize("format", FORMATS)
def test_counts_of_many_rows(format: Format) -> None:
    files = written(numbers(6), format.model_copy(update={"max_rows_per_file": 70_001}))
    assert [file.rows for file, _ in files] == [70_001] * 4 + [19_996]

    for file, content in files:
        assert count_rows(io.BytesIO(content), format) == file.rows


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(0, 40), size=st.integers(1, 45), most=st.integers(1, 4), kind=st.integers(0, 2))
def test_of_the_most_files_the_last_takes_the_rest(rows: int, size: int, most: int, kind: int) -> None:
    format: Format = [
        ParquetFormat(max_rows_per_file=size, max_files=most),
        JsonFormat(type="json", max_rows_per_file=size, max_files=most),
        CsvFormat(type="csv", max_rows_per_file=size, max_files=most),
    ][kind]
    table = pl.DataFrame({"id": pl.int_range(rows, eager=True)})
    files = written(table, format)
    full = [size] * min(rows // size, most - 1)
    assert [file.rows for file, _ in files] == full + [rows - sum(full)] * (rows > sum(full))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("most", "expected", "rows"),
    [
        (2, 300_000, [150_000, 150_000]),
        (5, 300_000, [100_000, 100_000, 100_000]),
        (4, 299_999, [100_000, 100_000, 99_999 + 1]),
        (2, 100_000, [100_000, 200_000]),
        (1, 300_000, [300_000]),
        (5, None, [300_000]),
    ],
)
def test_rows_are_spread_over_the_files(format: Format, most: int, expected: int | None, rows: list[int]) -> None:
    files = written(numbers(6), format.model_copy(update={"max_files": most}), expected)
    assert [file.rows for file, _ in files] == rows


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_no_file(format: Format) -> None:
    assert written(pl.LazyFrame(schema={"id": pl.Int64()}), format) == []


def test_no_rows_no_file_however_large_the_footer() -> None:
    schema = {f"a column with a name of some length, number {number}": pl.Int64() for number in range(20_000)}
    assert written(pl.LazyFrame(schema=schema), ParquetFormat()) == []
    empty = io.BytesIO()
    pl.LazyFrame(schema=schema).sink_parquet(empty)
    assert len(empty.getvalue()) > 2 << 20  # more than is gathered before a chunk is sent


def test_no_columns() -> None:
    with pytest.raises(CannotHold, match="no column"):
        written(pl.LazyFrame(), ParquetFormat())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "error", [TransientError("Cut.", next_step="Wait."), KeyboardInterrupt(), OSError("disk")], ids=lambda error: type(error).__name__
)
@pytest.mark.parametrize("at", [1, 3])
def test_what_a_stream_raises_arrives_as_itself_and_stops_the_query(format: Format, error: BaseException, at: int) -> None:
    made: list[int] = []

    def before(number: int) -> None:
        if number == at:
            raise error

    done: list[WrittenFile] = []
    with pytest.raises(type(error)) as caught:
        write(numbers(2_000, made=made), format, lambda _: Stream(before), done.append)
    assert caught.value is error
    assert done == []
    assert not [thread for thread in threading.enumerate() if thread.name == "cdp-exports-encoder"]
    assert settled(made) < 500


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("where", ["open", "done", "progress"])
def test_what_callbacks_raise_arrives_as_itself(format: Format, where: str) -> None:
    error = TransientError("No.", next_step="Wait.")

    def fail(called: str) -> None:
        if called == where:
            raise error

    def open_file(_: int) -> Stream:
        fail("open")
        return Stream(lambda _: None)

    with pytest.raises(TransientError) as caught:
        write(numbers(3), format, open_file, lambda _: fail("done"), progress=lambda _: fail("progress"))
    assert caught.value is error


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("after", [0, 3])
def test_what_the_query_raises_arrives_as_itself(format: Format, after: int) -> None:
    error = TransientError("The source is away.", next_step="Wait.")

    def source(_columns: object, _predicate: object, _n_rows: object, _batch_size: object) -> Iterator[pl.DataFrame]:
        for _ in range(after):
            yield pl.DataFrame({"id": pl.int_range(100_000, eager=True)})
        raise error

    with pytest.raises(TransientError, match="away"):
        written(register_io_source(source, schema={"id": pl.Int64()}), format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_slow_stream_holds_the_query_back(format: Format) -> None:
    made: list[int] = []
    release = threading.Event()
    stream = Stream(lambda _: release.wait(60))
    sent: list[WrittenFile] = []
    writing = threading.Thread(target=lambda: sent.extend(write(numbers(120, made=made), format, lambda _: stream, lambda _: None)))
    writing.start()
    assert 0 < settled(made) < 100  # the query waits for the stream
    release.set()
    writing.join()
    [file] = sent
    assert (file.rows, file.bytes) == (120 * 50_000, stream.bytes)


@pytest.mark.parametrize("format", FORMATS)
def test_everything_is_called_in_the_callers_thread(format: Format) -> None:
    seen: set[int] = set()
    rows: list[int] = []

    def note(*_: object) -> None:
        seen.add(threading.get_ident())

    def progress(done: int) -> None:
        note()
        rows.append(done)

    write(numbers(4), format, lambda _: note() or Stream(note), note, progress=progress)
    assert seen == {threading.get_ident()}
    assert rows == sorted(rows)
    assert rows[-1] == 200_000


def test_a_stream_of_arrow_batches_and_a_pickled_declaration_are_all_it_takes() -> None:
    reader = pa.RecordBatchReader.from_batches(
        pa.schema([("id", pa.int64())]), (pa.record_batch({"id": pa.array([i, i + 1])}) for i in range(0, 10, 2))
    )

    def source(_columns: object, _predicate: object, _n_rows: object, _batch_size: object) -> Iterator[pl.DataFrame]:
        for batch in reader:
            yield pl.DataFrame(pl.from_arrow(batch))

    format = pickle.loads(pickle.dumps(ParquetFormat(compression="snappy")))
    content = only(register_io_source(source, schema={"id": pl.Int64()}), format)
    assert pl.read_parquet(content)["id"].to_list() == list(range(10))


def test_values_a_format_cannot_hold_stop_before_the_file_is_done() -> None:
    table = pl.DataFrame({"id": range(200_000)}).with_columns(score=pl.when(pl.col("id") == 199_999).then(float("nan")).otherwise(1.5))
    done: list[WrittenFile] = []
    with pytest.raises(CannotHold, match="score"):
        write(table.lazy(), JsonFormat(type="json"), lambda _: Stream(lambda _: None), done.append)
    assert done == []


INTERRUPTED = """
import os, sys, threading
import polars as pl
from polars.io.plugins import register_io_source
from cdp_exports.entities.file_format import FORMAT
from cdp_exports.formats.write import write

def source(columns, predicate, n_rows, batch_size):
    yield pl.DataFrame({"id": [1]})
    print("reading", flush=True)
    threading.Event().wait()

try:
    write(register_io_source(source, schema={"id": pl.Int64()}), FORMAT.validate_python({"type": sys.argv[1]}), None, None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(0)         # the query never ends
"""


@pytest.mark.parametrize("kind", ["parquet", "json", "csv"])
def test_an_interrupt_does_not_wait_for_the_query(kind: str) -> None:
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, kind], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "reading\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        finally:
            process.kill()
