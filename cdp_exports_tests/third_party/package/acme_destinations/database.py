"""A SQLite database, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from cdp_exports.errors import DestinationRefused, NotApplied


@contextmanager
def transaction(file: Path, tables: str) -> Generator[sqlite3.Connection]:
    """All that is done in it happens, or nothing. Safe in several threads and processes.

    Raises:
        NotApplied: it may pass by itself; nothing was changed.
        DestinationRefused: trying again without a change cannot help; nothing was changed.
    """
    try:
        with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as connection:
            connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; {tables}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise NotApplied(f"{file} is in use.", next_step="Run it again.") from None
        raise DestinationRefused(f"{file} cannot be used: {error}.", next_step="Check `database`, its folder and the disk.") from None
    except sqlite3.DatabaseError:
        raise DestinationRefused(f"{file} is no SQLite database.", next_step="Correct `database`.") from None
