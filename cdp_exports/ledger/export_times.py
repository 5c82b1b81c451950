"""Export times: minted, typed or scheduled, and never twice."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import ClockSkew, DeclarationError
from cdp_exports.ledger import clock
from cdp_exports.ledger.tables import export_times
from cdp_exports.ledger.upsert import insert

AHEAD = timedelta(minutes=10)
"""How far a minted export time may run ahead of the clock."""


def newest(connection: Connection, environment: str, *exports: str) -> ExportTime | None:
    of_any = export_times.c.environment == environment, export_times.c.export.in_(exports)
    return connection.execute(select(func.max(export_times.c.newest)).where(*of_any)).scalar_one()


def mint(connection: Connection, environment: str, export: str, formerly: str | None) -> ExportTime:
    _locked(connection, environment, export)
    before = newest(connection, environment, export, *([formerly] if formerly else []))
    now = clock.now(connection)
    minted = ExportTime(now) if before is None else max(ExportTime(now), before.next())
    if minted.at > now + AHEAD:
        raise ClockSkew(
            f"The newest export time, {before}, is more than 10 minutes ahead of the ledger's clock, which shows {now:%Y-%m-%d %H:%M} UTC.",
            next_step="Correct the clock of the ledger's database, or wait until it has caught up.",
        )
    _advance(connection, environment, export, minted)
    return minted


def note(connection: Connection, environment: str, export: str, export_time: ExportTime) -> None:
    before = _locked(connection, environment, export)
    if before is not None and export_time <= before:
        return  # a minted one may be ahead of the clock
    now = clock.now(connection)
    if export_time.at > now:
        raise DeclarationError(
            f"The export time {export_time} is in the future: the ledger's clock shows {now:%Y-%m-%d %H:%M} UTC.",
            next_step="Name a minute that has begun, in UTC, or leave the export time out.",
        )
    _advance(connection, environment, export, export_time)


def note_delivered(connection: Connection, environment: str, export: str, export_time: ExportTime) -> None:
    """Remember an export time whatever the clock shows: it has been delivered."""
    before = _locked(connection, environment, export)
    if before is None or export_time > before:
        _advance(connection, environment, export, export_time)


def _row(environment: str, export: str) -> ColumnElement[bool]:
    return and_(export_times.c.environment == environment, export_times.c.export == export)


def _locked(connection: Connection, environment: str, export: str) -> ExportTime | None:
    """The newest export time, which nobody else changes before this transaction ends."""
    connection.execute(insert(connection, export_times).values(environment=environment, export=export).on_conflict_do_nothing())
    return connection.execute(select(export_times.c.newest).where(_row(environment, export)).with_for_update()).scalar_one()


def _advance(connection: Connection, environment: str, export: str, export_time: ExportTime) -> None:
    connection.execute(update(export_times).where(_row(environment, export)).values(newest=export_time))
