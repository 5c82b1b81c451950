"""Removing files whose time is over, of every export at once; each delivery does it for its own export too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from cdp_exports.delivery.context import Context
from cdp_exports.delivery.lasting import is_expired
from cdp_exports.delivery.member import Member, members_of
from cdp_exports.delivery.sweeping import sweep
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.nearest import nearest
from cdp_exports.errors import CdpExportsError, DeclarationError
from cdp_exports.ledger.records import Delivery


def expire(context: Context, connection: str | None = None) -> Iterator[Delivery]:
    """Remove what was delivered through a connection (default: all) and is there longer than its manifest announces.

    Yields the deliveries whose files were removed, as they were. Exports that a run delivers at this moment are left to it.

    Raises:
        DeclarationError: there is no such connection, and nothing was delivered through one.
        TransientError: the ledger is not there.
        CdpExportsError: at the end, why files at some place could not be removed; all others were.
    """
    now = context.ledger.now()
    standing = [one for one in context.ledger.standing(context.catalog.environment.name) if one.keep_for]
    used = {one.connection_id for one in standing}
    if connection is not None and connection not in context.catalog.connections and connection not in used:
        known = f"There is no connection {connection!r}{nearest(connection, context.catalog.connections)}."
        raise DeclarationError(known, next_step="Without a name, files at all connections are looked at.")
    ours = {
        (one.export, one.member)
        for one in standing
        if connection in (None, one.connection_id) and is_expired(one.keep_for, one.written, now)
    }
    failed = list[CdpExportsError]()
    for member in _declared(context):
        names = set(product(member.exports, member.members))
        if names & ours:
            swept = sweep(member)
            yield from swept.expired
            failed += swept.failed.values()
        ours -= names
    for export_id, member_id in sorted(ours):
        swept = sweep(_no_longer_declared(context, export_id, member_id))
        yield from swept.expired
        failed += swept.failed.values()
    if failed:
        raise failed[0]


def _declared(context: Context) -> Iterator[Member]:
    for export_id in context.catalog.exports:
        yield from members_of(context, export_id)


@dataclass(frozen=True)
class _NoLongerDeclared(Member):
    """What the ledger remembers of a member that the catalog has no more."""

    @property
    def exports(self) -> tuple[str, ...]:
        return (self.export_id,)

    @property
    def members(self) -> tuple[str, ...]:
        return (self.id,)


def _no_longer_declared(context: Context, export_id: str, member_id: str) -> Member:
    return _NoLongerDeclared(context, export_id, DatasetExport.model_construct(model_json=False, formerly=None), member_id)
