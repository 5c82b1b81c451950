"""Increments out of the rows that changed: alone (`changes`), or with those they touch (`touched`)."""

from __future__ import annotations

from datetime import datetime

from cdp_exports.evaluation.answering import difference, identities
from cdp_exports.evaluation.dates import may_be_due
from cdp_exports.evaluation.held import held
from cdp_exports.evaluation.inputs import IDENTITY, KEY, Answer, Question, Since
from cdp_exports.evaluation.judging import Judge, Judged, funnel_of, keys_of
from cdp_exports.evaluation.reading import Reading
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import among, known, numbered
from cdp_exports.evaluation.sweeping import Condition
from cdp_exports.ledger.records import Funnel
from cdp_exports.segments.audience import Audience, at
from cdp_exports.segments.binding import quoted

_BEFORE = "_change_type IN ('delete', 'update_preimage')"
_AFTER = "_change_type IN ('insert', 'update_postimage')"


class Changing:
    """One question and the rows that matter to it: `before`, what they were, and `after`, what they are; `seen`: their keys."""

    def __init__(self, session: Session, reading: Reading, question: Question) -> None:
        assert question.since is not None
        assert question.since.images is not None
        self.session = session
        self.reading = reading
        self.question = question
        self.audience = question.audience
        self.since: Since = question.since
        columns = self.audience.tables[self.audience.of]
        self._columns = ", ".join(map(quoted, columns))
        self._key = [quoted(name) for name in self.audience.key]
        images = reading.images(question.since.images, self.audience.of, columns)
        self.seen = session.table("seen", f"SELECT DISTINCT {self._keys()} FROM {images} WHERE {known(self._key)}")
        self.before = session.table("before", f"SELECT {self._columns} FROM {images} WHERE {_BEFORE}")
        self.after = session.table("after", f"SELECT {self._columns} FROM {images} WHERE {_AFTER}")
        self._add_due()

    def add(self, rows: str, where: str, *, to: tuple[str, ...] | None = None) -> None:
        """Rows that did not change, in addition, unless they are there."""
        new = self.session.table("new", f"SELECT {self._columns} FROM {rows} WHERE {where} AND NOT {among(self._key, self.seen)}")
        self.session.run(f"INSERT INTO {self.seen} SELECT {self._keys()} FROM {new}")
        for table in to or (self.after,):
            self.session.run(f"INSERT INTO {table} FROM {new}")
        self.session.drop(new)

    def by_changes(self) -> Answer:
        """The difference of the rows judged then and now."""
        old = self._judged(self.before, self.since.at)
        new = self._judged(self.after, self.question.at)
        sent = [f"{value} AS {IDENTITY}{number}" for number, value in enumerate(identities(self.audience))]
        before = self.session.table("held", f"SELECT {', '.join([*keys_of(self.audience), *sent, 'hash', 'reason'])} FROM {old.table}")
        return self._difference(new, before, old.funnel)

    def by_touch(self, seen: str) -> Answer:
        """The difference of the rows judged now and what the receiver holds of them; `seen`: at least the keys of these rows."""
        assert self.since.held is not None
        new = self._judged(self.after, self.question.at, seen)
        before = held(self.session, self.audience, self.since.held, only=self.seen)
        counts = dict(self.session.run(f"SELECT reason, count(*) FROM {before} GROUP BY ALL"))
        rows = self.session.number(f"SELECT count(*) FROM {before}")
        return self._difference(new, before, funnel_of(self.audience, counts, members=rows, rows=rows))

    def guarded(self) -> Condition | None:
        """Whose consent or suppression may have changed."""
        conditions: list[str] = []
        changed = self.since.guard_rows or {}
        for dataset in sorted({table for consent in self.audience.consents for table, _ in consent.columns} & set(changed)):
            rows = self.reading.rows_of(changed[dataset], dataset, self.audience.key)
            keys = self.session.table("touched", f"SELECT DISTINCT {self._keys()} FROM {rows} WHERE {known(self._key)}")
            conditions.append(among(self._own(), keys))
        for listed in self.audience.suppressions:
            if listed.dataset in changed:
                rows = self.reading.rows_of(changed[listed.dataset], listed.dataset, [listed.column])
                column = quoted(listed.column)
                values = self.session.table("touched", f"SELECT DISTINCT {column} FROM {rows} WHERE {column} IS NOT NULL")
                conditions.append(among([at(listed.matches.sql, self.question.at)], values))
        return self._condition(conditions)

    def grouped(self) -> Condition | None:
        """Who is equal, in all that members are deduplicated by, to a row that is or was here."""
        values = [at(expression.sql, self.question.at) for expression in self.audience.dedupe_by]
        if not values:
            return None
        rows = f"(FROM {self.before} UNION ALL FROM {self.after}) AS {quoted(self.audience.of)}"
        groups = self.session.table("groups", f"SELECT DISTINCT {', '.join(values)} FROM {rows} WHERE {known(values)}", self._subject)
        return self._condition([among(values, groups)])

    @property
    def _subject(self) -> str:
        return f"segment {self.audience.segment}, or a field that is sent of it,"

    def _add_due(self) -> None:
        """Rows that did not change but may be judged differently, because time passed."""
        bounds = self.audience.membership.bounds
        assert bounds is not None
        if bounds and self.since.at != self.question.at:
            schema = self.reading.schema(self.audience.of)
            due = may_be_due(self.session, bounds, self.since.at, self.question.at, schema)
            with self.reading.pinned(self.audience.of, where=due) as rows:
                self.add(rows, "true", to=(self.before, self.after))

    def _judged(self, rows: str, moment: datetime, seen: str | None = None) -> Judged:
        judge = Judge(self.session, self.reading, self.audience, moment, among=seen)
        return judge.judge(rows, at(self.audience.membership.sql, moment))

    def _difference(self, new: Judged, before: str, was: Funnel) -> Answer:
        return difference(
            self.session,
            self.question,
            new,
            before,
            funnel=_moved(self.audience, self.since.funnel, was, new.funnel),
            still_there=self._still_there,
        )

    def _still_there(self, _: str) -> str:
        return self.session.table("there", f"SELECT {self._keys()} FROM {self.after}")

    def _condition(self, conditions: list[str]) -> Condition | None:
        return Condition(" OR ".join(conditions), (), self._subject) if conditions else None

    def _keys(self) -> str:
        return ", ".join(f"{column} AS {key}" for column, key in zip(self._key, numbered(KEY, len(self._key)), strict=True))

    def _own(self) -> list[str]:
        return [f"{quoted(self.audience.of)}.{column}" for column in self._key]


def _moved(audience: Audience, funnel: Funnel, was: Funnel, now: Funnel) -> Funnel:
    """A funnel in which some rows are judged anew."""
    counts: dict[str | None, int] = {None: funnel.deliverable + now.deliverable - was.deliverable}
    for one, sign in ((funnel, 1), (now, 1), (was, -1)):
        for reason, rows in one.left_out.items():
            counts[reason] = counts.get(reason, 0) + sign * rows
    return funnel_of(audience, counts, members=funnel.members + now.members - was.members, rows=funnel.rows + now.rows - was.rows)
