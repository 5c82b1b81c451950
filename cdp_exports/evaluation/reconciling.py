"""What an audience destination is to be told: its members, one row an identity, against those who should be there."""

from __future__ import annotations

from cdp_exports.errors import NotCounted
from cdp_exports.evaluation.answering import ENTERED, EXITED, LEFT_SEGMENT, UPDATED
from cdp_exports.evaluation.inputs import Answer, Question
from cdp_exports.evaluation.judging import VALUE, Judged, key_of, keys_of
from cdp_exports.evaluation.session import Session
from cdp_exports.evaluation.sql import canonical, numbered, text
from cdp_exports.ledger.records import Movement
from cdp_exports.segments.audience import Audience


def reconciled(session: Session, question: Question, judged: Judged) -> Answer:
    """The changes that make the receiver hold exactly whom it should. Frames: `rows` in the order of sending, with `identity` (JSON of
    what tells a member apart, as it is sent), `hash`, `status`, `exit` (why one leaves) and `value_0`, ... in the order of the columns.

    Of whom nobody knows what the receiver holds (`hash` 0) is sent whatever the export's `send` says.
    """
    audience = question.audience
    held = _held(session, question)
    now = session.table("now", f"SELECT *, {_identity(audience)} AS identity FROM {judged.table}")
    values = numbered("value_", len(sent_columns(audience)))
    columns = [f"{_as_sent(value, type_)} AS {name}" for name, (_, value, type_) in zip(values, sent_columns(audience), strict=True)]
    status = f"CASE WHEN old.identity IS NULL THEN '{ENTERED}' WHEN new.identity IS NULL THEN '{EXITED}' ELSE '{UPDATED}' END"
    new = f"(SELECT identity, hash, {', '.join(columns)} FROM {now} WHERE reason IS NULL)"
    why = f"(SELECT identity, min(reason) AS reason FROM {now} WHERE reason IS NOT NULL GROUP BY identity)"
    told = session.table(
        "told",
        f"SELECT coalesce(new.identity, old.identity) AS identity, CAST(coalesce(new.hash, 0) AS UBIGINT) AS hash, {status} AS status, "
        f"CASE WHEN new.identity IS NULL THEN coalesce(why.reason, '{LEFT_SEGMENT}') END AS exit, "
        f"coalesce(old.hash = 0, false) AS unsure, {', '.join(f'new.{value}' for value in values)} "
        f"FROM {new} AS new FULL JOIN {held} AS old ON new.identity = old.identity LEFT JOIN {why} AS why ON why.identity = old.identity "
        "WHERE new.hash IS DISTINCT FROM old.hash",
    )
    found = {ENTERED: 0, UPDATED: 0, EXITED: 0}
    sent, exits = dict(found), dict[str, int]()
    for kind, reason, unsure, rows in session.run(f"SELECT status, exit, unsure, count(*) FROM {told} GROUP BY ALL ORDER BY ALL"):
        found[kind] += rows
        sent[kind] += rows * (unsure or kind in audience.send)
        if reason is not None:
            exits[reason] = exits.get(reason, 0) + rows
    movement = Movement(before=session.number(f"SELECT count(*) FROM {held}"), **found, held=judged.funnel.deliverable, exits=exits)
    if movement.before + movement.entered - movement.exited != movement.held:
        raise NotCounted(
            f"Of segment {audience.segment} the receiver held {movement.before}, {movement.entered} enter and {movement.exited} leave, "
            f"but it would hold {movement.held}: an identity stands twice among those who are to be sent.",
            next_step="Nothing was sent. Please report it.",
        )
    kinds = ", ".join(text(kind) for kind in sorted(audience.send))
    return Answer(
        rows=session.frame(
            f"SELECT * EXCLUDE (unsure) FROM {told} WHERE unsure OR status IN ({kinds}) ORDER BY status = '{EXITED}' DESC, identity"
        ),
        expected=sum(sent.values()),
        found=found,
        sent=sent,
        funnel=judged.funnel,
        movement=movement,
        state=None,
        state_is_whole=False,
    )


def _held(session: Session, question: Question) -> str:
    """A table of whom the receiver holds: identity, hash."""
    assert question.holds is not None
    with session.stream(
        question.holds, dict.fromkeys(("identity", "hash", "gone", "sequence")), "What the receiver holds", "the state folder"
    ) as rows:
        every = session.table("state", f"SELECT identity, hash, gone, sequence FROM {rows}")
    newest = f"(SELECT identity, arg_max(hash, sequence) AS hash, arg_max(gone, sequence) AS gone FROM {every} GROUP BY identity)"
    held = session.table("held", f"SELECT identity, hash FROM {newest} WHERE NOT gone")
    session.drop(every)
    return held


def sent_columns(audience: Audience) -> list[tuple[str, str, str]]:
    """What is sent of a member who enters: name, judged column, type; the key first, where it is sent."""
    fields = [(field.name, f"{VALUE}{number}", field.expression.type) for number, field in enumerate(audience.fields)]
    return [*(column for place, column in _keys(audience).items() if place not in _replaced(audience)), *fields]


def _keys(audience: Audience) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Of each key column that is sent: name, judged column, type. A field may stand in its place."""
    replaced, names = _replaced(audience), iter(audience.key_names)
    keys: dict[tuple[str, str], tuple[str, str, str]] = {}
    for place, column in zip(key_of(audience), keys_of(audience), strict=True):
        if (name := replaced.get(place) or next(names, None)) is not None:
            keys[place] = name, column, audience.tables[place[0]][place[1]]
    return keys


def _replaced(audience: Audience) -> dict[tuple[str, str], str]:
    return {column: field.name for field in audience.fields if field.key for column in field.expression.columns}


def _identity(audience: Audience) -> str:
    told_by = list(_keys(audience).values())
    if audience.by_identity:
        told_by = [
            (field.name, f"{VALUE}{number}", field.expression.type) for number, field in enumerate(audience.fields) if field.identity
        ]
    parts = [f"{text(name)}, {_as_sent(value, type_)}" for name, value, type_ in told_by]
    return f"CAST(json_object({', '.join(parts)}) AS VARCHAR)"


def _as_sent(value: str, type_: str) -> str:
    """A value as JSON has it: numbers and booleans as they are, moments as ISO 8601 writes them, everything else as text."""
    if type_ in ("DOUBLE", "FLOAT"):
        return value
    if type_.startswith("TIMESTAMP"):
        zone = "Z" if type_.endswith("WITH TIME ZONE") else ""
        return f"strftime(CAST({value} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f{zone}')"
    return canonical(value, type_)
