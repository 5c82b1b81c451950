"""Every member of a segment with the values that would be sent, and why it is not sent where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cdp_exports.errors import KeyNotUnique, NotCounted
from cdp_exports.evaluation.inputs import KEY
from cdp_exports.evaluation.reading import Reading
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import equal, fingerprint, numbered, text
from cdp_exports.evaluation.sweeping import with_parts
from cdp_exports.ledger.records import Funnel
from cdp_exports.segments.audience import Audience, Contacts, Expression, OutputField, at
from cdp_exports.segments.binding import quoted

VALUE = "value_"
WITHOUT_CONTACT, NO_CONSENT, SUPPRESSED, MISSING = "without_contact", "no_consent", "suppressed", "missing:"
DUPLICATE, OVER_LIMIT = "duplicate", "over_limit"


@dataclass(frozen=True)
class Judged:
    """`table`: `key_0`, ..., `value_0`, ... (one a field), `hash` of the values, `reason` (null: to be sent). One row a member."""

    table: str
    funnel: Funnel


def key_of(audience: Audience) -> list[tuple[str, str]]:
    """What names a row that is sent: columns (table, name) of the member, then of an exploded contact."""
    key = [(audience.of, name) for name in audience.key]
    contacts = audience.contacts
    return [*key, *((contacts.dataset, name) for name in contacts.key)] if contacts and contacts.how == "explode" else key


def key_of_contacts(contacts: Contacts) -> tuple[str, ...]:
    """The columns that tell every contact apart, those with the account's key first."""
    return (*contacts.by, *contacts.key)


def keys_of(audience: Audience) -> list[str]:
    return numbered(KEY, len(key_of(audience)))


@dataclass(frozen=True)
class Judge:
    """Takes the members of one segment through its steps at one moment."""

    session: Session
    reading: Reading
    audience: Audience
    moment: datetime
    with_hash: bool = True
    among: str | None = None  # a table of the keys of whoever is judged, where they are few

    @property
    def subject(self) -> str:
        return f"segment {self.audience.segment}, or a field that is sent of it,"

    def judge(self, relation: str, where: str, keep: int | None = None) -> Judged:
        """Members are the rows of `relation` (which has the columns of the dataset) for which `where` holds.

        Raises:
            KeyNotUnique: a member's key is null or repeated.
            NotCounted: members, those left out and those to be sent do not add up.
        """
        rows = self._rows(relation, where, keep is not None)
        if self.audience.contacts and self.audience.contacts.how != "explode":
            rows = self._one_row_an_account(rows, keep is not None)
        table = self.session.table("judged", self._reasoned(rows), self.subject)
        self._assert_key(table)
        for grouping in (self.audience.dedupe_by, self.audience.distinct_by):
            if grouping:
                self._leave_out_duplicates(table, [self._group(one) for one in grouping])
        if keep is not None:
            self._leave_out_beyond(table, keep)
        return Judged(table, self.funnel(table))

    def _rows(self, relation: str, where: str, ranked: bool) -> str:
        """One row a member, or a contact of one; the steps' expressions as columns."""
        audience, at_ = self.audience, self._at
        contacts = audience.contacts
        select = [f"{_column(*column)} AS {name}" for column, name in zip(key_of(audience), keys_of(audience), strict=True)]
        select += [f"{at_(field.expression.sql)} AS {VALUE}{number}" for number, field in enumerate(audience.fields)]
        groups = {self._group(one): at_(one.sql) for one in (*audience.dedupe_by, *audience.distinct_by)}
        select += [f"{sql} AS {name}" for name, sql in groups.items() if not name.startswith(VALUE)]
        if audience.newest_by:
            select.append(f"{at_(audience.newest_by.sql)} AS newest")
        select.append(f"({' AND '.join(self._consents()) or 'true'}) AS consents")
        select.append(
            f"({' OR '.join(self.reading.is_listed(listed, self.moment) for listed in audience.suppressions) or 'false'}) AS listed"
        )
        own = [_column(audience.of, name) for name in audience.key]
        if ranked:
            order = [*([at_(audience.keep_by)] if audience.keep_by else []), *(_column(*column) for column in key_of(audience))]
            select.append(f"row_number() OVER (ORDER BY {', '.join(order)}) AS rank")
        source = with_parts(relation, audience.of, audience.key, audience.parts)
        if contacts:
            theirs = [_column(contacts.dataset, name) for name in key_of_contacts(contacts)]
            condition = equal(own, [_column(contacts.dataset, name) for name in contacts.by])
            condition += f" AND ({at_(contacts.where.sql)})" if contacts.where else ""
            source += f" LEFT JOIN {quoted(contacts.dataset)} ON {condition}"
            select.append(f"{_column(contacts.dataset, contacts.by[0])} IS NULL AS alone")
            if contacts.how != "explode":
                order = [*([at_(contacts.order_by)] if contacts.order_by else []), *theirs]
                select.append(f"row_number() OVER (PARTITION BY {', '.join(own)} ORDER BY {', '.join(order)}) AS place")
                select += [f"{column} AS contact_{number}" for number, column in enumerate(theirs)]
        else:
            select.append("false AS alone")
        return f"SELECT {', '.join(select)} FROM {source} WHERE {where}"

    def _consents(self) -> list[str]:
        audience, contacts = self.audience, self.audience.contacts
        found: list[str] = []
        for consent in audience.consents:
            (dataset,) = {table for table, _ in consent.columns}
            key = key_of_contacts(contacts) if contacts and dataset == contacts.dataset else audience.key
            found.append(self.reading.consents(consent, dataset, key, [_column(dataset, name) for name in key], self.among))
        return found

    def _one_row_an_account(self, rows: str, ranked: bool) -> str:
        """Contacts without consent and suppressed ones are never part of it."""
        contacts = self.audience.contacts
        assert contacts
        allowed = "consents AND NOT listed AND NOT alone"
        keys = keys_of(self.audience)
        select = [
            *keys,
            *(self._gathered(f"{VALUE}{number}", field, contacts, allowed) for number, field in enumerate(self.audience.fields)),
        ]
        groups = dict.fromkeys(self._group(one) for one in (*self.audience.dedupe_by, *self.audience.distinct_by))
        deciding = [*(one for one in groups if not one.startswith(VALUE)), *["newest"] * bool(self.audience.newest_by), *["rank"] * ranked]
        select += [f"first({one} ORDER BY place) FILTER ({allowed}) AS {one}" for one in deciding]
        theirs = numbered("contact_", len(key_of_contacts(contacts)))
        names, null = ", ".join(theirs), " OR ".join(f"{name} IS NULL" for name in theirs)
        select += [
            "bool_and(alone) AS alone",
            "bool_or(consents) AS consents",
            f"NOT bool_or({allowed}) AS listed",
            f"bool_or(NOT alone AND ({null})) OR count(*) > count(DISTINCT row({names})) AS repeated",
        ]
        return f"SELECT {', '.join(select)} FROM ({rows}) GROUP BY {', '.join(keys)}"

    def _gathered(self, value: str, field: OutputField, contacts: Contacts, allowed: str) -> str:
        if field.array:
            return f"list({value} ORDER BY place) FILTER ({allowed}) AS {value}"
        reads_contact = any(table == contacts.dataset for table, _ in field.expression.columns)
        return f"first({value} ORDER BY place){f' FILTER ({allowed})' * reads_contact} AS {value}"

    def _reasoned(self, rows: str) -> str:
        reasons = [("alone", WITHOUT_CONTACT), ("NOT consents", NO_CONSENT), ("listed", SUPPRESSED)]
        for number, field in enumerate(self.audience.fields):
            if field.required:
                reasons.append((_is_missing(f"{VALUE}{number}", field), f"{MISSING}{field.name}"))
        cases = " ".join(f"WHEN {condition} THEN {text(reason)}" for condition, reason in reasons)
        values = [(f"{VALUE}{number}", field.expression.type) for number, field in enumerate(self.audience.fields)]
        hashed = fingerprint(values) if self.with_hash else "NULL"
        return f"SELECT * EXCLUDE (alone, consents, listed), {hashed} AS hash, CASE {cases} END AS reason FROM ({rows})"

    def _assert_key(self, table: str) -> None:
        keys = keys_of(self.audience)
        contacts = self.audience.contacts
        null = f"({' OR '.join(f'{key} IS NULL' for key in keys)})"
        if contacts and contacts.how == "explode":
            null += f" AND reason IS DISTINCT FROM '{WITHOUT_CONTACT}'"
        if contacts and contacts.how != "explode":
            null += " OR repeated"
        faulty = f"SELECT 1 FROM {table} WHERE {null} LIMIT 1"
        repeated = f"SELECT 1 FROM {table} GROUP BY {', '.join(keys)} HAVING count(*) > 1 LIMIT 1"
        if self.session.run(faulty) or self.session.run(repeated):
            names = ", ".join(name for _, name in key_of(self.audience))
            raise KeyNotUnique(
                f"The key ({names}) is null or repeated among the members of segment {self.audience.segment}.",
                next_step="Correct the table, or declare a key that is unique and never null.",
            )

    def _leave_out_duplicates(self, table: str, groups: Sequence[str]) -> None:
        """All but the first of those that are equal in every group column."""
        keys = keys_of(self.audience)
        order = ["newest DESC NULLS LAST"] * bool(self.audience.newest_by) + keys
        candidates = " AND ".join(["reason IS NULL", *(f"{group} IS NOT NULL" for group in groups)])
        place = f"row_number() OVER (PARTITION BY {', '.join(groups)} ORDER BY {', '.join(order)})"
        losers = self.session.table("losers", f"SELECT {', '.join(keys)} FROM {table} WHERE {candidates} QUALIFY {place} > 1")
        same = equal([f"member.{key}" for key in keys], [f"{losers}.{key}" for key in keys])
        self.session.run(f"UPDATE {table} AS member SET reason = '{DUPLICATE}' FROM {losers} WHERE {same}")
        self.session.drop(losers)

    def _leave_out_beyond(self, table: str, keep: int) -> None:
        beyond = self.session.run(f"SELECT rank FROM {table} WHERE reason IS NULL ORDER BY rank LIMIT 1 OFFSET {keep}")
        if beyond:
            self.session.run(f"UPDATE {table} SET reason = '{OVER_LIMIT}' WHERE reason IS NULL AND rank >= {beyond[0][0]}")

    def funnel(self, table: str) -> Funnel:
        """How the rows of a table of judged ones count."""
        counts: dict[str | None, int] = dict(self.session.run(f"SELECT reason, count(*) FROM {table} GROUP BY ALL"))
        rows, members = self.session.number(f"SELECT count(*) FROM {table}"), None
        if len(key_of(self.audience)) > len(self.audience.key):
            own = ", ".join(numbered(KEY, len(self.audience.key)))
            members = self.session.number(f"SELECT count(*) FROM (SELECT DISTINCT {own} FROM {table})")
        alone = counts.get(WITHOUT_CONTACT, 0)
        return funnel_of(self.audience, counts, members=rows if members is None else members, rows=rows - alone)

    def _group(self, expression: Expression) -> str:
        """The column that has it: often a field's own."""
        for number, field in enumerate(self.audience.fields):
            if field.expression.sql == expression.sql and not field.array:
                return f"{VALUE}{number}"
        every = [one.sql for one in (*self.audience.dedupe_by, *self.audience.distinct_by)]
        return f"group_{every.index(expression.sql)}"

    def _at(self, sql: str) -> str:
        return at(sql, self.moment)


def funnel_of(audience: Audience, counts: dict[str | None, int], *, members: int, rows: int) -> Funnel:
    """Counts by reason (None: to be sent) in the order of the steps.

    Raises:
        NotCounted: they do not add up.
    """
    steps = [NO_CONSENT, SUPPRESSED, *(f"{MISSING}{field.name}" for field in audience.fields if field.required), DUPLICATE, OVER_LIMIT]
    left_out = {step: counts[step] for step in steps if counts.get(step)}
    deliverable, alone = counts.get(None, 0), counts.get(WITHOUT_CONTACT, 0)
    if rows != deliverable + sum(left_out.values()):
        raise NotCounted(
            f"Segment {audience.segment} has {rows} rows, {deliverable} to be sent and {sum(left_out.values())} left out.",
            next_step="Please report it; nothing was sent.",
        )
    return Funnel(members=members, without_contact=alone, rows=rows, left_out=left_out, deliverable=deliverable)


def _is_missing(value: str, field: OutputField) -> str:
    if field.array:
        empty = " AND given <> ''" if field.expression.type == "VARCHAR[]" else ""
        return f"NOT coalesce(len(list_filter({value}, lambda given: given IS NOT NULL{empty})) > 0, false)"
    return f"{value} IS NULL OR {value} = ''" if field.expression.type == "VARCHAR" else f"{value} IS NULL"


def _column(table: str, name: str) -> str:
    return f"{quoted(table)}.{quoted(name)}"
