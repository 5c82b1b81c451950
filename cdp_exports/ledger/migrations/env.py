"""Run by alembic: migrates over the connection, and inside the transaction, that `migration.py` opened."""

from __future__ import annotations

from alembic import context

from cdp_exports.ledger.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters most things by copying the table
)
context.run_migrations()
