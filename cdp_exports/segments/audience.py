"""A compiled member of a segment export: everything that evaluating it needs, as checked SQL.

Columns in SQL are qualified and quoted. Tables are named by the id of a dataset, or of a segment that is a query or a list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from cdp_exports.entities.mapping import Status

_TIME = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\bexport_time\b""")

Columns = frozenset[tuple[str, str]]
"""Columns that are read: (table, column)."""


@dataclass(frozen=True)
class TimeBound:
    """A comparison of a bare column with an expression of the export time alone.

    Between two export times it comes out differently only for rows whose column lies between the expression's two values, both
    included; for all rows where one of these values is null.
    """

    table: str
    column: str
    sql: str  # of `export_time` and constants alone


@dataclass(frozen=True)
class Expression:
    """A scalar expression. `bounds`: how the export time decides it; None where it does so in another way than by comparisons."""

    sql: str  # `export_time` stands where the export time goes
    type: str  # DuckDB's
    columns: Columns
    uses_time: bool = False
    bounds: tuple[TimeBound, ...] | None = ()


@dataclass(frozen=True)
class Part:
    """Who is in a segment that is a query or a list: a relation with the key columns, and `columns` beside them (name: type)."""

    segment: str  # its name as a table
    key: tuple[str, ...]
    columns: Mapping[str, str]
    query: str | None  # None: a list
    uses_time: bool
    reads: Columns


@dataclass(frozen=True)
class OutputField:
    """A column of the files.

    `key`: it is the key column of this name, so its value is known of members who are gone. `array`: its value is one of every
    contact; the files have an array of them, and `expression` has its SQL for one contact but the type of the array.
    """

    name: str
    expression: Expression
    required: bool
    identity: bool
    key: str | None = None
    array: bool = False


@dataclass(frozen=True)
class Contacts:
    """The contacts of accounts."""

    dataset: str
    key: tuple[str, ...]  # of a contact
    by: tuple[str, ...]  # its columns with the account's key
    how: Literal["explode", "arrays", "first"]
    where: Expression | None
    order_by: str | None  # an SQL order, columns qualified


@dataclass(frozen=True)
class Listed:
    """A suppression list: a row whose `matches` is among the values of `column` never leaves."""

    dataset: str
    column: str
    matches: Expression


class Way(StrEnum):
    """How the increment of a segment is found, cheapest first."""

    CHANGES = "changes"  # from the rows that changed (and those whose date came due) alone
    TOUCHED = "touched"  # those, and the rows and held members they touch: suppression, consent, groups of duplicates
    COMPARED = "compared"  # everybody now, compared with what the receiver holds
    RESENT = "resent"  # and everybody is sent again: audience destinations alone


@dataclass(frozen=True)
class Audience:
    """One segment as one export sends it."""

    segment: str
    of: str
    key: tuple[str, ...]
    key_names: tuple[str, ...]  # key columns that the files begin with, as named there: of the dataset, then of exploded contacts
    membership: Expression  # boolean, never null; over `of` and the parts
    parts: tuple[Part, ...]
    fields: tuple[OutputField, ...]
    contacts: Contacts | None
    dedupe_by: tuple[Expression, ...]
    distinct_by: tuple[Expression, ...]  # never null; of those equal in all of these one is sent too, whatever dedupe_by says
    newest_by: Expression | None
    consents: tuple[Expression, ...]  # booleans over one dataset each; all must be true at that dataset's head
    suppressions: tuple[Listed, ...]
    keep_by: str | None  # an SQL order, columns qualified; where not all fit
    send: frozenset[str]
    status: Status | None  # None: no such columns
    tables: Mapping[str, Mapping[str, str]]  # every dataset that is read: its columns that are, with their declared types
    way: Way  # the cheapest that is right
    way_reason: str  # why not a cheaper one, or why this; one sentence
    definition: Mapping[str, Any]  # plain data: what may not change within a chain

    @property
    def by_identity(self) -> bool:
        """Whether the receiver knows members who leave by their identities alone: the files do not have the whole key."""
        key = {(self.of, name) for name in self.key}
        if self.contacts and self.contacts.how == "explode":
            key |= {(self.contacts.dataset, name) for name in self.contacts.key}
        told = frozenset[tuple[str, str]]().union(*(field.expression.columns for field in self.fields if field.key))
        return "exited" in self.send and not self.key_names and not key <= told

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets that are read at the versions a delivery is pinned to, `of` first; not those of consent and suppression alone."""
        read = {table for columns in self._read_pinned() for table, _ in columns}
        return (self.of, *sorted(table for table in read & set(self.tables) if table != self.of))

    @property
    def guards(self) -> tuple[str, ...]:
        """The datasets of consent and suppression: read at their heads."""
        consents = {table for consent in self.consents for table, _ in consent.columns}
        return tuple(sorted(consents | {listed.dataset for listed in self.suppressions}))

    def _read_pinned(self) -> list[Columns]:
        expressions = [self.membership, *(field.expression for field in self.fields), *self.dedupe_by, *self.distinct_by]
        expressions += [expression for expression in (self.newest_by, self.contacts and self.contacts.where) if expression]
        expressions += [listed.matches for listed in self.suppressions]
        contacts: list[Columns] = [frozenset((self.contacts.dataset, name) for name in self.contacts.by)] if self.contacts else []
        return [*(expression.columns for expression in expressions), *(part.reads for part in self.parts), *contacts]


def at(sql: str, moment: datetime) -> str:
    r"""The SQL of an expression or query with the export time in it; text and quoted names stay as they are.

    >>> at("\"t\".\"export_time\" = 'export_time' OR export_time > x", datetime(2026, 12, 1, 2, tzinfo=UTC))
    '"t"."export_time" = \'export_time\' OR CAST(\'2026-12-01 02:00:00.000000+00:00\' AS TIMESTAMPTZ) > x'
    """
    literal = f"CAST('{moment.astimezone(UTC).isoformat(' ', 'microseconds')}' AS TIMESTAMPTZ)"
    return _TIME.sub(lambda found: literal if found[0] == "export_time" else found[0], sql)
