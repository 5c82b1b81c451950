"""The first ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(255)
UUID = sa.String(64)
EXPORT_TIME = sa.String(12)
MOMENT = sa.DateTime(timezone=True)
OPEN = sa.text("state IN ('pinned', 'publishing')")
RUNNING = sa.text("status = 'running'")
LOOSE = sa.text("NOT delivered AND NOT removed")


def upgrade() -> None:
    op.create_table(
        "cdp_export_times",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("export", NAME, primary_key=True),
        sa.Column("newest", EXPORT_TIME),
    )
    op.create_table(
        "cdp_leases",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("export", NAME, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("run_id", NAME),
        sa.Column("export_time", EXPORT_TIME),
        sa.Column("expires_at", MOMENT),
    )
    op.create_table(
        "cdp_deliveries",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("environment", NAME, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("export", NAME, nullable=False),
        sa.Column("member", NAME, nullable=False),
        sa.Column("export_time", EXPORT_TIME, nullable=False),
        sa.Column("chain", UUID, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("base_export_time", EXPORT_TIME, nullable=False),
        sa.Column("previous_export_time", EXPORT_TIME),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("pin", sa.JSON, nullable=False),
        sa.Column("attempt_id", UUID),
        sa.Column("counts", sa.JSON),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("covered_by", EXPORT_TIME),
        sa.Column("run_id", NAME),
        sa.Column("pinned_at", MOMENT, nullable=False),
        sa.Column("committed_at", MOMENT),
        sa.UniqueConstraint("environment", "export", "member", "export_time", name="cdp_deliveries_one_an_export_time"),
    )
    op.create_index("cdp_deliveries_by_export_time", "cdp_deliveries", ["environment", "export_time", "pinned_at"])
    op.create_index("cdp_deliveries_by_export", "cdp_deliveries", ["environment", "export", "export_time", "pinned_at"])
    op.create_index(
        "cdp_deliveries_one_open",
        "cdp_deliveries",
        ["environment", "export", "member"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "cdp_attempts",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("delivery_id", UUID, sa.ForeignKey("cdp_deliveries.id", onupdate="CASCADE"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("run_id", NAME, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", sa.Text),
        sa.Column("next_step", sa.Text),
        sa.UniqueConstraint("delivery_id", "number", name="cdp_attempts_in_order"),
    )
    op.create_index("cdp_attempts_running", "cdp_attempts", ["delivery_id"], sqlite_where=RUNNING, postgresql_where=RUNNING)
    op.create_table(
        "cdp_last_attempts",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("export", NAME, primary_key=True),
        sa.Column("member", NAME, primary_key=True),
        sa.Column("attempt_id", UUID, sa.ForeignKey("cdp_attempts.id"), nullable=False),
    )
    op.create_table(
        "cdp_files",
        sa.Column("attempt_id", UUID, sa.ForeignKey("cdp_attempts.id"), primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("rows", sa.BigInteger),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("sha256", sa.String(64)),
        sa.Column("verified_by", sa.String(16)),
        sa.Column("delivered", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_index("cdp_files_by_path", "cdp_files", ["path"])
    op.create_index("cdp_files_loose", "cdp_files", ["attempt_id"], sqlite_where=LOOSE, postgresql_where=LOOSE)
    op.create_table(
        "cdp_skips",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("environment", NAME, nullable=False),
        sa.Column("export", NAME, nullable=False),
        sa.Column("member", NAME, nullable=False),
        sa.Column("export_time", EXPORT_TIME, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("next_step", sa.Text, nullable=False),
        sa.Column("run_id", NAME, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("cdp_skips_by_export_time", "cdp_skips", ["environment", "export_time", "at"])
    op.create_index("cdp_skips_by_export", "cdp_skips", ["environment", "export", "export_time", "at"])
