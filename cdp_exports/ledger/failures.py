"""What the database says, in this package's errors: TransientError if it may pass by itself, else LedgerRefused."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from cdp_exports.errors import CdpExportsError, LedgerRefused, TransientError

# https://sqlite.org/rescode.html: primary result codes that another process's end resolves.
_SQLITE_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}

# https://www.postgresql.org/docs/current/errcodes-appendix.html: authorization, no such database or schema, rights and
# missing tables, disk full. While connecting, libpq gives no code, only the server's words.
_POSTGRES_TERMINAL = ("28", "3D", "3F", "42", "53100")
_POSTGRES_TERMINAL_WORDS = ("authentication failed", "no password supplied", "does not exist", "pg_hba.conf", "permission denied")


@contextmanager
def translated(url: URL) -> Generator[None]:
    """Raise TransientError or LedgerRefused in place of what the driver raises. A broken constraint goes on up as it is."""
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeoutError as error:
        raise TransientError(
            "All connections to the ledger's database are in use.", next_step="Try again when fewer exports run in this process."
        ) from error
    except DBAPIError as error:
        raise _explained(error, url) from error


def _explained(error: DBAPIError, url: URL) -> CdpExportsError:
    place = url.set(query={}).render_as_string(hide_password=True)
    words = (str(error.orig).strip().splitlines() or [""])[0]
    for secret in filter(None, (url.password, url.query.get("password"))):
        words = words.replace(str(secret), "***")
    if _passes(error):
        return TransientError(
            f"The ledger at {place} cannot be reached or is locked: {words}.",
            next_step="Check that its database runs and that no other program holds a lock on it, then run again.",
        )
    return LedgerRefused(
        f"The ledger at {place} cannot be used: {words}.",
        next_step="Check its address, its credentials, the right to create and write tables, and the free space.",
    )


def _passes(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        code: int | None = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _SQLITE_TRANSIENT
    sqlstate: str | None = getattr(error.orig, "pgcode", None)
    if sqlstate is not None:
        return not sqlstate.startswith(_POSTGRES_TERMINAL)
    return not any(words in str(error.orig) for words in _POSTGRES_TERMINAL_WORDS)
