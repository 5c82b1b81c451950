"""Export times at which nothing ran because nobody evaluated the schedule; a later delivery takes their rows along."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, insert, select, update

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.ledger import clock
from cdp_exports.ledger.tables import skips

MISSED, COVERED = "missed", "covered_by"


def note(
    connection: Connection, environment: str, export: str, members: Sequence[str], times: Iterable[ExportTime], *, why: str, noticed_by: str
) -> None:
    """Remember missed times of each member, each once."""
    here = skips.c.environment == environment, skips.c.export == export
    there = select(skips.c.member, skips.c.export_time).where(*here, skips.c.reason.in_((MISSED, COVERED)))
    known = {(row.member, row.export_time) for row in connection.execute(there)}
    now = clock.now(connection)
    rows = [
        {
            "environment": environment,
            "export": export,
            "member": member,
            "export_time": time,
            "outcome": "skipped",
            "reason": MISSED,
            "message": why,
            "next_step": "Nothing to do: the next delivery takes its rows along.",
            "run_id": noticed_by,
            "at": now,
        }
        for time in times
        for member in members
        if (member, time) not in known
    ]
    if rows:
        connection.execute(insert(skips), rows)


def cover(connection: Connection, environment: str, export: str, member: str, delivered: ExportTime) -> None:
    """A delivery was committed: what was missed before it went with it."""
    here = skips.c.environment == environment, skips.c.export == export, skips.c.member == member
    missed = skips.c.reason == MISSED, skips.c.export_time < delivered
    connection.execute(
        update(skips)
        .where(*here, *missed)
        .values(
            reason=COVERED,
            message=skips.c.message + f" Its rows went with the delivery of {delivered}.",
            next_step="Nothing to do: nothing is missing.",
        )
    )
