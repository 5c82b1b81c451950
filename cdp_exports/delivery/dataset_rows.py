"""The rows of a dataset delivery: read from the source as they were pinned."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.scratch import scratch
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.entities.nearest import nearest
from cdp_exports.errors import CannotHold, DeclarationError
from cdp_exports.formats.check import check
from cdp_exports.increments.net import CHANGE_TYPE, net_changes
from cdp_exports.ledger.records import Counts, Pin
from cdp_exports.sources.reading import reading
from cdp_exports.sources.source import Source

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.delivery.member import Member

MEMORY_LIMIT = 192 * 2**20
"""Bytes for comparing two versions; beyond it the comparison spills to the temporary folder."""

DISK_LIMIT = 50 * 2**30
"""Bytes that a comparison may spill."""


@contextmanager
def dataset_reading(member: Member, upstream: Upstream, pin: Pin) -> Generator[Reading]:
    """The pinned rows; valid inside the block. Errors of the source come out in the project's words.

    Raises:
        HistoryLost: a pinned version is gone, or another commit stands under it.
        KeyNotUnique, CannotHold, SourceUnreadable, TransientError: as reading finds.
    """
    (pinned,) = pin.sources
    source = upstream.pinned(pinned)
    with reading(member.id):
        if pinned.after_version is None:
            rows = source.rows(pinned.upto_version)
            yield Reading(_shaped(rows.frame, pin), rows.expected, pin.sources)
        elif pinned.after_version == pinned.upto_version:
            rows = source.rows(pinned.upto_version)
            yield Reading(_shaped(rows.frame.head(0), pin), 0, pin.sources)
        else:
            difference = source.difference(pinned.after_version, pinned.upto_version)
            member.context.progress(member.id, "comparing", 0, None)
            with (
                scratch() as folder,
                net_changes(
                    difference.minus,
                    difference.plus,
                    key=pin.key,
                    changes=pin.changes,
                    subsets=difference.subsets,
                    memory_limit=MEMORY_LIMIT,
                    folder=folder,
                    disk_limit=DISK_LIMIT,
                ) as net,
            ):
                total = net.inserted + net.updated + net.deleted
                yield Reading(
                    net.frame,
                    total,
                    (pinned.model_copy(update={"change_source": difference.change_source}),),
                    Counts(received=total, delivered=total, inserted=net.inserted, updated=net.updated, deleted=net.deleted),
                )


def schema_of(member: Member, source: Source, version: int) -> tuple[dict[str, Any], ...]:
    """The columns to deliver, as the manifest names them; the format must be able to hold them.

    Raises:
        CannotHold: it cannot, and no conversion is declared.
        DeclarationError: the key names no column.
    """
    columns = source.columns(version)
    names = [column.name for column in columns]
    for name in member.dataset.key:
        if name not in names:
            raise DeclarationError(
                f"The key of dataset {member.id} names {name!r}, which is no column of the table{nearest(name, names)}.",
                next_step=f"Correct `key` in datasets/{member.id}.yaml.",
            )
    if CHANGE_TYPE in names:
        raise CannotHold(
            f"The table has a column {CHANGE_TYPE}, the name under which changes are told apart.",
            next_step="Rename it in the table.",
        )
    with reading(member.id):
        check(source.rows(version).frame.collect_schema(), member.export.format)
    schema = [
        {"name": column.name, "type": column.type, "nullable": column.nullable, "description": column.description} for column in columns
    ]
    if _all_changes(member):
        schema.append({"name": CHANGE_TYPE, "type": "string", "nullable": False, "description": "insert, update or delete"})
    return tuple(schema)


def _all_changes(member: Member) -> bool:
    return member.export.kind == "dataset" and member.export.changes == "all"


def _shaped(frame: pl.LazyFrame, pin: Pin) -> pl.LazyFrame:
    """A full has the columns of the increments that follow it."""
    import polars as pl

    return frame.with_columns(pl.lit("insert").alias(CHANGE_TYPE)) if pin.changes == "all" else frame
