"""From judged members, and what the receiver had before, to what is sent, counted and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdp_exports.errors import NotCounted
from cdp_exports.evaluation.inputs import IDENTITY, Answer, Question
from cdp_exports.evaluation.judging import VALUE, WITHOUT_CONTACT, Judged, key_of, keys_of
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import equal, numbered, quoted, text
from cdp_exports.ledger.records import Funnel, Movement
from cdp_exports.segments.audience import Audience

ENTERED, UPDATED, EXITED = "entered", "updated", "exited"
LEFT_SEGMENT, DELETED = "left_segment", "deleted"

StillThere = Callable[[str], str | None]
"""Of a table of keys (`key_0`, ...): a table of those that are still in the dataset; None: none of them."""


def identities(audience: Audience) -> list[str]:
    """The judged columns that are identities, in order."""
    return [f"{VALUE}{number}" for number, field in enumerate(audience.fields) if field.identity]


def everybody(session: Session, question: Question, judged: Judged) -> Answer:
    """What a full delivery sends."""
    audience, funnel = question.audience, judged.funnel
    status = [f"{text(audience.status.entered)} AS {quoted(audience.status.column)}"] if audience.status and question.with_status else []
    status += [f"CAST(NULL AS VARCHAR) AS {quoted(audience.status.reason)}"] if audience.status and question.with_status else []
    columns = [f"{value} AS {quoted(name)}" for name, value, _ in _columns(audience)]
    rows = session.frame(f"SELECT {', '.join([*columns, *status])} FROM {judged.table} WHERE reason IS NULL")
    counts: dict[str, int] = {ENTERED: funnel.deliverable, UPDATED: 0, EXITED: 0}
    return Answer(
        rows=rows,
        expected=funnel.deliverable,
        found=counts,
        sent=counts,
        funnel=funnel,
        movement=Movement(before=0, entered=funnel.deliverable, updated=0, exited=0, held=funnel.deliverable),
        state=session.frame(whole_state(audience, judged)) if question.keep_state else None,
        state_is_whole=True,
    )


def whole_state(audience: Audience, judged: Judged) -> str:
    known = [f"{value} AS {IDENTITY}{number}" for number, value in enumerate(_if_held(audience))]
    columns = [*keys_of(audience), *known, "hash", "reason", "false AS gone"]
    return f"SELECT {', '.join(columns)} FROM {judged.table} WHERE {_has_key(audience)}"


def difference(
    session: Session,
    question: Question,
    judged: Judged,
    before: str,
    *,
    funnel: Funnel,
    still_there: StillThere,
    same_identities: bool = True,
) -> Answer:
    """What an increment sends: `judged` are members now, `before` a table of what the same keys were: `key_0`, ..., `identity_0`, ...
    (only where `same_identities`), `hash`, `reason`; one row a key."""
    audience, since = question.audience, question.since
    assert since
    changed = _changed(session, question, judged, before, still_there, same_identities)
    found: dict[str, int] = dict.fromkeys((ENTERED, UPDATED, EXITED), 0)
    exits: dict[str, int] = {}
    for status, why, rows in session.run(
        f"SELECT status, exit, count(*) FROM {changed} WHERE status IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ):
        found[status] += rows
        if why is not None:
            exits[why] = rows
    sent = {status: rows if status in audience.send else 0 for status, rows in found.items()}
    movement = Movement(before=since.held_rows, **found, held=funnel.deliverable, exits=exits)
    if movement.before + movement.entered - movement.exited != movement.held:
        raise NotCounted(
            f"Of segment {audience.segment} the receiver held {movement.before}, {movement.entered} enter and {movement.exited} leave, "
            f"but it would hold {movement.held}.",
            next_step="Deliver it in full: `cdp-exports run EXPORT --full`; and please report it.",
        )
    state = None
    if question.keep_state:
        state = session.frame(_changed_state(audience, changed) if same_identities else whole_state(audience, judged))
    return Answer(
        rows=session.frame(_increment(question, changed)),
        expected=sum(sent.values()),
        found=found,
        sent=sent,
        funnel=funnel,
        movement=movement,
        state=state,
        state_is_whole=not same_identities,
    )


def _changed(session: Session, question: Question, judged: Judged, before: str, still_there: StillThere, same_identities: bool) -> str:
    """A table of the keys of whom anything changed: the judged row, `status` (null: nothing for the receiver), `exit`, `sent_0`, ...:
    identities as the receiver knows them, `hash`, `reason`, `gone`."""
    audience = question.audience
    keys, names = keys_of(audience), identities(audience)
    was = "(old.key_0 IS NOT NULL AND old.reason IS NULL)"
    now = "(new.key_0 IS NOT NULL AND new.reason IS NULL)"
    status = (
        f"CASE WHEN {now} AND NOT {was} THEN '{ENTERED}' WHEN {was} AND NOT {now} THEN '{EXITED}' "
        f"WHEN {was} AND {now} AND old.hash <> new.hash THEN '{UPDATED}' END"
    )
    known = f"{was} AND NOT ({now} AND {'true' if UPDATED in audience.send else 'false'})"  # then the receiver knows what it was sent
    old = [f"old.{IDENTITY}{number}" if same_identities else "NULL" for number in range(len(names))]
    columns = [
        *(f"coalesce(new.{key}, old.{key}) AS {key}" for key in keys),
        *(f"new.{VALUE}{number}" for number in range(len(audience.fields))),
        *(
            f"CASE WHEN {known} THEN {sent} WHEN {now} THEN new.{name} END AS sent_{number}"
            for number, (sent, name) in enumerate(zip(old, names, strict=True))
        ),
        "coalesce(new.hash, old.hash) AS hash",
        "new.reason",
        "new.key_0 IS NULL AS gone",
        f"{status} AS status",
    ]
    differ = "new.key_0 IS NULL OR old.key_0 IS NULL OR new.reason IS DISTINCT FROM old.reason OR new.hash <> old.hash"
    members = f"(FROM {judged.table} WHERE {_has_key(audience)})"
    joined = f"{members} AS new FULL JOIN {before} AS old ON {equal([f'new.{key}' for key in keys], [f'old.{key}' for key in keys])}"
    changed = session.table("changed", f"SELECT {', '.join(columns)} FROM {joined} WHERE {differ}")
    session.run(f"ALTER TABLE {changed} ADD COLUMN exit VARCHAR")
    session.run(f"UPDATE {changed} SET exit = coalesce(reason, '{DELETED}') WHERE status = '{EXITED}'")
    lost = f"status = '{EXITED}' AND gone"
    if session.number(f"SELECT count(*) FROM {changed} WHERE {lost}"):
        there = still_there(f"(SELECT {', '.join(keys)} FROM {changed} WHERE {lost})")
        if there:
            same = f"({', '.join(keys)}) IN (FROM {there})"
            session.run(f"UPDATE {changed} SET exit = '{LEFT_SEGMENT}' WHERE {lost} AND {same}")
    return changed


def _increment(question: Question, changed: str) -> str:
    audience = question.audience
    left = f"status = '{EXITED}'"
    columns = [f"CASE WHEN {left} THEN {known} ELSE {value} END AS {quoted(name)}" for name, value, known in _columns(audience)]
    if audience.status and question.with_status:
        words = ((ENTERED, audience.status.entered), (UPDATED, audience.status.updated), (EXITED, audience.status.exited))
        said = " ".join(f"WHEN '{status}' THEN {text(word)}" for status, word in words)
        columns += [f"CASE status {said} END AS {quoted(audience.status.column)}", f"exit AS {quoted(audience.status.reason)}"]
    kinds = ", ".join(f"'{status}'" for status in sorted(audience.send))
    # Who left comes first: where receivers know people by an identity, it may be another's who enters now.
    return f"SELECT {', '.join(columns)} FROM {changed} WHERE status IN ({kinds}) ORDER BY {left} DESC, {', '.join(keys_of(audience))}"


def _changed_state(audience: Audience, changed: str) -> str:
    held = "CASE WHEN reason IS NULL AND NOT gone THEN"
    known = [f"{held} sent_{number} END AS {IDENTITY}{number}" for number in range(len(identities(audience)))]
    return f"SELECT {', '.join([*keys_of(audience), *known, 'hash', 'reason', 'gone'])} FROM {changed}"


def _columns(audience: Audience) -> list[tuple[str, str, str]]:
    """The columns of the files without the status: name, SQL of a member's value, SQL of what is known of one who left."""
    columns: list[tuple[str, str, str]] = []
    taken: set[tuple[str, str]] = set()
    key = key_of(audience)
    known_identities = iter(numbered("sent_", len(identities(audience))))
    for number, field in enumerate(audience.fields):
        known = next(known_identities) if field.identity else "NULL"
        if field.key is not None:
            column = next(iter(field.expression.columns))
            known = keys_of(audience)[key.index(column)]
            taken.add(column)
        columns.append((field.name, f"{VALUE}{number}", known))
    rest = [name for column, name in zip(key, keys_of(audience), strict=True) if column not in taken]
    front = zip(audience.key_names, rest, strict=True) if audience.key_names else ()
    return [*((name, column, column) for name, column in front), *columns]


def _if_held(audience: Audience) -> Sequence[str]:
    """Who is not sent is not known to the receiver."""
    return [f"CASE WHEN reason IS NULL THEN {name} END" for name in identities(audience)]


def _has_key(audience: Audience) -> str:
    """Accounts without a contact have no row where contacts are exploded."""
    exploded = len(key_of(audience)) > len(audience.key)
    return f"reason IS DISTINCT FROM '{WITHOUT_CONTACT}'" if exploded else "true"
