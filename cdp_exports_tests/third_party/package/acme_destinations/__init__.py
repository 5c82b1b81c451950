"""Two types of destinations: files in a database, and lists of members in one. Imported with every catalog, so nothing heavy is here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cdp_exports.entities.capabilities import Capabilities, Known, Members, Proof, Repeat
from cdp_exports.entities.destination_type import DestinationType
from cdp_exports.entities.model import Address
from cdp_exports.entities.receiver import Receiver


class ArchiveConnection(Receiver):
    """Files in a SQLite database."""

    type: Literal["acme_archive"]
    """The kind of destination."""

    database: Address
    """The database's file; relative to the catalog's parent folder."""

    def place(self, root: Path) -> tuple[str, ...]:
        return "acme_archive", *Path(os.path.realpath(root / self.database)).parts


class RegisterConnection(Receiver):
    """Lists of members in a SQLite database."""

    type: Literal["acme_register"]
    """The kind of destination."""

    database: Address
    """The database's file; relative to the catalog's parent folder."""

    def place(self, root: Path) -> tuple[str, ...]:
        return "acme_register", *Path(os.path.realpath(root / self.database)).parts


ARCHIVE = DestinationType(
    ArchiveConnection,
    Capabilities(proof=Proof.REREAD, formats=frozenset({"parquet", "json", "csv"}), conditional_create=True),
    "acme_destinations.archive:open_archive",
    "Files in a SQLite database",
    example="type: acme_archive\ndatabase: archive.db\n",
)

REGISTER = DestinationType(
    RegisterConnection,
    Capabilities(
        proof=None,
        formats=frozenset(),
        conditional_create=False,
        accepts_accounts=False,
        members=Members(
            batch_max=1000,
            repeat=Repeat.HARMLESS,
            fields=(
                Known("email", "An e-mail address.", identity=True, transforms=("trim", "lower")),
                Known("name", "How to address the member."),
            ),
            any_of=(frozenset({"email"}),),
            takes_key=False,
        ),
    ),
    "acme_destinations.register:open_register",
    "Lists of members in a SQLite database",
    example="type: acme_register\ndatabase: register.db\n",
)
