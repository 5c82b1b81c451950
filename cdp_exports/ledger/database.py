"""The ledger's database: SQLite in a file, or Postgres. Every use of it is one short transaction."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from cdp_exports.errors import DeclarationError, LedgerRefused
from cdp_exports.ledger.failures import translated

LOCK_SECONDS = 30
"""How long a transaction waits for another one's lock."""

_CONNECT_SECONDS = 10


class Database:
    """Opens connections and transactions; raises TransientError and LedgerRefused for what the database says."""

    def __init__(self, url: str) -> None:
        self.url = _read(url)
        self._engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that sees one state of the database and writes nothing."""
        with self._transaction(isolation_level="SERIALIZABLE" if self.is_sqlite else "REPEATABLE READ") as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that writes. SQLite: the only one. Postgres: READ COMMITTED, so that a row is seen as it is once locked."""
        with self._transaction(cdp_writes=True) as connection:
            yield connection

    @contextmanager
    def _transaction(self, **options: Any) -> Generator[Connection]:
        with translated(self.url), self._engine.connect() as connection, connection.execution_options(**options).begin():
            yield connection

    def enable_readers_beside_writer(self) -> None:
        """SQLite: turn on the write-ahead log, which stays on in the file. Two who do it at once exclude each other, without waiting."""
        if not self.is_sqlite:
            return
        deadline = time.monotonic() + LOCK_SECONDS
        with translated(self.url):
            connection = self._engine.raw_connection()
            try:
                while connection.cursor().execute("PRAGMA journal_mode").fetchone() != ("wal",):
                    try:
                        connection.cursor().execute("PRAGMA journal_mode = WAL")
                    except sqlite3.OperationalError:
                        if time.monotonic() > deadline:
                            raise
                        time.sleep(0.02)
            finally:
                connection.close()

    def close(self) -> None:
        self._engine.dispose()


def _read(url: str) -> URL:
    wanted = "Write sqlite:///path/to/ledger.db or postgresql://user:password@host/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their words repeat the URL, and with it the password
        raise DeclarationError("The ledger's URL cannot be read.", next_step=wanted) from None
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg2")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg2"}:
        raise DeclarationError(f"A ledger cannot be kept in {parsed.drivername!r}.", next_step=wanted)
    if parsed.drivername == "sqlite" and (not parsed.database or parsed.database.startswith((":memory:", "file:"))):
        raise DeclarationError("A SQLite ledger needs a file, so that every run sees the same.", next_step=wanted)
    return parsed


def _sqlite_engine(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerRefused(
            f"The folder of the ledger, {path.parent}, cannot be created: {error.strerror}.",
            next_step="Name a folder that may be written, or set `ledger` in environment.yaml to another database.",
        ) from error
    engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `_begin` says, not where sqlite3 guesses
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that read first and then wants to write fails at once when another wrote in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("cdp_writes") else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    try:
        engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_SECONDS, "application_name": "cdp-exports"},
        )
    except ModuleNotFoundError as error:
        raise DeclarationError(
            "A ledger in Postgres needs a driver that is not installed.", next_step="Run: pip install 'cdp-exports[postgres]'"
        ) from error

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        connection.commit()

    return engine
