"""How many members segments have now, apart from any export. Nothing is sent or kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp_exports.delivery.audience_rows import DISK_LIMIT, MEMORY_LIMIT
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.scratch import scratch
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.evaluation.inputs import Tables
from cdp_exports.sources.member_list import bytes_of, rows_of
from cdp_exports.sources.reading import reading

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class SegmentCount:
    """`versions`: of each dataset that was read."""

    members: int
    versions: Mapping[str, int]


def count_members(context: Context, segment_ids: Sequence[str]) -> Mapping[str, SegmentCount]:
    """The active members of segments, their datasets at their heads, each of which is read once; `export_time` is now.

    Raises:
        SourceUnreadable, KeyNotUnique, TransientError: as reading and evaluating find.
    """
    from cdp_exports.evaluation.count import count
    from cdp_exports.segments.members import compile_segment

    catalog, upstream = context.catalog, Upstream(context)
    now = ExportTime(context.ledger.now()).at
    compiled = {segment_id: compile_segment(segment_id, catalog.segments, catalog.datasets) for segment_id in segment_ids}
    lists = {part.segment: (segment, part) for segment in compiled.values() for part in segment.parts if part.query is None}
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        stack.enter_context(reading(" and ".join(segment_ids)))

        def pinned(name: str) -> pl.LazyFrame:
            if name not in lists:
                return upstream.source(name).rows(upstream.head(name).version).frame
            segment, part = lists[name]
            declared, file = catalog.segments[name].list, folder / name
            assert declared is not None
            with file.open("wb") as output:
                output.writelines(bytes_of(declared, catalog.root, os.environ))
            return rows_of(declared, file, {**{key: segment.tables[segment.of][key] for key in part.key}, **part.columns})

        tables = Tables(pinned=pinned, head=lambda _: None)
        members = count(list(compiled.values()), tables, now, memory_limit=MEMORY_LIMIT, disk_limit=DISK_LIMIT, folder=folder)
        return {
            segment_id: SegmentCount(members[segment_id], {name: upstream.head(name).version for name in segment.datasets})
            for segment_id, segment in compiled.items()
        }
