"""Opening a ledger: creating, migrating, refusing; and what the database says, in this package's errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from cdp_exports.errors import DeclarationError, LedgerNewer, LedgerRefused, TransientError
from cdp_exports.ledger import database, migration
from cdp_exports.ledger.database import Database
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.tables import REVISION, VERSION_TABLE, metadata
from cdp_exports_tests.ledger.building import ENVIRONMENT, EXPORT, deliver, delivery, lease, minute

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "REVISION"


def upgrade():
    with op.batch_alter_table("cdp_skips") as table:
        table.add_column(sa.Column("seen", sa.Boolean, nullable=False, server_default=sa.false()))
""".replace("REVISION", REVISION)


@pytest.fixture
def newer_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As a later version of this package, with one more revision, until `undo()`."""
    scripts = tmp_path / "migrations"
    shutil.copytree(migration.SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "next.py").write_text(NEXT)
    monkeypatch.setattr(migration, "SCRIPTS", scripts)
    monkeypatch.setattr(migration, "REVISION", "next")
    return monkeypatch


def test_the_revisions_make_the_tables(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    engine = create_engine(ledger_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()
    assert ScriptDirectory(str(migration.SCRIPTS)).get_heads() == [REVISION]


def test_an_older_ledger_is_migrated(ledger_url: str, newer_package: pytest.MonkeyPatch) -> None:
    with newer_package.context() as older:
        older.setattr(migration, "REVISION", REVISION)
        ledger = Ledger.open(ledger_url)
        deliver(ledger, lease(ledger), delivery(minute(2)), "a")
        before = ledger.history(ENVIRONMENT)
        ledger.close()

    migrated = Ledger.open(ledger_url)
    assert migrated.history(ENVIRONMENT) == before
    with migrated._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM cdp_skips WHERE seen")).scalar_one() == 0
    migrated.close()


def test_a_newer_ledger_is_refused(ledger_url: str, newer_package: pytest.MonkeyPatch) -> None:
    Ledger.open(ledger_url).close()
    newer_package.undo()
    with pytest.raises(LedgerNewer, match=f"revision next; this version of cdp-exports knows revisions up to {REVISION}"):
        Ledger.open(ledger_url)


def test_a_migration_that_breaks_off_leaves_the_ledger_as_it_was(ledger_url: str, newer_package: pytest.MonkeyPatch) -> None:
    with newer_package.context() as older:
        older.setattr(migration, "REVISION", REVISION)
        Ledger.open(ledger_url).close()
    broken = migration.SCRIPTS / "versions" / "next.py"
    broken.write_text(NEXT + "    raise RuntimeError('power cut')\n")
    with pytest.raises(RuntimeError):
        Ledger.open(ledger_url)
    newer_package.undo()
    Ledger.open(ledger_url).close()


def test_who_opens_while_another_migrates_waits(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    migrate = migration._migrate

    def interrupted(connection: Connection, current: str | None) -> None:
        monkeypatch.setattr(migration, "_migrate", migrate)
        with pytest.raises(TransientError, match=r"locked|lock timeout"):
            Ledger.open(ledger_url)
        migrate(connection, current)

    monkeypatch.setattr(migration, "_migrate", interrupted)
    Ledger.open(ledger_url).close()
    Ledger.open(ledger_url).close()


def test_an_up_to_date_ledger_opens_without_alembic(ledger_url: str) -> None:
    Ledger.open(ledger_url).close()
    program = "import sys; from cdp_exports.ledger.ledger import Ledger; Ledger.open(sys.argv[1]); assert 'alembic' not in sys.modules"
    subprocess.run([sys.executable, "-c", program, ledger_url], check=True)


def test_the_short_names_of_postgres(postgres_database: str) -> None:
    for scheme in ("postgres", "postgresql"):
        Ledger.open(postgres_database.replace("postgresql+psycopg2", scheme)).close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root:hunter2@localhost/ledger", "cannot be kept in 'mysql'"),
        ("postgresql+asyncpg://root:hunter2@localhost/ledger", "cannot be kept in"),
        ("root:hunter2@localhost", "cannot be read"),
        ("postgresql://root:hunter2@localhost:port/ledger", "cannot be read"),
        ("", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_urls_that_are_none(url: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message) as raised:
        Ledger.open(url)
    assert "hunter2" not in str(raised.value)


def test_the_driver_of_postgres_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(DeclarationError, match=r"pip install 'cdp-exports\[postgres\]'"):
        Ledger.open("postgresql://localhost/ledger")


def test_folders_are_made(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path}/a/b/ledger.db").close()
    assert (tmp_path / "a" / "b" / "ledger.db").is_file()


def test_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerRefused, match="cannot be created"):
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("Not a database. " * 100)
    with pytest.raises(LedgerRefused, match="file is not a database"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.db")


def test_a_folder_in_the_files_place(tmp_path: Path) -> None:
    with pytest.raises(LedgerRefused, match="unable to open database file"):
        Ledger.open(f"sqlite:///{tmp_path}")


def test_no_right_to_write(ledger_url: str) -> None:
    ledger = Ledger.open(ledger_url)
    with ledger._database.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON" if ledger._database.is_sqlite else "SET ROLE pg_monitor")
    with pytest.raises(LedgerRefused, match=r"readonly database|permission denied"):
        ledger.mint(ENVIRONMENT, EXPORT)
    ledger.close()


def test_no_such_database(postgres_database: str) -> None:
    with pytest.raises(LedgerRefused, match="does not exist"):
        Ledger.open(postgres_database.replace("/test_", "/none_"))


@pytest.mark.parametrize("url", ["postgresql://root:hunter2@127.0.0.1:1/ledger", "postgresql://root@127.0.0.1:1/ledger?password=hunter2"])
def test_nobody_listens(url: str) -> None:
    with pytest.raises(TransientError, match="refused") as raised:
        Ledger.open(url)
    assert "hunter2" not in str(raised.value)


def test_locked_by_another_program(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    ledger = Ledger.open(ledger_url)
    ledger.mint(ENVIRONMENT, EXPORT)
    other = Database(ledger_url)
    with other.write() as connection:
        connection.execute(text("UPDATE cdp_export_times SET newest = newest"))
        with pytest.raises(TransientError, match=r"locked|lock timeout"):
            ledger.mint(ENVIRONMENT, EXPORT)
        assert ledger.newest_time(ENVIRONMENT, EXPORT) is not None  # readers don't wait
    other.close()
    ledger.mint(ENVIRONMENT, EXPORT)
    ledger.close()


def test_a_server_that_went_away_is_back(postgres_database: str) -> None:
    """Idle connections are cut by every failover; the next call opens another."""
    ledger, other = Ledger.open(postgres_database), Database(postgres_database)
    ledger.now()
    with other.read() as connection:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.execute(text(cut)).scalar_one() >= 1
    ledger.now()

    def cut_off() -> None:
        with ledger._database.write() as in_the_middle, other.read() as connection:
            connection.execute(text(cut))
            in_the_middle.execute(text("SELECT 1"))

    with pytest.raises(TransientError):
        cut_off()
    ledger.now()
    ledger.close()
    other.close()
