"""Since when an export has the cadence it has: what it would have missed before is no gap."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from cdp_exports.ledger import clock
from cdp_exports.ledger.tables import cadences
from cdp_exports.ledger.upsert import insert


def known(connection: Connection, environment: str) -> dict[str, tuple[str, datetime]]:
    rows = connection.execute(select(cadences).where(cadences.c.environment == environment))
    return {row.export: (row.cadence, row.since) for row in rows}


def note(connection: Connection, environment: str, declared: Mapping[str, str]) -> None:
    """Those that are not as they were begin now."""
    before, now = known(connection, environment), clock.now(connection)
    for export, cadence in declared.items():
        if export not in before or before[export][0] != cadence:
            values = {"environment": environment, "export": export, "cadence": cadence, "since": now}
            changed = {"cadence": cadence, "since": now}
            here = [cadences.c.environment, cadences.c.export]
            connection.execute(insert(connection, cadences).values(values).on_conflict_do_update(index_elements=here, set_=changed))
