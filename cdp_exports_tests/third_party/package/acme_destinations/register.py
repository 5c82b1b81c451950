"""Lists of members in a SQLite database."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from sqlite3 import Connection
from urllib.parse import quote

from acme_destinations import REGISTER, RegisterConnection
from acme_destinations.database import transaction
from cdp_exports.destinations.audience import Answered, Batch, Change, Rejected
from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.errors import DestinationRefused

_TABLES = """
    CREATE TABLE IF NOT EXISTS audiences (name TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS members (audience TEXT, email TEXT, name TEXT, PRIMARY KEY (audience, email));
"""


def open_register(connection: RegisterConnection, root: Path, environ: Mapping[str, str]) -> Register:
    """Nothing is sent yet."""
    return Register(root / connection.database)


class Register:
    """An AudienceDestination. A batch is one transaction: all of it is applied, or nothing."""

    capabilities: Capabilities = REGISTER.capabilities

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def place(self) -> str:
        return f"acme-register://{self._file.resolve()}"

    def uri(self, audience: str) -> str:
        return f"{self.place}#{quote(audience, safe='')}"

    def prepare(self, audience: str, *, create: bool = True) -> None:
        with self._transaction() as database:
            known = database.execute("SELECT name FROM audiences WHERE name = ?", (audience,)).fetchone()
            if not known and not create:
                raise DestinationRefused(
                    f"{self.place}: the audience {audience!r} is no longer there.",
                    next_step="Deliver in full, which makes a new one: `cdp-exports run EXPORT --full`.",
                )
            database.execute("INSERT OR IGNORE INTO audiences VALUES (?)", (audience,))

    def send(self, audience: str, batch: Batch) -> Answered:
        with self._transaction() as database:
            said = [_apply(database, audience, change) for change in batch.changes]
        return Answered(tuple(Rejected(index, why) for index, why in enumerate(said) if why))

    def outcome(self, audience: str, batch: Batch) -> Answered | None:
        return None  # never asked: to send a batch again is harmless

    def probe(self) -> None:
        with self._transaction():
            pass

    def _transaction(self) -> AbstractContextManager[Connection]:
        return transaction(self._file, _TABLES)


def _apply(database: Connection, audience: str, change: Change) -> str | None:
    """Why a member is not taken; a code, never a value of the member's."""
    email = change.values["email"]
    if change.status == "exited":
        database.execute("DELETE FROM members WHERE audience = ? AND email = ?", (audience, email))
        return None
    if not isinstance(email, str) or "@" not in email:
        return "invalid_email"
    database.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", (audience, email, change.values.get("name")))
    return None
