"""How one profile, account or row stood at a delivery: from the state folder, or evaluated once more from the pinned versions.

Keys come as text, as a person types them. They are personal data: no message holds one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cdp_exports.delivery import held
from cdp_exports.delivery.audience_rows import evaluated
from cdp_exports.delivery.context import Context
from cdp_exports.delivery.limits import limits_of
from cdp_exports.delivery.member import Member
from cdp_exports.delivery.pinned_audience import pinned_audience
from cdp_exports.delivery.questions import Subject
from cdp_exports.delivery.scratch import scratch
from cdp_exports.delivery.upstream import Upstream
from cdp_exports.errors import DeclarationError, HistoryLost
from cdp_exports.evaluation.inputs import KEY
from cdp_exports.ledger.records import Delivery
from cdp_exports.segments.audience import Audience
from cdp_exports.sources.reading import reading
from cdp_exports.sources.source import Column, Difference, Head, Rows, Source

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Standing:
    """A member. `reason`: why it is not sent; None: the receiver holds it. `fingerprint`: of its mapped values."""

    fingerprint: int
    reason: str | None


Standings = Mapping[tuple[str, ...], Standing]
"""By the keys of the contacts, where contacts are exploded, else by (). Who is not there is no member."""


def matching(schema: pl.Schema, columns: Sequence[str], values: Sequence[str]) -> pl.Expr:
    """Whether the first columns have these values.

    Raises:
        DeclarationError: a value is none of its column's type.
    """
    import polars as pl

    found = pl.lit(True)
    for place, (column, value) in enumerate(zip(columns, values, strict=False), start=1):
        wanted = pl.select(pl.lit(value).cast(schema[column], strict=False)).item() if _is_typed(schema[column]) else value
        if wanted is None:
            raise DeclarationError(
                f"Value {place} of the key is no {schema[column]}, the type of its column.",
                next_step="Give the key's values in the order of its columns, each as the table has it.",
            )
        found &= (pl.col(column) if _is_typed(schema[column]) else pl.col(column).cast(pl.String)) == pl.lit(wanted)
    return found


def _is_typed(kind: pl.DataType) -> bool:
    """Whether text becomes such a value in one way only."""
    import polars as pl

    return kind.is_integer() or kind.is_decimal() or kind == pl.String


def kept(member: Member, chain: Sequence[Delivery], key: Sequence[str]) -> dict[str, Standings]:
    """By id of the delivery, as far back as the state folder reaches. `chain`: committed deliveries of one chain, oldest first."""
    found: dict[str, Standings] = {}
    left = list(chain)
    while left and left[-1].counts and left[-1].counts.held:
        with scratch() as folder:
            try:
                rows, reaches = _timeline(held.read(member.context.open_state(), left, Path(folder)), key)
            except HistoryLost:
                break
        reaches = left[-1].sequence if reaches is None else reaches
        for delivery in left:
            if delivery.sequence >= reaches:
                found.setdefault(delivery.id, _after(rows, delivery.sequence))
        left = [delivery for delivery in left if delivery.sequence < reaches]
    return found


_Row = tuple[int, tuple[str, ...], Standing | None]  # sequence, contact, None: gone


def _timeline(frame: pl.LazyFrame, key: Sequence[str]) -> tuple[list[_Row], int | None]:
    """The rows of a key, oldest first, and the sequence that they reach back to; None where there is no row of anybody."""
    import polars as pl

    schema = frame.collect_schema()
    keys = [name for name in schema if name.startswith(KEY)]
    mine = frame.filter(matching(schema, keys, key)).sort(held.SEQUENCE).select(held.SEQUENCE, *keys, "hash", "reason", "gone")
    first, rows = pl.collect_all([frame.select(pl.col(held.SEQUENCE).min()), mine])
    return [
        (sequence, _contact(columns[: len(keys)], key), None if columns[-1] else Standing(columns[-3], columns[-2]))
        for sequence, *columns in rows.iter_rows()
    ], first.item()


def _contact(keys: Sequence[object], given: Sequence[str]) -> tuple[str, ...]:
    """What a row's key has beyond the columns that were given."""
    return tuple(str(value) for value in keys[len(given) :])


def _after(rows: Sequence[_Row], sequence: int) -> Standings:
    newest = {contact: standing for of, contact, standing in rows if of <= sequence}
    return {contact: standing for contact, standing in newest.items() if standing is not None}


def judged(member: Member, delivery: Delivery, key: Sequence[str]) -> Standings | None:
    """Evaluated once more from the versions that the delivery was pinned to, consent and suppression as they are now.

    An account whose contacts would be exploded, and that has none, stands there with the reason `without_contact`.
    None where a version is gone, or the ledger no longer knows how it was evaluated.
    """
    audience = pinned_audience(delivery.pin)
    if audience is None:
        return None
    alone = _is_judged_alone(member, audience)
    context = _narrowed(member.context, audience, key) if alone else member.context
    asked = replace(member, context=context)
    as_kept = {**delivery.pin.definition, "mode": "incremental"}  # whose evaluation tells the reasons of everybody
    pin = delivery.pin.model_copy(update={"mode": "full", "way": None, "definition": as_kept})
    try:
        with evaluated([Subject(asked, delivery.export_time, pin, None, by_key=True)], Upstream(context)) as found:
            answer = found[member.id].answer
            assert answer.state is not None
            rows, _ = _timeline(answer.state.with_columns(**{held.SEQUENCE: 0}), key)
            if not rows and alone and answer.funnel.without_contact:
                return {(): Standing(0, "without_contact")}
    except HistoryLost:
        return None
    return _after(rows, 0)


def _is_judged_alone(member: Member, audience: Audience) -> bool:
    """Whether what becomes of one member depends on no other."""
    read_by_parts = {table for part in audience.parts for table, _ in part.reads}
    ranked = limits_of(member).over == "truncate"
    return not (audience.dedupe_by or ranked or audience.of in read_by_parts)


def is_in_dataset(member: Member, delivery: Delivery, key: Sequence[str]) -> bool | None:
    """Whether the dataset had the key (of the account, where contacts are exploded) at the pinned version; None: that is gone."""
    audience = member.audience
    names = audience.key if audience else member.dataset.key
    pin = delivery.pin.sources[0]
    rows = rows_at(member, pin.dataset, pin.upto_version, names, key)
    return None if rows is None else rows.height > 0


def rows_at(member: Member, dataset: str, version: int, names: Sequence[str], key: Sequence[str]) -> pl.DataFrame | None:
    """The rows with a key at a version; None: that is gone."""
    source = Upstream(member.context).source(dataset)
    try:
        with reading(dataset):
            frame = source.rows(version).frame
            return frame.filter(matching(frame.collect_schema(), names, key)).collect()
    except HistoryLost:
        return None


@dataclass(frozen=True)
class _Narrowed:
    """A source of which only the rows with a key are read whole."""

    source: Source
    names: tuple[str, ...]
    key: tuple[str, ...]

    def rows(self, version: int) -> Rows:
        rows = self.source.rows(version)
        return replace(rows, frame=rows.frame.filter(matching(rows.frame.collect_schema(), self.names, self.key)), expected=None)

    def head(self) -> Head:
        return self.source.head()

    def at(self, version: int) -> Head:
        return self.source.at(version)

    def is_head(self, head: Head) -> bool:
        return self.source.is_head(head)

    def only_rearranged(self, after: int, upto: int) -> bool:
        return self.source.only_rearranged(after, upto)

    def columns(self, version: int) -> tuple[Column, ...]:
        return self.source.columns(version)

    def difference(self, after: int, upto: int, change_source: str | None = None) -> Difference:
        return self.source.difference(after, upto, change_source)

    def retention_hours(self) -> float | None:
        return self.source.retention_hours()


def _narrowed(context: Context, audience: Audience, key: Sequence[str]) -> Context:
    """The same world, in which the members' dataset has the rows of one key only."""
    datasets = context.catalog.datasets
    own = next((name for name, dataset in datasets.items() if dataset.formerly == audience.of), audience.of)

    def open_source(dataset: str) -> Source:
        source = context.open_source(dataset)
        return _Narrowed(source, audience.key, tuple(key)) if dataset == own else source

    return replace(context, open_source=open_source)
