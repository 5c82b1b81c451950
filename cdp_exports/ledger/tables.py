"""The ledger's tables. Their names begin with `cdp_`: a ledger may share a database, with Dagster's tables for example.

Whoever changes them adds a revision under `migrations/versions` and names it in `REVISION`.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from cdp_exports.ledger.column_types import BatchStateWord, Document, ExportTimeKey, StateWord, UtcTimestamp
from cdp_exports.ledger.records import Counts, Pin

REVISION = "0004"
"""The newest revision under `migrations/versions`: what this version of the package reads and writes."""

VERSION_TABLE = "cdp_ledger_version"

metadata = MetaData()

OPEN_DUE = "state IN ('waiting_for_refresh', 'requested')"

Name = String(255)
Uuid = String(64)

export_times = Table(
    "cdp_export_times",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("export", Name, primary_key=True),
    Column("newest", ExportTimeKey),
)

leases = Table(
    "cdp_leases",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("export", Name, primary_key=True),
    Column("token", BigInteger, nullable=False),  # grows with every holder, stays when it is released
    Column("run_id", Name),  # null: released
    Column("export_time", ExportTimeKey),
    Column("expires_at", UtcTimestamp),
)

deliveries = Table(
    "cdp_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("environment", Name, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("export", Name, nullable=False),
    Column("member", Name, nullable=False),
    Column("export_time", ExportTimeKey, nullable=False),
    Column("chain", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("base_export_time", ExportTimeKey, nullable=False),
    Column("previous_export_time", ExportTimeKey),
    Column("state", StateWord, nullable=False),
    Column("pin", Document(Pin), nullable=False),
    Column("attempt_id", Uuid),
    Column("counts", Document(Counts)),
    Column("bytes", BigInteger),
    Column("covered_by", ExportTimeKey),
    Column("run_id", Name),
    Column("pinned_at", UtcTimestamp, nullable=False),
    Column("committed_at", UtcTimestamp),
    UniqueConstraint("environment", "export", "member", "export_time", name="cdp_deliveries_one_an_export_time"),
    Index("cdp_deliveries_by_export_time", "environment", "export_time", "pinned_at"),
    Index("cdp_deliveries_by_export", "environment", "export", "export_time", "pinned_at"),
)

Index(
    "cdp_deliveries_one_open",
    deliveries.c.environment,
    deliveries.c.export,
    deliveries.c.member,
    unique=True,
    sqlite_where=text("state IN ('pinned', 'publishing')"),
    postgresql_where=text("state IN ('pinned', 'publishing')"),
)

attempts = Table(
    "cdp_attempts",
    metadata,
    Column("id", Uuid, primary_key=True),
    # A delivery changes its id where a manifest at the destination says that another one was first.
    Column("delivery_id", Uuid, ForeignKey("cdp_deliveries.id", onupdate="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),  # of the lease; 0: only a manifest tells of it
    Column("run_id", Name, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", UtcTimestamp, nullable=False),
    Column("ended_at", UtcTimestamp),
    Column("error_code", String(64)),
    Column("error", Text),
    Column("next_step", Text),
    UniqueConstraint("delivery_id", "number", name="cdp_attempts_in_order"),
)

Index(
    "cdp_attempts_running",
    attempts.c.delivery_id,
    sqlite_where=text("status = 'running'"),
    postgresql_where=text("status = 'running'"),
)

last_attempts = Table(  # so that the state of 1,000 exports is read without their whole history
    "cdp_last_attempts",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("export", Name, primary_key=True),
    Column("member", Name, primary_key=True),
    Column("attempt_id", Uuid, ForeignKey("cdp_attempts.id"), nullable=False),
)

files = Table(
    "cdp_files",
    metadata,
    Column("attempt_id", Uuid, ForeignKey("cdp_attempts.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("rows", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", String(64)),
    Column("verified_by", String(16)),
    Column("delivered", Boolean, nullable=False, server_default=false()),  # in the closed list of a committed delivery
    Column("removed", Boolean, nullable=False, server_default=false()),
    Index("cdp_files_by_path", "path"),
)

Index(
    "cdp_files_loose",
    files.c.attempt_id,
    sqlite_where=text("NOT delivered AND NOT removed"),
    postgresql_where=text("NOT delivered AND NOT removed"),
)

skips = Table(
    "cdp_skips",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("environment", Name, nullable=False),
    Column("export", Name, nullable=False),
    Column("member", Name, nullable=False),
    Column("export_time", ExportTimeKey, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("next_step", Text, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("at", UtcTimestamp, nullable=False),
    Index("cdp_skips_by_export_time", "environment", "export_time", "at"),
    Index("cdp_skips_by_export", "environment", "export", "export_time", "at"),
)

signals = Table(
    "cdp_signals",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("dataset", Name, primary_key=True),
    Column("table_id", Name, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("commit_hash", Name, nullable=False),
    Column("committed_at", UtcTimestamp, nullable=False),
    Column("changed_version", BigInteger, nullable=False),
    Column("event", BigInteger),
    Column("noticed_at", UtcTimestamp, nullable=False),
    Column("reported", Boolean, nullable=False, server_default=false()),
)

due = Table(
    "cdp_due",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("export", Name, primary_key=True),
    Column("export_time", ExportTimeKey, primary_key=True),
    Column("cause", String(16), nullable=False),
    Column("state", String(24), nullable=False),
    Column("members", JSON, nullable=False),
    Column("upstream_runs", JSON, nullable=False),
    Column("seen", JSON, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
)

Index("cdp_due_open", due.c.environment, sqlite_where=text(OPEN_DUE), postgresql_where=text(OPEN_DUE))
Index("cdp_due_by_cause", due.c.environment, due.c.cause, due.c.export, due.c.export_time)

cadences = Table(
    "cdp_cadences",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("export", Name, primary_key=True),
    Column("cadence", Text, nullable=False),
    Column("since", UtcTimestamp, nullable=False),
)

runs = Table(
    "cdp_runs",
    metadata,
    Column("environment", Name, primary_key=True),
    Column("run_id", Name, primary_key=True),
    Column("export", Name, nullable=False),
    Column("export_time", ExportTimeKey, nullable=False),
    Column("members", JSON, nullable=False),
    Column("seen_at", UtcTimestamp, nullable=False),
    Column("ended", Boolean, nullable=False, server_default=false()),
)

batches = Table(
    "cdp_batches",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("environment", Name, nullable=False),
    Column("export", Name, nullable=False),
    Column("member", Name, nullable=False),
    Column("delivery_id", Uuid, ForeignKey("cdp_deliveries.id"), nullable=False),
    Column("attempt_id", Uuid, ForeignKey("cdp_attempts.id"), nullable=False),
    Column("place", Text, nullable=False),
    Column("audience", Name, nullable=False),
    Column("outbox", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("state", BatchStateWord, nullable=False),
    Column("rejected", Text),
    Column("sent_at", UtcTimestamp, nullable=False),
    Column("answered_at", UtcTimestamp),
    Column("settled_by", Uuid, ForeignKey("cdp_deliveries.id")),  # the delivery whose state says what became of it
)

Index(
    "cdp_batches_unsettled",
    batches.c.environment,
    batches.c.export,
    batches.c.member,
    sqlite_where=text("settled_by IS NULL"),
    postgresql_where=text("settled_by IS NULL"),
)

Index("cdp_batches_by_audience", batches.c.audience, batches.c.number)
