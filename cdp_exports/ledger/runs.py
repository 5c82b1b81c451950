"""Runs that are at work, and when each was last seen alive: so that one whose process died is noticed, whoever launched it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, delete, or_, select, update

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import clock
from cdp_exports.ledger.tables import runs
from cdp_exports.ledger.upsert import insert

KEPT = timedelta(days=7)
"""After this nobody asks any more whether a run is alive."""


class AtWork(BaseModel):
    """One run of one export at one export time; `seen_at` by the ledger's clock."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    environment: str
    run_id: str
    export: str
    export_time: ExportTime
    members: tuple[str, ...]
    seen_at: datetime
    ended: bool = False


def begin(connection: Connection, environment: str, run_id: str, export: str, export_time: ExportTime, members: Sequence[str]) -> None:
    """It is at work, also one that ended and tries again."""
    now = clock.now(connection)
    connection.execute(delete(runs).where(runs.c.environment == environment, runs.c.seen_at < now - KEPT))
    values = {"export": export, "export_time": export_time, "members": list(members), "seen_at": now, "ended": False}
    connection.execute(
        insert(connection, runs)
        .values(environment=environment, run_id=run_id, **values)
        .on_conflict_do_update(index_elements=["environment", "run_id"], set_=values)
    )


def seen(connection: Connection, environment: str, run_id: str, *, ended: bool) -> None:
    """It is alive now; `ended`: and leaves in good order."""
    here = runs.c.environment == environment, runs.c.run_id == run_id
    connection.execute(update(runs).where(*here).values(seen_at=clock.now(connection), ended=ended))


def silent(connection: Connection, environment: str, seconds: float) -> list[AtWork]:
    """Those that did not end and were not seen for so long, the longest first."""
    before = clock.now(connection) - timedelta(seconds=seconds)
    of = runs.c.environment == environment, runs.c.ended.is_(False), runs.c.seen_at < before
    return [AtWork.model_validate(dict(row)) for row in connection.execute(select(runs).where(*of).order_by(runs.c.seen_at)).mappings()]


def idle(connection: Connection, environment: str, run_ids: Sequence[str], seconds: float) -> list[str]:
    """Which of these are not at work: never seen, or their step ended so long ago and no other try began."""
    lately = or_(runs.c.ended.is_(False), runs.c.seen_at >= clock.now(connection) - timedelta(seconds=seconds))
    there = select(runs.c.run_id).where(runs.c.environment == environment, runs.c.run_id.in_(run_ids), lately)
    at_work = set(connection.execute(there).scalars())
    return [run_id for run_id in run_ids if run_id not in at_work]


def close(connection: Connection, one: AtWork) -> bool:
    """It was given up. False: somebody else did, or it was seen again."""
    here = runs.c.environment == one.environment, runs.c.run_id == one.run_id
    same = runs.c.seen_at == one.seen_at, runs.c.ended.is_(False)
    return connection.execute(update(runs).where(*here, *same).values(ended=True)).rowcount == 1
