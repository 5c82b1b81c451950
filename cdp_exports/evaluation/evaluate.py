"""Answers the questions of one export."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cdp_exports.evaluation import phones
from cdp_exports.evaluation.answering import StillThere, difference, everybody
from cdp_exports.evaluation.changing import Changing
from cdp_exports.evaluation.held import held, identities_fit
from cdp_exports.evaluation.inputs import Answer, Question, Tables
from cdp_exports.evaluation.judging import Judge, Judged, key_of_contacts
from cdp_exports.evaluation.reading import Reading, together
from cdp_exports.evaluation.reconciling import reconciled
from cdp_exports.evaluation.redelivering import as_delivered
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import among, numbered
from cdp_exports.evaluation.sweeping import Condition, sweep
from cdp_exports.segments.audience import Audience, Way, at
from cdp_exports.segments.binding import quoted


@contextmanager
def evaluate(
    questions: Sequence[Question], tables: Tables, *, memory_limit: int, disk_limit: int, folder: Path | None = None
) -> Generator[list[Answer]]:
    """The answers to the questions, in their order; the frames can be consumed, also more than once, until it is left.

    The segments of one dataset share one scan. `memory_limit` (bytes) bounds DuckDB, reading the sources comes on top; beyond it
    rows go to a temporary folder (in `folder`, default the system's), at most `disk_limit` bytes.

    Raises:
        SourceUnreadable: a table does not keep what the catalog declares of its columns, or a value cannot be computed.
        KeyNotUnique: a key is null or repeated among the members, or a query returns one with different values.
        NotCounted: the numbers do not add up.
        TerminalError: the disk limit was reached, or the disk is full.
        Exception: as the frames raise it.
    """
    with Session.open(memory_limit, disk_limit, folder) as session:
        answers = _Evaluation(session, tables, questions).answers()
        session.let_go()
        yield answers


class _Evaluation:
    def __init__(self, session: Session, tables: Tables, questions: Sequence[Question]) -> None:
        self.columns = together(question.audience.tables for question in questions)
        self.session = session
        self.reading = Reading(session, tables, self.columns)
        self.questions = questions

    def answers(self) -> list[Answer]:
        phones.offer(self.session, [question.audience for question in self.questions])
        answers: dict[int, Answer] = {}
        ways = {Way.CHANGES: self._by_changes, Way.TOUCHED: self._by_touch, Way.COMPARED: self._everybody}
        grouped: dict[tuple[Way, str], list[int]] = {}
        for number, question in enumerate(self.questions):
            grouped.setdefault((self._way(question), question.audience.of), []).append(number)
        for (way, dataset), numbers in grouped.items():
            answers |= dict(zip(numbers, ways[way](dataset, [self.questions[number] for number in numbers]), strict=True))
        return [answers[number] for number in range(len(self.questions))]

    def _way(self, question: Question) -> Way:
        since = question.since
        if since is None or question.as_delivered is not None or (question.way is Way.TOUCHED and not self._same_identities(question)):
            return Way.COMPARED  # state is then written whole
        return question.way

    def _same_identities(self, question: Question) -> bool:
        assert question.since is not None
        assert question.since.held is not None
        return identities_fit(self.session, question.audience, question.since.held)

    def _by_changes(self, dataset: str, questions: Sequence[Question]) -> list[Answer]:
        return [Changing(self.session, self.reading, question).by_changes() for question in questions]

    def _by_touch(self, dataset: str, questions: Sequence[Question]) -> list[Answer]:
        """Two scans at most: for those whom consent and suppression touch, and for the groups of duplicates."""
        works = [Changing(self.session, self.reading, question) for question in questions]
        for condition in (Changing.guarded, Changing.grouped):
            asked = [(work, found) for work in works if (found := condition(work)) is not None]
            if asked:
                with self.reading.pinned(dataset) as rows:
                    key = questions[0].audience.key
                    kept, flags = sweep(self.session, rows, dataset, self.columns[dataset], key, [found for _, found in asked])
                for (work, _), flag in zip(asked, flags, strict=True):
                    work.add(kept, flag)
                self.session.drop(kept)
        seen = " UNION ".join(f"FROM {work.seen}" for work in works)
        all_seen = works[0].seen if len(works) == 1 else self.session.table("seen", seen)
        return [work.by_touch(all_seen) for work in works]

    def _everybody(self, dataset: str, questions: Sequence[Question]) -> list[Answer]:
        """Every member now, out of one scan of the dataset."""
        for question in questions:
            for part in question.audience.parts:
                self.reading.part(part, dataset, question.at)
            if question.audience.contacts:
                self.reading.load([question.audience.contacts.dataset])
        if len(questions) == 1:
            (question,) = questions
            judge = self._judge(question)
            with self.reading.pinned(dataset) as rows:
                judged = judge.judge(rows, at(question.audience.membership.sql, question.at), _keep(question))
            return [self._answer(question, judge, judged)]
        conditions = [
            Condition(at(question.audience.membership.sql, question.at), question.audience.parts, f"segment {question.audience.segment}")
            for question in questions
        ]
        with self.reading.pinned(dataset) as rows:
            kept, flags = sweep(self.session, rows, dataset, self.columns[dataset], questions[0].audience.key, conditions)
        answers: list[Answer] = []
        for question, flag in zip(questions, flags, strict=True):
            judge = self._judge(question)
            answers.append(self._answer(question, judge, judge.judge(kept, flag, _keep(question))))
        return answers

    def _answer(self, question: Question, judge: Judge, judged: Judged) -> Answer:
        if question.holds is not None:
            return reconciled(self.session, question, judged)
        if question.as_delivered is not None:
            judged = as_delivered(judge, judged, question.as_delivered, withhold=question.withhold)
        if question.since is None:
            return everybody(self.session, question, judged)
        assert question.since.held is not None
        before, same = held(self.session, question.audience, question.since.held), self._same_identities(question)
        return difference(
            self.session,
            question,
            judged,
            before,
            funnel=judged.funnel,
            still_there=self._still_there(question.audience),
            same_identities=same,
        )

    def _judge(self, question: Question) -> Judge:
        with_hash = question.keep_state or question.since is not None or question.holds is not None
        return Judge(self.session, self.reading, question.audience, question.at, with_hash)

    def _still_there(self, audience: Audience) -> StillThere:
        """By the keys of the dataset, and of exploded contacts, at the pinned versions."""

        def found(keys: str) -> str:
            own = numbered("key_", len(audience.key))
            condition = among([quoted(name) for name in audience.key], f"(SELECT DISTINCT {', '.join(own)} FROM {keys})")
            listed = ", ".join(f"{quoted(name)} AS {key}" for name, key in zip(audience.key, own, strict=True))
            with self.reading.pinned(audience.of, only=audience.key) as rows:
                there = self.session.table("there", f"SELECT {listed} FROM {rows} WHERE {condition}")
            contacts = audience.contacts
            if contacts is None or contacts.how != "explode":
                return there
            theirs = ", ".join(quoted(name) for name in key_of_contacts(contacts))
            known = numbered("key_", len(key_of_contacts(contacts)))
            still = f"{among(own, there)} AND {among(known, f'(SELECT {theirs} FROM {quoted(contacts.dataset)})')}"
            return self.session.table("there", f"FROM {keys} WHERE {still}")

        return found


def _keep(question: Question) -> int | None:
    """Who fitted when it was delivered is known."""
    return question.keep if question.as_delivered is None else None
