"""From judged members, and what the receiver had before, to what is sent, counted and kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from cdp_exports.errors import HistoryLost, NotCounted
from cdp_exports.evaluation.inputs import IDENTITY, Answer, Question
from cdp_exports.evaluation.judging import VALUE, WITHOUT_CONTACT, Judged, key_of, keys_of
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import equal, numbered, text
from cdp_exports.ledger.records import Funnel, Movement
from cdp_exports.segments.audience import Audience
from cdp_exports.segments.binding import quoted

ENTERED, UPDATED, EXITED = "entered", "updated", "exited"
LEFT_SEGMENT, DELETED, IDENTITY_CHANGED = "left_segment", "deleted", "identity_changed"

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
    rows = session.frame(
        f"SELECT {', '.join([*columns, *status])} FROM {judged.table} WHERE reason IS NULL AND {_withheld(question)} IS NULL"
    )
    counts: dict[str, int] = {ENTERED: funnel.deliverable, UPDATED: 0, EXITED: 0}
    withheld: dict[str, int] = {}
    if question.as_delivered is not None:
        held_back = "reason IS NULL AND withheld IS NOT NULL"
        withheld = dict(session.run(f"SELECT withheld, count(*) FROM {judged.table} WHERE {held_back} GROUP BY ALL ORDER BY ALL"))
    sent = funnel.deliverable - sum(withheld.values())
    return Answer(
        rows=rows,
        expected=sent,
        found=counts,
        sent=counts | {ENTERED: sent},
        funnel=funnel,
        movement=Movement(before=0, entered=funnel.deliverable, updated=0, exited=0, held=funnel.deliverable),
        state=session.frame(whole_state(audience, judged)) if question.keep_state else None,
        state_is_whole=True,
        withheld=withheld,
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
    if audience.by_identity and not same_identities:
        raise HistoryLost(
            f"The receiver knows the members of segment {audience.segment} by other identities than those that are declared now.",
            next_step="Deliver everybody once: `--full`.",
            reason="state_lost",
        )
    changed = _changed(session, question, judged, before, still_there, same_identities)
    told = _by_identity(session, question, changed) if audience.by_identity else changed
    found: dict[str, int] = dict.fromkeys((ENTERED, UPDATED, EXITED), 0)
    sent, exits, withheld = dict(found), Counter[str](), Counter[str]()
    for status, why, withheld_for, rows in session.run(
        f"SELECT status, exit, withheld, count(*) FROM {told} WHERE status IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ):
        found[status] += rows
        if why is not None:
            exits[why] += rows
        if withheld_for is None:
            sent[status] += rows * (status in audience.send)
        else:
            withheld[withheld_for] += rows * (status in audience.send)
    movement = Movement(before=since.held_rows, **found, held=funnel.deliverable, exits=dict(exits))
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
        rows=session.frame(_increment(question, told)),
        expected=sum(sent.values()),
        found=found,
        sent=sent,
        funnel=funnel,
        movement=movement,
        state=state,
        state_is_whole=not same_identities,
        withheld=+withheld,
    )


def _changed(session: Session, question: Question, judged: Judged, before: str, still_there: StillThere, same_identities: bool) -> str:
    """A table of the keys of whom anything changed: the judged row, `status` (null: nothing for the receiver), `exit`, `sent_0`, ...:
    identities as the receiver knows them, `hash`, `reason`, `gone`, `withheld`. Where it knows nothing else, `was`, `was_hash` and
    `was_0`, ... too: what it held."""
    audience = question.audience
    keys, names = keys_of(audience), identities(audience)
    was = "(old.key_0 IS NOT NULL AND old.reason IS NULL)"
    now = "(new.key_0 IS NOT NULL AND new.reason IS NULL)"
    status = (
        f"CASE WHEN {now} AND NOT {was} THEN '{ENTERED}' WHEN {was} AND NOT {now} THEN '{EXITED}' "
        f"WHEN {was} AND {now} AND old.hash <> new.hash THEN '{UPDATED}' END"
    )
    told = UPDATED in audience.send or audience.by_identity
    known = f"{was} AND NOT ({now} AND {'true' if told else 'false'})"  # then the receiver knows what it was sent
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
        f"CASE WHEN {now} THEN {_withheld(question)} END AS withheld",
    ]
    if audience.by_identity:
        columns += [f"{was} AS was", "old.hash AS was_hash", *(f"{one} AS was_{number}" for number, one in enumerate(old))]
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


def _by_identity(session: Session, question: Question, changed: str) -> str:
    """What changed as a receiver sees it who tells people apart by their identities alone: one row an identity. Whoever has
    another one now leaves with the old and enters with the new; who takes over one that another had is that one, updated."""
    audience = question.audience
    names = identities(audience)
    new, old = [f"new.{name}" for name in names], numbered("old.was_", len(names))
    same = equal([f"coalesce(CAST({one} AS VARCHAR), '')" for one in new], [f"coalesce(CAST({one} AS VARCHAR), '')" for one in old])
    columns = [
        *(f"coalesce(new.{key}, old.{key}) AS {key}" for key in keys_of(audience)),
        *(f"new.{VALUE}{number}" for number in range(len(audience.fields))),
        *(f"{one} AS sent_{number}" for number, one in enumerate(old)),
        "new.withheld",
        f"CASE WHEN old.key_0 IS NULL THEN '{ENTERED}' WHEN new.key_0 IS NULL THEN '{EXITED}' ELSE '{UPDATED}' END AS status",
        f"CASE WHEN new.key_0 IS NULL THEN coalesce(old.exit, '{IDENTITY_CHANGED}') END AS exit",
    ]
    now = f"(FROM {changed} WHERE reason IS NULL AND NOT gone)"
    joined = f"{now} AS new FULL JOIN (FROM {changed} WHERE was) AS old ON {same}"
    return session.table("told", f"SELECT {', '.join(columns)} FROM {joined} WHERE new.hash IS DISTINCT FROM old.was_hash")


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
    sent = f"status IN ({kinds}) AND withheld IS NULL"
    return f"SELECT {', '.join(columns)} FROM {changed} WHERE {sent} ORDER BY {left} DESC, {', '.join(keys_of(audience))}"


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


def _withheld(question: Question) -> str:
    """SQL: why somebody who was sent then must not be sent any more."""
    return "withheld" if question.as_delivered is not None else "CAST(NULL AS VARCHAR)"


def _if_held(audience: Audience) -> Sequence[str]:
    """Who is not sent is not known to the receiver."""
    return [f"CASE WHEN reason IS NULL THEN {name} END" for name in identities(audience)]


def _has_key(audience: Audience) -> str:
    """Accounts without a contact have no row where contacts are exploded."""
    exploded = len(key_of(audience)) > len(audience.key)
    return f"reason IS DISTINCT FROM '{WITHOUT_CONTACT}'" if exploded else "true"
