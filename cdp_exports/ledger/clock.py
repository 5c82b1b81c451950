"""The database's clock: the one clock that all machines share."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from cdp_exports.ledger.column_types import UtcTimestamp


class _Clock(FunctionElement[datetime]):
    type = UtcTimestamp()
    inherit_cache = True


@compiles(_Clock, "postgresql")
def _postgres_clock(*_: object, **__: object) -> str:
    # now() would be the start of the transaction, which may have waited for a lock since.
    return "clock_timestamp()"


@compiles(_Clock, "sqlite")
def _sqlite_clock(*_: object, **__: object) -> str:
    # Milliseconds, padded to the six digits in which SQLAlchemy writes microseconds.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def now(connection: Connection) -> datetime:
    """The database's time, UTC."""
    return connection.execute(select(_Clock())).scalar_one()
