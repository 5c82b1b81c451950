"""Signals: the newest refresh of each dataset that a sensor noticed."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Connection, and_, select, update

from cdp_exports.ledger import clock
from cdp_exports.ledger.tables import signals
from cdp_exports.ledger.upsert import insert


class Signal(BaseModel):
    """One refresh of one dataset.

    `version`: the table's head then; `changed_version`: the newest version that changed rows and did not merely rearrange
    them; `event`: the number of the asset event that told of it, None where the table itself was looked at; `reported`:
    Dagster was told, where nobody else tells it; `noticed_at`: by the ledger's clock.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str
    dataset: str
    table_id: str
    version: int
    commit_hash: str
    committed_at: datetime
    changed_version: int
    event: int | None = None
    noticed_at: datetime
    reported: bool = False


def of(connection: Connection, environment: str) -> dict[str, Signal]:
    rows = connection.execute(select(signals).where(signals.c.environment == environment)).mappings()
    return {row["dataset"]: Signal.model_validate(dict(row)) for row in rows}


def note(connection: Connection, signal: Signal, known: Signal | None) -> Signal | None:
    """Record a refresh, unless another sensor did since `known` was read. The signal with its moment; None: the other one's stands."""
    values = {**signal.model_dump(), "noticed_at": clock.now(connection)}
    if known is None:
        done = connection.execute(insert(connection, signals).values(values).on_conflict_do_nothing())
    else:
        as_known = signals.c.noticed_at == known.noticed_at, signals.c.version == known.version
        done = connection.execute(update(signals).where(_row(signal), *as_known).values(values))
    return Signal.model_validate(values) if done.rowcount == 1 else None


def reported(connection: Connection, signal: Signal) -> None:
    connection.execute(update(signals).where(_row(signal), signals.c.version == signal.version).values(reported=True))


def _row(signal: Signal) -> ColumnElement[bool]:
    return and_(signals.c.environment == signal.environment, signals.c.dataset == signal.dataset)
