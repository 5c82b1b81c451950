"""What is pinned of a segment: the versions and lists that are read, and the columns that are sent."""

from __future__ import annotations

import os
from typing import Any

from cdp_exports.delivery.lists import pin_list
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.pinned_audience import list_types
from cdp_exports.delivery.pinning import source_pin
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.ledger.records import SourcePin
from cdp_exports.segments.audience import Audience
from cdp_exports.segments.lineage import lineage


def fresh_pins(member: Member, audience: Audience, upstream: Upstream) -> tuple[SourcePin, ...]:
    return (*(source_pin(dataset, upstream.head(dataset)) for dataset in audience.datasets), *list_pins(member, audience))


def list_pins(member: Member, audience: Audience) -> list[SourcePin]:
    """External lists, copied to the state folder as they are now."""
    context = member.context
    pins: list[SourcePin] = []
    for part in audience.parts:
        declared = context.catalog.segments[part.segment].list
        if declared is not None:
            types = list_types(audience, part)
            pins.append(pin_list(context.open_state(), part.segment, declared, types, context.catalog.root, os.environ))
    return pins


def bytes_of(audience: Audience, upstream: Upstream) -> int:
    return sum(upstream.source(dataset).rows(upstream.head(dataset).version).bytes_estimate for dataset in audience.datasets)


def columns_of(member: Member, audience: Audience) -> tuple[dict[str, Any], ...]:
    """The columns that are sent, as the manifest names them; to audiences without the status, which is said in another way."""
    columns = [_column(shown, type, nullable=False) for shown, type in zip(audience.key_names, _key_types(audience), strict=True)]
    columns += [_column(field.name, field.expression.type, nullable=True) for field in audience.fields]
    status = audience.status
    if status is not None and not member.to_audience and (member.export.mode == "incremental" or status.in_full):
        words = f"{status.entered}, {status.updated} or {status.exited}"
        columns.append(_column(status.column, "VARCHAR", nullable=False, description=words))
        columns.append(_column(status.reason, "VARCHAR", nullable=True, description=f"why a member {status.exited}"))
    return tuple(columns)


def _key_types(audience: Audience) -> list[str]:
    """The types of the key columns that the files begin with; a field may stand in the place of one."""
    if not audience.key_names:  # `include_key: false`, or fields stand in the place of all
        return []
    contacts = audience.contacts
    key = [(audience.of, name) for name in audience.key]
    key += [(contacts.dataset, name) for name in contacts.key] if contacts and contacts.how == "explode" else []
    replaced = frozenset[tuple[str, str]]().union(*(field.expression.columns for field in audience.fields if field.key))
    return [audience.tables[table][name] for table, name in key if (table, name) not in replaced]


def mapping_of(audience: Audience) -> tuple[dict[str, str], ...]:
    """Which columns each field comes from. Not by which SQL: it may hold what receivers must not see, such as a salt."""
    sources = lineage(audience)
    return tuple(
        {"from": ", ".join(sorted(f"{table}.{column}" for table, column in sources[field.name])), "to": field.name}
        for field in audience.fields
    )


def _column(name: str, type: str, *, nullable: bool, description: str | None = None) -> dict[str, Any]:
    return {"name": name, "type": type, "nullable": nullable, "description": description}
