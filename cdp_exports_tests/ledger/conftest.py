"""Every test of the ledger runs over SQLite and over Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text

from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.tables import metadata

BOTH = ["sqlite", "postgres"]


@pytest.fixture(params=BOTH)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    return f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres_database")


@pytest.fixture(params=BOTH)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that holds nothing."""
    if request.param == "sqlite":
        opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
        yield opened
        opened.close()
    else:
        opened = request.getfixturevalue("postgres_ledger")
        with opened._database.write() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))
        yield opened


@pytest.fixture(scope="session")
def postgres_ledger(postgres: str) -> Iterator[Ledger]:
    """One for all tests: making a database takes longer than most of them."""
    connection = psycopg2.connect(postgres)
    connection.autocommit = True
    connection.cursor().execute("CREATE DATABASE ledger_of_all_tests")
    connection.close()
    opened = Ledger.open(postgres.replace("/postgres?", "/ledger_of_all_tests?"))
    yield opened
    opened.close()
