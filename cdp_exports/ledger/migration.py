"""Bring a ledger's tables to the shape this version of the package works with."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select, text

from cdp_exports.errors import LedgerNewer
from cdp_exports.ledger.database import Database
from cdp_exports.ledger.tables import REVISION, VERSION_TABLE

SCRIPTS = Path(__file__).parent / "migrations"

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))

# Any number that nobody else takes in this database: the first eight bytes of "cdp_exports".
_LOCK = int.from_bytes(b"cdp_expo", "big")


def bring_up_to_date(database: Database) -> None:
    """Create or migrate the tables if they are not at `REVISION`. Two processes at once: one does it, the other waits.

    Raises:
        LedgerNewer: a newer version of this package migrated it.
    """
    with database.read() as connection:
        current = _revision(connection)
    if current == REVISION:
        return
    database.enable_readers_beside_writer()
    with database.write() as connection:
        if not database.is_sqlite:  # in SQLite a writing transaction is the only one
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        current = _revision(connection)
        if current != REVISION:
            _migrate(connection, current)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def _migrate(connection: Connection, current: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise LedgerNewer(
            f"The ledger has revision {current}; this version of cdp-exports knows revisions up to {REVISION}.",
            next_step="Install the version of cdp-exports that migrated it, or a newer one.",
        )
    command.upgrade(config, REVISION)
