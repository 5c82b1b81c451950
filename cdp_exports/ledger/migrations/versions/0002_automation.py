"""What schedules and sensors remember: refreshes they noticed, export times that wait or were asked for, since when a cadence holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.String(255)
EXPORT_TIME = sa.String(12)
MOMENT = sa.DateTime(timezone=True)
OPEN = sa.text("state IN ('waiting_for_refresh', 'requested')")


def upgrade() -> None:
    op.create_table(
        "cdp_signals",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("dataset", NAME, primary_key=True),
        sa.Column("table_id", NAME, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("commit_hash", NAME, nullable=False),
        sa.Column("committed_at", MOMENT, nullable=False),
        sa.Column("changed_version", sa.BigInteger, nullable=False),
        sa.Column("event", sa.BigInteger),
        sa.Column("noticed_at", MOMENT, nullable=False),
        sa.Column("reported", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "cdp_due",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("export", NAME, primary_key=True),
        sa.Column("export_time", EXPORT_TIME, primary_key=True),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("members", sa.JSON, nullable=False),
        sa.Column("upstream_runs", sa.JSON, nullable=False),
        sa.Column("seen", sa.JSON, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
    )
    op.create_index("cdp_due_open", "cdp_due", ["environment"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("cdp_due_by_cause", "cdp_due", ["environment", "cause", "export", "export_time"])
    op.create_table(
        "cdp_cadences",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("export", NAME, primary_key=True),
        sa.Column("cadence", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
    )
