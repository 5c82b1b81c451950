"""The rows of a dataset delivery: read from the source as they were pinned, and counted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdp_exports.entities.nearest import nearest
from cdp_exports.errors import CannotHold, DeclarationError, HistoryLost, NotCounted
from cdp_exports.formats.check import check
from cdp_exports.increments.net import CHANGE_TYPE, net_changes
from cdp_exports.ledger.records import Counts, Pin, SourcePin
from cdp_exports.sources.reading import reading
from cdp_exports.sources.source import Source

if TYPE_CHECKING:
    import polars as pl

    from cdp_exports.delivery.member import Member

MEMORY_LIMIT = 192 * 2**20
"""Bytes for comparing two versions; beyond it the comparison spills to the temporary folder."""

DISK_LIMIT = 50 * 2**30
"""Bytes that a comparison may spill."""


@dataclass(frozen=True)
class Reading:
    """The rows to write, lazily; `expected` is their number where it is known before reading."""

    frame: pl.LazyFrame
    expected: int | None
    sources: tuple[SourcePin, ...]  # with the change source that was used
    inserted: int | None = None  # of an increment, counted by what compared the two versions
    updated: int = 0
    deleted: int = 0

    def counts(self, written: int) -> Counts:
        """The rows as written, against those read.

        Raises:
            NotCounted: they do not add up; nothing is published.
        """
        if self.expected is not None and written != self.expected:
            raise NotCounted(
                f"{self.expected} rows were to be delivered and {written} were written.",
                next_step="Nothing was published. Run again; if it repeats, report it with the table's log.",
            )
        inserted = written if self.inserted is None else self.inserted
        return Counts(
            received=self.expected if self.expected is not None else written,
            delivered=written,
            inserted=inserted,
            updated=self.updated,
            deleted=self.deleted,
        )


@contextmanager
def reading_of(member: Member, pin: Pin) -> Generator[Reading]:
    """The pinned rows; valid inside the block. Errors of the source come out in the project's words.

    Raises:
        HistoryLost: a pinned version is gone, or another commit stands under it.
        KeyNotUnique, CannotHold, SourceUnreadable, TransientError: as reading finds.
    """
    source = member.context.open_source(member.id)
    (pinned,) = pin.sources
    _assert_pinned(source, pinned)
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
            with net_changes(
                difference.minus,
                difference.plus,
                key=pin.key,
                changes=pin.changes,
                subsets=difference.subsets,
                memory_limit=MEMORY_LIMIT,
                disk_limit=DISK_LIMIT,
            ) as net:
                yield Reading(
                    net.frame,
                    net.inserted + net.updated + net.deleted,
                    (pinned.model_copy(update={"change_source": difference.change_source}),),
                    inserted=net.inserted,
                    updated=net.updated,
                    deleted=net.deleted,
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
    if member.export.changes == "all":
        schema.append({"name": CHANGE_TYPE, "type": "string", "nullable": False, "description": "insert, update or delete"})
    return tuple(schema)


def _shaped(frame: pl.LazyFrame, pin: Pin) -> pl.LazyFrame:
    """A full has the columns of the increments that follow it."""
    import polars as pl

    return frame.with_columns(pl.lit("insert").alias(CHANGE_TYPE)) if pin.changes == "all" else frame


def _assert_pinned(source: Source, pinned: SourcePin) -> None:
    if source.at(pinned.upto_version).commit != pinned.upto_commit:
        raise HistoryLost(
            f"Another commit stands under version {pinned.upto_version} than when this delivery was pinned.",
            next_step="The table was restored from a backup. Run a new export time: it closes this one.",
            reason="source_rewound",
        )
