"""One lease an export, timed by the database's clock.

Every step locks the lease's row first and reads the clock afterwards, so that waiting for the lock cannot make an
expired lease look valid. A lease that expired and was taken by nobody can be renewed, but nothing is written under it before.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip
from cdp_exports.ledger import clock
from cdp_exports.ledger.records import Lease
from cdp_exports.ledger.tables import leases
from cdp_exports.ledger.upsert import insert


def acquire(connection: Connection, environment: str, export: str, *, run_id: str, export_time: ExportTime, seconds: float) -> Lease | None:
    connection.execute(insert(connection, leases).values(environment=environment, export=export, token=0).on_conflict_do_nothing())
    row = _locked(connection, environment, export)
    now = clock.now(connection)
    if row.run_id not in {None, run_id} and row.expires_at > now:
        return None
    lease = Lease(
        environment=environment,
        export=export,
        token=row.token + 1,
        run_id=run_id,
        export_time=export_time,
        expires_at=now + timedelta(seconds=seconds),
    )
    connection.execute(
        update(leases)
        .where(_row(environment, export))
        .values(token=lease.token, run_id=run_id, export_time=export_time, expires_at=lease.expires_at)
    )
    return lease


def holder(connection: Connection, environment: str, export: str) -> Lease | None:
    row = connection.execute(select(leases).where(_row(environment, export))).mappings().one_or_none()
    if row is None or row["run_id"] is None or row["expires_at"] <= clock.now(connection):
        return None
    return Lease.model_validate(row)


def renew(connection: Connection, lease: Lease, *, seconds: float) -> bool:
    row = _locked(connection, lease.environment, lease.export)
    if not _is_of(row, lease):
        return False
    expires_at = clock.now(connection) + timedelta(seconds=seconds)
    connection.execute(update(leases).where(_row(lease.environment, lease.export)).values(expires_at=expires_at))
    return True


def release(connection: Connection, lease: Lease) -> None:
    """The token stays: the next one is greater."""
    connection.execute(
        update(leases)
        .where(_row(lease.environment, lease.export), leases.c.token == lease.token)
        .values(run_id=None, export_time=None, expires_at=None)
    )


def fence(connection: Connection, lease: Lease) -> None:
    """Let pass only the holder of a valid lease; nobody else gets it before this transaction ends.

    Raises:
        Skip: `superseded`.
    """
    row = _locked(connection, lease.environment, lease.export)
    if not _is_of(row, lease):
        raise Skip(
            "Another run took over while this one stood still.",
            next_step="Nothing to do: see the other run's delivery in the history.",
            reason="superseded",
        )
    if row.expires_at <= clock.now(connection):
        raise Skip(
            "This run stood still until its lease expired.",
            next_step="Run this export time again: it delivers the same rows.",
            reason="superseded",
        )


def _row(environment: str, export: str) -> ColumnElement[bool]:
    return and_(leases.c.environment == environment, leases.c.export == export)


def _locked(connection: Connection, environment: str, export: str) -> Row[Any]:
    return connection.execute(select(leases).where(_row(environment, export)).with_for_update()).one()


def _is_of(row: Row[Any], lease: Lease) -> bool:
    return row.run_id is not None and row.token == lease.token
