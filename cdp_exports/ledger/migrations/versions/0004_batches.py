"""The journal of batches sent to audience destinations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.String(255)
UUID = sa.String(64)
MOMENT = sa.DateTime(timezone=True)
UNSETTLED = sa.text("settled_by IS NULL")


def upgrade() -> None:
    op.create_table(
        "cdp_batches",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", UUID, nullable=False, unique=True),
        sa.Column("environment", NAME, nullable=False),
        sa.Column("export", NAME, nullable=False),
        sa.Column("member", NAME, nullable=False),
        sa.Column("delivery_id", UUID, sa.ForeignKey("cdp_deliveries.id"), nullable=False),
        sa.Column("attempt_id", UUID, sa.ForeignKey("cdp_attempts.id"), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("audience", NAME, nullable=False),
        sa.Column("outbox", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rejected", sa.Text),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT),
        sa.Column("settled_by", UUID, sa.ForeignKey("cdp_deliveries.id")),
    )
    op.create_index(
        "cdp_batches_unsettled", "cdp_batches", ["environment", "export", "member"], sqlite_where=UNSETTLED, postgresql_where=UNSETTLED
    )
    op.create_index("cdp_batches_by_audience", "cdp_batches", ["audience", "number"])
