"""What `show` tells of a segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cdp_exports.cli.documents import Document, limit_document
from cdp_exports.cli.ending import error_document
from cdp_exports.cli.screen import note, number, table, text
from cdp_exports.cli.segment_tables import beside_limit
from cdp_exports.cli.session import Session
from cdp_exports.errors import CdpExportsError

if TYPE_CHECKING:
    from cdp_exports.segments.members import CompiledSegment


def segment_document(opened: Session, segment_id: str) -> Document:
    """A segment: what it is, who sends it, and how many members it has in its datasets as they are now.

    Raises:
        TransientError: a table cannot be reached; one that cannot be read leaves `members` null and `error` filled.
    """
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.counting import SegmentCount, count_members
    from cdp_exports.segments.members import compile_segment

    catalog = opened.catalog
    declared = catalog.segments[segment_id]
    compiled = compile_segment(segment_id, catalog.segments, catalog.datasets)
    count: SegmentCount | None = None
    error: CdpExportsError | None = None
    try:
        count = count_members(opened.context(silent), [segment_id])[segment_id]
    except CdpExportsError as failed:
        error = failed
    members = count.members if count else None
    return {
        "type": "segment",
        "segment": segment_id,
        "description": declared.description,
        "owners": list(declared.owners),
        "of": compiled.of,
        "key": list(compiled.key),
        "declaration": declared.model_dump(mode="json", exclude_defaults=True),
        "sql": canonical_sql(compiled),
        "datasets": list(compiled.datasets),
        "members": members,
        "versions": dict(count.versions) if count else None,
        "error": error_document(error) if error else None,
        "exports": [_sent_by(opened, segment_id, export_id, members) for export_id in _senders(opened, segment_id)],
    }


def canonical_sql(segment: CompiledSegment) -> str:
    """The segment as one query over its datasets, as DuckDB evaluates it; `export_time` stands where the export time goes.

    A part that is a list of keys stands there by its name.
    """
    import sqlglot

    parts = [f"{_quoted(part.segment)} AS ({part.query})" for part in segment.parts if part.query is not None]
    joins = [
        f" LEFT JOIN {_quoted(part.segment)} ON "
        + " AND ".join(
            f"{_quoted(segment.of)}.{_quoted(own)} = {_quoted(part.segment)}.{_quoted(theirs)}"
            for own, theirs in zip(segment.key, part.key, strict=True)
        )
        for part in segment.parts
    ]
    keys = ", ".join(f"{_quoted(segment.of)}.{_quoted(name)}" for name in segment.key)
    query = f"SELECT {keys} FROM {_quoted(segment.of)}{''.join(joins)} WHERE {segment.membership.sql}"  # noqa: S608  shown, never run
    return sqlglot.parse_one(f"{'WITH ' * bool(parts)}{', '.join(parts)} {query}", dialect="duckdb").sql("duckdb", pretty=True)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _senders(opened: Session, segment_id: str) -> list[str]:
    return [export_id for export_id, export in opened.catalog.segment_exports.items() if segment_id in export.segments]


def _sent_by(opened: Session, segment_id: str, export_id: str, members: int | None) -> Document:
    """An export that sends the segment: what it held last, and its limits on the audience beside the members now."""
    from cdp_exports.delivery.context import silent
    from cdp_exports.delivery.limits import LimitState, limits_of
    from cdp_exports.delivery.member import members_of

    (member,) = members_of(opened.context(silent), export_id, [segment_id])
    limits, last = limits_of(member), member.last_committed()
    held = last.counts.movement.held if last and last.counts and last.counts.movement else None
    counted = held if member.audience and member.audience.contacts else members  # a receiver of contacts holds those
    bounds = (("max", limits.audience.max), ("min", limits.audience.min))
    return {
        "export": export_id,
        "connection": member.export.connection,
        "connection_type": opened.catalog.connections[member.export.connection].type,
        "last_export_time": str(last.export_time) if last else None,
        "held": held,
        "limits": [
            limit_document(LimitState("audience", bound, counted, limit, limits.warn_at))
            for bound, limit in bounds
            if limit is not None and counted is not None
        ],
    }


def drawn_segment(document: Document) -> list[Any]:
    """What it is, its SQL, then who sends it."""
    about = table("segment", document["segment"])
    for name, value in _about(document):
        if value:
            about.add_row(text(name, "dim"), text(value))
    parts: list[Any] = [about, text(document["sql"], "dim"), text("")]
    if error := document["error"]:
        parts.append(note(document["segment"], f"cannot be counted: {error['message']}", error["next_step"], "red"))
    if not document["exports"]:
        return [*parts, text("No export sends it.")]
    rows = table("export", "to", "last delivery", "#held then", "members now, of the limit")
    for export in document["exports"]:
        limits = "; ".join(beside_limit(limit) for limit in export["limits"])
        rows.add_row(
            export["export"],
            f"{export['connection']} ({export['connection_type']})",
            export["last_export_time"] or text("never", "dim"),
            number(export["held"]),
            text(limits or "none"),
        )
    return [*parts, rows]


def _about(document: Document) -> Iterator[tuple[str, str | None]]:
    yield "description", document["description"]
    yield "owners", ", ".join(document["owners"])
    yield "members of", f"{document['of']} (key: {', '.join(document['key'])})"
    yield "reads", ", ".join(document["datasets"])
    if document["versions"] is not None:
        versions = ", ".join(f"{dataset} {version}" for dataset, version in document["versions"].items())
        yield "members now", f"{number(document['members'])}, from {versions}"
