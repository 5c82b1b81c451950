"""One DuckDB database for one evaluation: bounded in memory and on disk, deaf to the outside, and it ends when it is told to.

DuckDB's messages quote values of rows, so none of them leaves this file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from cdp_exports.errors import CdpExportsError, SourceUnreadable, TerminalError, Unexpected
from cdp_exports.evaluation.stream import Stream

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

_BATCH = 100_000
"""Rows of a batch that leaves."""

_NOT_FOR_STREAMS = "build_side_probe_side"
"""To this optimizer streams look small, so that it would hold them in memory whole."""


class Session:
    """Tables live in memory and go to `folder` when `memory_limit` (bytes) is reached, at most `disk_limit` bytes."""

    def __init__(self, folder: Path, memory_limit: int, disk_limit: int) -> None:
        import duckdb

        settings = {
            "memory_limit": f"{memory_limit}B",
            "temp_directory": str(folder),
            "max_temp_directory_size": f"{disk_limit}B",
            "preserve_insertion_order": "false",
            "disabled_optimizers": _NOT_FOR_STREAMS,
            "enable_progress_bar": "false",
            "TimeZone": "UTC",
        }
        self._folder = folder
        self._left_on_disk = disk_limit
        self._numbers = count()
        self._database: Any = duckdb.connect(":memory:")
        self._closed = duckdb.ConnectionException
        for name, value in settings.items():
            self._database.execute(f"SET {name} = '{value}'")
        self._types: dict[str, str] = {}
        self._database.execute("SET enable_external_access = false")
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluation")
        self._apart(lambda: None)  # the pool's only thread exists from here on: a signal while it starts would make it another

    @classmethod
    @contextmanager
    def open(cls, memory_limit: int, disk_limit: int, folder: Path | None) -> Generator[Self]:
        """A session with a temporary folder of its own (in `folder`, default the system's)."""
        with tempfile.TemporaryDirectory(prefix="cdp_exports_", dir=folder) as path:
            session = cls(Path(path), memory_limit, disk_limit)
            try:
                yield session
            finally:
                session._end(session._worker.submit(lambda: None))  # whatever still runs: a signal may have come before it was awaited
                session._worker.shutdown()
                session._database.close()

    @contextmanager
    def in_order(self) -> Generator[None]:
        """One thread, which takes rows as they come: what depends on their order, such as a sum of floating-point numbers, comes out
        the same every time. For queries, whose joins are also put in the order that DuckDB thinks best."""
        self.run("SET threads = 1; SET preserve_insertion_order = true; RESET disabled_optimizers")
        try:
            yield
        finally:
            self.run(f"RESET threads; SET preserve_insertion_order = false; SET disabled_optimizers = '{_NOT_FOR_STREAMS}'")

    def let_go(self) -> None:
        """Forget all tables: only the frames are left."""
        self._apart(self._database.close)

    def name(self, what: str) -> str:
        """A name for a table that no dataset or segment has, quoted."""
        return f'"{what}:{next(self._numbers)}"'

    def table(self, what: str, query: str, subject: str = "") -> str:
        """A new table with the query's rows; `subject` says in errors whose SQL it is."""
        name = self.name(what)
        self.run(f"CREATE TABLE {name} AS {query}", subject)
        return name

    def run(self, sql: str, subject: str = "") -> list[tuple[Any, ...]]:
        return self._apart(lambda: self._database.execute(sql).fetchall(), subject)

    def number(self, sql: str) -> int:
        return int(self.run(sql)[0][0])

    def offer(self, name: str, function: Callable[..., object], parameters: Sequence[str], result: str) -> None:
        """A function for SQL; DuckDB needs numpy for it. It is called with nulls too."""
        register = self._database.create_function
        self._apart(lambda: register(name, function, list(parameters), result, null_handling="special"))

    def drop(self, *tables: str) -> None:
        for table in tables:
            self.run(f"DROP TABLE {table}")

    def frame(self, query: str) -> pl.LazyFrame:
        """The query's rows, out of memory; to be consumed as often as wanted."""
        import polars as pl

        file = self._folder / f"{next(self._numbers)}.arrow"
        self._apart(lambda: self._write(query, file))
        self._left_on_disk -= file.stat().st_size
        if self._left_on_disk < 0:
            raise _no_room()
        return pl.scan_ipc(file)

    @contextmanager
    def stream(
        self, frame: pl.LazyFrame, columns: Mapping[str, str | None], subject: str, promised_in: str, *, in_order: bool = False
    ) -> Generator[str]:
        """The columns of a frame as a view that can be read once, if they are of these types (None: of any).

        Raises:
            SourceUnreadable: a column is missing or of another type.
            Exception: as the frame's source raises it.
        """
        stream = Stream(frame, list(columns), subject, promised_in, in_order=in_order)
        view = self.name("stream")
        self._apart(lambda: self._database.register(view[1:-1], stream.reader))
        try:
            arrived = {name: kind for name, kind, *_ in self.run(f"DESCRIBE SELECT * FROM {view}")}
            for column, declared in columns.items():
                if declared is not None and arrived[column] != self.type_of(declared):
                    stream.refuse(f"column {column} is {arrived[column]}, the catalog declares {declared.upper()}")
            yield view
        except CdpExportsError:
            if stream.failure:
                raise stream.failure from None
            raise
        finally:
            self._apart(lambda: self._database.unregister(view[1:-1]))
            stream.close()

    def type_of(self, declared: str) -> str:
        """The type as DuckDB writes it."""
        if declared not in self._types:
            self._types[declared] = self.run(f"DESCRIBE SELECT CAST(NULL AS {declared})")[0][1]
        return self._types[declared]

    def _write(self, query: str, file: Path) -> None:
        import pyarrow as pa

        with self._database.sql(query).to_arrow_reader(_BATCH) as rows:
            arrow: Any = pa.ipc
            sink: Any = arrow.new_file(file, rows.schema, options=arrow.IpcWriteOptions(compression="lz4"))
            with sink:
                for batch in rows:
                    sink.write_batch(batch)

    def _apart(self, work: Callable[[], T], subject: str = "") -> T:
        """In a thread of its own, so that a signal is heard here at once: it interrupts the query and goes on as it is."""
        future = self._worker.submit(work)
        try:
            return future.result()
        except BaseException as exception:
            self._end(future)
            error = _explained(exception, subject)
            if error is None:
                raise
        raise error  # outside, so that it carries nothing of the library's

    def _end(self, future: Future[Any]) -> None:
        while not future.done():
            with suppress(self._closed):
                self._database.interrupt()
            wait([future], timeout=0.1)


def _explained(exception: BaseException, subject: str) -> CdpExportsError | None:
    """In the project's words; None where it is none of DuckDB's."""
    import duckdb

    if isinstance(exception, OSError):
        return _no_room()
    if not isinstance(exception, duckdb.Error):
        return None
    kind = type(exception).__name__
    if isinstance(exception, (duckdb.OutOfMemoryException, duckdb.IOException)) or "No space left" in str(exception):
        return _no_room()
    if isinstance(exception, (duckdb.DataError, duckdb.InvalidInputException)) and subject:
        return SourceUnreadable(
            f"A value cannot be computed as {subject} says ({kind}).",
            next_step="Correct the value in the table, or use try_cast where a value may be of another kind.",
        )
    return Unexpected(
        f"DuckDB could not evaluate {subject or 'the segments'} ({kind}).",
        next_step="Please report it, with the catalog if you can; its message may hold personal data and is not shown.",
    )


def _no_room() -> TerminalError:
    return TerminalError(
        "The members of the segments do not fit into the memory and the temporary disk space that this run may use.",
        next_step="Raise the memory limit, or free room in the temporary folder.",
    )
