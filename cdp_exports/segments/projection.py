"""The contacts of accounts, as an export projects them."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.mapping import Projection
from cdp_exports.entities.nearest import nearest
from cdp_exports.segments.audience import Columns, Contacts
from cdp_exports.segments.declared import Findings, Tables
from cdp_exports.segments.problems import SqlProblem
from cdp_exports.segments.sql import expression, order


def contacts_of(
    declared: Projection, of: str, datasets: Mapping[str, Dataset], tables: Tables, findings: Findings
) -> tuple[Contacts, Columns] | None:
    """The contacts and the columns that finding them reads; None where `findings` say why not.

    A contact's key is what tells it apart among the contacts of its account: its key columns but those that hold the account's.
    """
    name = declared.dataset
    if name not in datasets:
        findings.add("export", None, ("project", "dataset"), f"There is no dataset {name!r}{nearest(name, datasets)}.")
        return None
    if name == of:
        findings.add("export", None, ("project", "dataset"), f"{name!r} is the segment's own dataset; its contacts are another one.")
        return None
    dataset, types = datasets[name], tables[name]
    if not dataset.key:
        findings.add("dataset", name, ("key",), "Contacts need a `key`: the columns that tell them apart.")
    declares_key = bool(dataset.key) and tables.need(name, *dataset.key, at="key")
    by = _joined_by(declared, of, datasets[of].key, tables, findings)
    where = order_by = None
    if declared.where is not None:
        with findings.within("export", None, "project", "where"):
            where = expression(declared.where, {name: types}, must_be="boolean")
    if declared.order_by is not None:
        with findings.within("export", None, "project", "order_by"):
            order_by = order(declared.order_by, {name: types})
    if not declares_key or by is None:
        return None
    own_key = tuple(column for column in dataset.key if column not in by)
    contacts = Contacts(name, own_key, by, declared.how, where, order_by.sql if order_by else None)
    read = {(name, column) for column in (*dataset.key, *by)}
    return contacts, frozenset(read.union(*(one.columns for one in (where, order_by) if one)))


def _joined_by(declared: Projection, of: str, key: tuple[str, ...], tables: Tables, findings: Findings) -> tuple[str, ...] | None:
    name, types = declared.dataset, tables[declared.dataset]
    if len(declared.by) != len(key):
        findings.add("export", None, ("project", "by"), f"`by` needs as many columns as the key of {of} has: {', '.join(key)}.")
        return None
    by: list[str] = []
    for index, (column, own) in enumerate(zip(declared.by, key, strict=True)):
        found = next((one for one in types if one.lower() == column.lower()), None)
        with findings.within("export", None, "project", "by", index):
            if found is None:
                raise SqlProblem(f"There is no column {column!r} in {name}{nearest(column, types)}.")
            if own in tables[of] and types[found] != tables[of][own]:
                raise SqlProblem(f"{name}.{found} is {types[found]}, and {of}.{own} is {tables[of][own]}; they must be of the same type.")
            by.append(found)
    return tuple(by) if len(by) == len(key) else None
