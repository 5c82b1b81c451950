"""How many members segments have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cdp_exports.evaluation import phones
from cdp_exports.evaluation.inputs import Tables
from cdp_exports.evaluation.reading import Reading, together
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sweeping import with_parts
from cdp_exports.segments.audience import at
from cdp_exports.segments.members import CompiledSegment


def count(
    segments: Sequence[CompiledSegment], tables: Tables, moment: datetime, *, memory_limit: int, disk_limit: int, folder: Path | None = None
) -> dict[str, int]:
    """The members of each segment at a time, by its id; the segments of one dataset share one scan.

    Raises:
        As `evaluate` does.
    """
    counts: dict[str, int] = {}
    with Session.open(memory_limit, disk_limit, folder) as session:
        phones.offer(session, segments)
        reading = Reading(session, tables, together(segment.tables for segment in segments))
        for dataset in dict.fromkeys(segment.of for segment in segments):
            mine = [segment for segment in segments if segment.of == dataset]
            parts = {part.segment: part for segment in mine for part in segment.parts}
            for part in parts.values():
                reading.part(part, dataset, moment)
            numbers = ", ".join(f"count(*) FILTER ({at(segment.membership.sql, moment)})" for segment in mine)
            subject = " or ".join(f"segment {segment.segment}" for segment in mine)
            with reading.pinned(dataset) as rows:
                source = with_parts(rows, dataset, mine[0].key, parts.values())
                found = session.run(f"SELECT {numbers} FROM {source}", subject)[0]
            counts |= dict(zip((segment.segment for segment in mine), found, strict=True))
    return counts
