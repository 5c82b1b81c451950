"""Export times that fell due and whose run is not there yet: they wait for a refresh, or a run was requested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import clock, export_times
from cdp_exports.ledger.tables import due
from cdp_exports.ledger.upsert import insert

DueState = Literal["waiting_for_refresh", "requested", "launched", "dropped"]
"""`waiting_for_refresh` and `requested` (minted, its run not seen yet) are open; `dropped`: it will not run."""

OPEN: tuple[DueState, ...] = ("waiting_for_refresh", "requested")


class Due(BaseModel):
    """One export time of an export, and what made it due.

    `members`: those to deliver; `upstream_runs`: whose end it waits for; `seen`: of a refresh, the version of each dataset that
    made it due; `since`: when it fell due, by the ledger's clock.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    environment: str
    export: str
    export_time: ExportTime
    cause: Literal["schedule", "refresh"]
    state: DueState
    members: tuple[str, ...]
    upstream_runs: tuple[str, ...] = ()
    seen: dict[str, str] = {}
    since: datetime


def all_open(connection: Connection, environment: str, export: str | None = None) -> list[Due]:
    """The longest due first."""
    wanted = [due.c.environment == environment, due.c.state.in_(OPEN), *([due.c.export == export] if export else [])]
    rows = connection.execute(select(due).where(*wanted).order_by(due.c.since, due.c.export_time)).mappings()
    return [Due.model_validate(dict(row)) for row in rows]


def last_of_refreshes(connection: Connection, environment: str) -> dict[str, Due]:
    """By export, the newest that a refresh made due."""
    of_refreshes = due.c.environment == environment, due.c.cause == "refresh"
    newest = select(due.c.export, func.max(due.c.export_time).label("newest")).where(*of_refreshes).group_by(due.c.export).subquery()
    joined = due.join(newest, and_(due.c.export == newest.c.export, due.c.export_time == newest.c.newest))
    rows = connection.execute(select(due).select_from(joined).where(*of_refreshes)).mappings()
    return {row["export"]: Due.model_validate(dict(row)) for row in rows}


def wait(
    connection: Connection, environment: str, export: str, export_time: ExportTime, *, members: Sequence[str], upstream_runs: Sequence[str]
) -> bool:
    """A tick that waits. False: it does already, or did."""
    export_times.note(connection, environment, export, export_time)
    state: DueState = "waiting_for_refresh"
    return _add(connection, environment, export, export_time, "schedule", state, members, upstream_runs, {})


def request(
    connection: Connection,
    environment: str,
    export: str,
    formerly: str | None,
    *,
    cause: Literal["schedule", "refresh"],
    state: DueState,
    members: Sequence[str],
    seen: Mapping[str, str],
) -> Due:
    """A new export time, minted; both are there or neither. Of two daemons that ask at once the second gets what the first asked for."""
    export_time = export_times.mint(connection, environment, export, formerly)  # holds off the other until this transaction ends
    asked = next((one for one in all_open(connection, environment, export) if one.state == state == "requested"), None)
    if asked is not None:
        return asked
    _add(connection, environment, export, export_time, cause, state, members, (), seen)
    row = connection.execute(select(due).where(_row(environment, export, export_time))).mappings().one()
    return Due.model_validate(dict(row))


def move(connection: Connection, one: Due, state: DueState) -> bool:
    """To another state; False: somebody else moved it before."""
    here = _row(one.environment, one.export, one.export_time)
    return connection.execute(update(due).where(here, due.c.state == one.state).values(state=state)).rowcount == 1


def wait_for(connection: Connection, one: Due, upstream_runs: Sequence[str]) -> None:
    """Other runs than before."""
    here = _row(one.environment, one.export, one.export_time)
    connection.execute(update(due).where(here, due.c.state == "waiting_for_refresh").values(upstream_runs=list(upstream_runs)))


def _add(
    connection: Connection,
    environment: str,
    export: str,
    export_time: ExportTime,
    cause: str,
    state: DueState,
    members: Sequence[str],
    upstream_runs: Sequence[str],
    seen: Mapping[str, str],
) -> bool:
    values: dict[str, Any] = {
        "environment": environment,
        "export": export,
        "export_time": export_time,
        "cause": cause,
        "state": state,
        "members": list(members),
        "upstream_runs": list(upstream_runs),
        "seen": dict(seen),
        "since": clock.now(connection),
    }
    return connection.execute(insert(connection, due).values(values).on_conflict_do_nothing()).rowcount == 1


def _row(environment: str, export: str, export_time: ExportTime) -> ColumnElement[bool]:
    return and_(due.c.environment == environment, due.c.export == export, due.c.export_time == export_time)
