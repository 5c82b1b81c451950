"""Runs that are at work, and when each was last seen alive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.String(255)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "cdp_runs",
        sa.Column("environment", NAME, primary_key=True),
        sa.Column("run_id", NAME, primary_key=True),
        sa.Column("export", NAME, nullable=False),
        sa.Column("export_time", sa.String(12), nullable=False),
        sa.Column("members", sa.JSON, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False, server_default=sa.false()),
    )
