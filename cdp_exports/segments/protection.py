"""Who never leaves: people without consent for the connection's purpose, and those on its suppression lists."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.entities.connection import Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.nearest import nearest
from cdp_exports.segments.audience import Contacts, Expression, Listed
from cdp_exports.segments.binding import quoted
from cdp_exports.segments.declared import Findings, Tables
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import Types, expression

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "DECIMAL")


def consents_of(
    connection: Connection,
    connection_id: str,
    of: str,
    contacts: Contacts | None,
    datasets: Mapping[str, Dataset],
    tables: Tables,
    findings: Findings,
) -> tuple[Expression, ...]:
    """The consents that the connection's purpose needs. People must have one: the members, or the contacts of accounts.

    Of accounts themselves none is needed, but where their dataset declares the purpose it holds.
    """
    purpose = connection.purpose
    if purpose is None:
        return ()
    found: list[Expression] = []
    for name in (of, *([contacts.dataset] if contacts else [])):
        dataset = datasets[name]
        column = dataset.consent.get(purpose)
        if column is None:
            if dataset.role != "account":
                why = (
                    f"The connection {connection_id!r} is for {purpose!r}, and nothing says who grants it: "
                    f"add `consent: {{{purpose}: <column>}}`{nearest(purpose, dataset.consent)}."
                )
                findings.add("dataset", name, ("consent",), why)
            continue
        with findings.within("dataset", name, "consent", purpose):
            found.append(consent(name, column, tables[name]))
    return tuple(found)


def consent(dataset: str, column: str, types: Mapping[str, str]) -> Expression:
    """Whether a row's column grants a purpose; null does not.

    Raises:
        SqlProblem: there is no such column, or it is not true or false.
    """
    own = next((name for name in types if name.lower() == column.lower()), None)
    if own is None:
        raise SqlProblem(f"`columns` lacks {column!r}, which grants consent{nearest(column, types)}.")
    if types[own] != "BOOLEAN":
        raise SqlProblem(f"{column!r} is {types[own]}; consent is granted by a column that is true or false (BOOLEAN).")
    return Expression(f"COALESCE({quoted(dataset)}.{quoted(own)}, FALSE)", "BOOLEAN", frozenset({(dataset, own)}))


def suppressions_of(
    connection: Connection, connection_id: str, datasets: Mapping[str, Dataset], tables: Tables, scope: Types, findings: Findings
) -> tuple[Listed, ...]:
    """The suppression lists of a connection. `scope`: the tables that `matches` may read."""
    found: list[Listed] = []
    for index, listed in enumerate(connection.suppress):
        name, at = listed.dataset, ("suppress", index)
        if name not in datasets:
            why = f"There is no dataset {name!r}{nearest(name, datasets)}."
            findings.add("connection", connection_id, (*at, "dataset"), why)
            continue
        types = tables[name]
        column = next((one for one in types if one.lower() == listed.column.lower()), None)
        with findings.within("connection", connection_id, *at, "column"):
            if column is None and listed.column not in datasets[name].columns:
                raise SqlProblem(f"`columns` of {name} lacks {listed.column!r}{nearest(listed.column, types)}.")
        with findings.within("connection", connection_id, *at, "matches"):
            matches = expression(listed.matches, scope)
            if column is not None:
                if not _comparable(types[column], matches.type):
                    what = f"{name}.{column} is {types[column]} and this is {matches.type}"
                    raise SqlProblem(f"{what}; both must be text, or whole numbers, or of the same type. Write a CAST.")
                found.append(Listed(name, column, matches))
    return tuple(found)


def _comparable(one: str, other: str) -> bool:
    return one == other or (one.startswith(_NUMBERS) and other.startswith(_NUMBERS) and not (one + other).endswith("]"))
